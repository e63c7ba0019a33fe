// Candidates: passed on right behind the description that carries their ufrag, held until then, and bounded.

/// A batch of candidates: taken or refused whole.
package struct CandidateBatch: Hashable, Sendable {
    /// The ufrags that the candidates name, distinct; empty when they name none, or are encrypted.
    package let ufrags: [String]
    /// At least 1: an end of candidates alone counts as one.
    package let count: Int
    /// What the candidates say of themselves, for the record.
    package let types: CandidateTypes

    package init(ufrags: [String], count: Int, types: CandidateTypes = []) {
        self.ufrags = ufrags
        self.count = count
        self.types = types
    }
}

extension CallStateMachine {
    /// Candidates came. They pass if their description has, else they are held.
    ///
    /// Answers with ``CallAction/refuse(_:)`` `candidate-queue-full` when a bound would be passed: the record keeps
    /// that they were dropped.
    ///
    /// - throws: ``Problem`` `call-ended`, `not-joined`, `joined-elsewhere`; `stale-offer` if they belong to an offer
    ///   that was superseded or rejected.
    package mutating func candidatesReceived(
        _ signal: IncomingSignal, batch: CandidateBatch
    ) throws(Problem) -> [CallAction] {
        let route = try self.route(of: signal)
        let description = self.description(for: batch.ufrags, from: route.from, to: route.to)
        if description?.state == .void {
            throw Problem(.staleOffer, "The candidates belong to an offer that was superseded or rejected")
        }
        let generation = description?.generation ?? ""
        let heldCount = self.heldCount(of: generation, along: route)
        let mustWait = description.map(self.mustWaitForAnswer) ?? true

        let isWithinQueue = !mustWait || heldCount + batch.count <= Limits.heldCandidatesMax
        let sent = self.count(of: generation, along: route)?.count ?? 0
        guard isWithinQueue, sent + heldCount + batch.count <= Limits.candidatesPerGenerationMax else {
            return self.drop(batch, of: generation, along: route)
        }
        self.changeLeg(route.fromLeg) { $0.candidateTypes.formUnion(batch.types) }
        if mustWait {
            self.rows.held.append(
                HeldCandidates(
                    signal: signal.id, call: self.rows.call.id, from: route.from, fromLeg: route.fromLeg, to: route.to,
                    toLeg: route.toLeg, ufrags: batch.ufrags, count: batch.count, payload: signal.payload,
                    createdAt: signal.at))
            return []
        }
        self.changeCount(of: generation, along: route) { $0.count += batch.count }
        return [.deliver(signal.delivery(.candidates, along: route))]
    }

    /// Lets through what was held along the route and may pass now, in the order in which it came. What turns out to
    /// belong to a void offer is forgotten.
    mutating func releaseHeld(along route: SignalRoute) -> [CallAction] {
        var actions: [CallAction] = []
        var rest: [HeldCandidates] = []
        for held in self.rows.held {
            guard held.from == route.from, held.to == route.to,
                let description = self.description(for: held.ufrags, from: held.from, to: held.to)
            else {
                rest.append(held)
                continue
            }
            if description.state == .void { continue }
            if self.mustWaitForAnswer(description) {
                rest.append(held)
                continue
            }
            self.changeCount(of: description.generation, along: route) { $0.count += held.count }
            actions.append(
                .deliver(
                    SignalDelivery(
                        id: held.signal, type: .candidates, route: route, createdAt: held.createdAt,
                        payload: held.payload)))
        }
        self.rows.held = rest
        return actions
    }

    /// The description of one side to which candidates with these ufrags belong: the newest that is not void, else a
    /// void one; without ufrags the newest that is not void. `nil` if none came yet.
    ///
    /// A description without ufrags (encrypted) may carry any.
    func description(for ufrags: [String], from: UserID, to: UserID) -> Description? {
        let own = self.rows.descriptions.filter { $0.from == from && $0.to == to }
        let carrying = own.filter { description in
            description.ufrags.isEmpty || ufrags.allSatisfy(description.ufrags.contains)
        }
        if let live = carrying.last(where: { $0.state != .void }) { return live }
        return ufrags.isEmpty ? nil : carrying.last
    }

    /// Whether candidates of this description wait for its answer, as the addressee wishes. An ICE generation that
    /// was answered once does not wait again when it is renegotiated.
    private func mustWaitForAnswer(_ description: Description) -> Bool {
        guard description.state == .pending, self.participant(description.to)?.holdsCandidates == true else {
            return false
        }
        return !self.rows.descriptions.contains { other in
            other.from == description.from && other.to == description.to && other.state == .settled
                && other.generation == description.generation
        }
    }

    // MARK: Counting

    private func heldCount(of generation: String, along route: SignalRoute) -> Int {
        self.rows.held.reduce(0) { sum, held in
            guard held.from == route.from, held.to == route.to else { return sum }
            let own = self.description(for: held.ufrags, from: held.from, to: held.to)?.generation ?? ""
            return own == generation ? sum + held.count : sum
        }
    }

    private func count(of generation: String, along route: SignalRoute) -> CandidateCount? {
        self.rows.candidateCounts.first {
            $0.from == route.from && $0.to == route.to && $0.generation == generation
        }
    }

    private mutating func changeCount(
        of generation: String, along route: SignalRoute, _ body: (inout CandidateCount) -> Void
    ) {
        var count =
            self.count(of: generation, along: route)
            ?? CandidateCount(from: route.from, to: route.to, generation: generation, count: 0)
        body(&count)
        self.rows.candidateCounts.removeAll {
            $0.from == route.from && $0.to == route.to && $0.generation == generation
        }
        self.rows.candidateCounts.append(count)
    }

    private mutating func drop(
        _ batch: CandidateBatch, of generation: String, along route: SignalRoute
    ) -> [CallAction] {
        let before = self.count(of: generation, along: route)?.dropped ?? 0
        let total = before + batch.count
        self.changeCount(of: generation, along: route) { $0.dropped = total }
        let refusal = CallAction.refuse(Problem(.candidateQueueFull))
        // Leading zero bits differ exactly when a power of two was passed.
        guard before.leadingZeroBitCount != total.leadingZeroBitCount else {
            return [.countDropped(batch.count), refusal]
        }
        let record = CallAction.record(.dropped(from: route.from, to: route.to, total: total))
        return [.countDropped(batch.count), record, refusal]
    }
}
