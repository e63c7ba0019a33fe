// Offers and answers: one pending offer per pair, superseding, glare, rejection; and signals that are just passed on.

/// A signal as it came in, before anything is decided about it.
package struct IncomingSignal: Hashable, Sendable {
    package let id: SignalID
    package let from: UserID
    package let device: DeviceID
    package let to: UserID
    /// The members that depend on the type, as the text of a JSON object.
    package let payload: String
    package let at: Timestamp

    package init(id: SignalID, from: UserID, device: DeviceID, to: UserID, payload: String, at: Timestamp) {
        self.id = id
        self.from = from
        self.device = device
        self.to = to
        self.payload = payload
        self.at = at
    }
}

extension CallStateMachine {
    /// An offer came. It becomes the pair's pending one, and moves a ringing call to `connecting`.
    ///
    /// Against a pending offer of the same sender, or of the polite side, it supersedes that one: both sides are told.
    ///
    /// - parameters:
    ///   - ufrags: those of its SDP; empty if it is encrypted.
    ///   - types: of the candidates in its SDP, for the record.
    /// - throws: ``Problem`` `call-ended`, `not-joined`, `joined-elsewhere`; `glare` with `offer` for the polite side
    ///   against a pending offer of the other.
    package mutating func offerReceived(
        _ signal: IncomingSignal, ufrags: [String], types: CandidateTypes = []
    ) throws(Problem) -> [CallAction] {
        let route = try self.route(of: signal)
        var actions: [CallAction] = []
        if let pending = self.pendingOffer(between: route.from, and: route.to) {
            let isOwn = pending.from == route.from
            guard isOwn || Self.isPolite(route.to, to: route.from) else {
                throw Problem(.glare, members: ["offer": .string(pending.signal.text)])
            }
            // Candidates held for the sender's own former offer may belong to the new one as well: same ufrag.
            self.void(pending, keepingHeld: isOwn)
            actions += [
                .tellSuperseded(offer: pending.signal, route: route.reversed),
                .tellSuperseded(offer: pending.signal, route: route),
            ]
        }
        let isFirst = !self.rows.descriptions.contains { $0.joins(route.from, route.to) }
        let isInitial = !self.rows.descriptions.contains { $0.joins(route.from, route.to) && $0.state == .settled }
        self.remember(
            Description(
                signal: signal.id, call: self.rows.call.id, kind: .offer, state: .pending, from: route.from,
                fromLeg: route.fromLeg, to: route.to, toLeg: route.toLeg, ufrags: ufrags, isInitial: isInitial,
                createdAt: signal.at))
        self.note(signal, types: types, along: route)
        actions.append(.deliver(signal.delivery(.offer, along: route)))
        actions += self.releaseHeld(along: route)
        if isFirst { actions.append(.record(.offer(signal.id, from: route.from, to: route.to))) }
        if self.rows.call.state == .ringing { actions += self.move(to: .connecting) }
        return actions
    }

    /// The pending offer was answered by the side that it was made to. The first answer makes the call `active`.
    ///
    /// - throws: ``Problem`` `call-ended`, `not-joined`, `joined-elsewhere`; `stale-offer` if `offer` is not pending.
    package mutating func answerReceived(
        _ signal: IncomingSignal, to offer: SignalID, ufrags: [String], types: CandidateTypes = []
    ) throws(Problem) -> [CallAction] {
        let route = try self.route(of: signal)
        let pending = try self.pendingOffer(offer, to: route, for: "answer")
        self.changeLeg(route.fromLeg) { $0.candidateTypes.formUnion(types) }
        self.change(pending.signal) { $0.state = .settled }
        self.remember(
            Description(
                signal: signal.id, call: self.rows.call.id, kind: .answer, state: .settled, from: route.from,
                fromLeg: route.fromLeg, to: route.to, toLeg: route.toLeg, ufrags: ufrags,
                isInitial: pending.isInitial, createdAt: signal.at))
        var actions: [CallAction] = [.deliver(signal.delivery(.answer, along: route))]
        actions += self.releaseHeld(along: route)
        actions += self.releaseHeld(along: route.reversed)
        if pending.isInitial {
            actions.append(.record(.answer(signal.id, offer: offer, from: route.from, to: route.to)))
        }
        if !self.isAnswered {
            self.rows.call.answeredAt = signal.at
            // Set-up is counted from the offer that got through, not from one that was superseded or declined.
            self.rows.call.offeredAt = pending.createdAt
            actions += self.move(to: .active)
        }
        return actions
    }

    /// The pending offer was declined by the side that it was made to.
    ///
    /// Declining the first offer of somebody who has no media with anybody yet puts them out of the call, as
    /// `rejected`. A renegotiation that is declined changes nothing else.
    ///
    /// - parameter offer: `nil` means the pending one.
    /// - throws: ``Problem`` `call-ended`, `not-joined`, `joined-elsewhere`, `stale-offer`.
    package mutating func rejectReceived(
        _ signal: IncomingSignal, of offer: SignalID?, reason: String?
    ) throws(Problem) -> [CallAction] {
        let route = try self.route(of: signal)
        let pending = try self.pendingOffer(offer, to: route, for: "rejection")
        let delivery = CallAction.deliver(
            SignalDelivery(
                id: signal.id, type: .reject, route: route, createdAt: signal.at,
                payload: JSONObjectText.adding("offer", pending.signal, to: signal.payload)))
        let record = CallAction.record(.rejectedOffer(pending.signal, from: route.from, to: route.to))
        let departure = self.decline(pending, .rejected(reason, by: route.from), at: signal.at)
        return self.telling(delivery, pending.from, before: [record] + departure)
    }

    /// The offerer is told first. When the call has ended by it nothing is delivered, as the end says the same, except
    /// to those who hear of no ends.
    func telling(
        _ notice: CallAction?, _ offerer: UserID, before actions: [CallAction]
    ) -> [CallAction] {
        guard let notice else { return actions }
        guard self.rows.call.state == .ended else { return [notice] + actions }
        return self.participant(offerer)?.readsFrames == true ? actions + [notice] : actions
    }

    /// What an offer's being declined, or not answered, means beside that it does not count any more.
    mutating func decline(_ offer: Description, _ departure: Departure, at now: Timestamp) -> [CallAction] {
        self.void(offer, keepingHeld: false)
        let hasMedia = self.rows.descriptions.contains { $0.concerns(offer.from) && $0.state == .settled }
        guard offer.isInitial, !hasMedia else { return [] }
        return self.depart(offer.from, departure, at: now)
    }

    /// `renegotiate`, `restart-ice` or `custom`: passed on as it is.
    ///
    /// - throws: ``Problem`` `call-ended`, `not-joined`, `joined-elsewhere`.
    package mutating func messageReceived(_ signal: IncomingSignal, type: SignalType) throws(Problem) -> [CallAction] {
        [.deliver(signal.delivery(type, along: try self.route(of: signal)))]
    }

    // MARK: Pairs

    /// Where the signal goes: between two joined participants, from the owning device.
    ///
    /// - throws: ``Problem`` `call-ended`, `not-joined`, `joined-elsewhere`.
    func route(of signal: IncomingSignal) throws(Problem) -> SignalRoute {
        _ = try self.requireJoined(signal.from, on: signal.device)
        guard signal.to != signal.from, let route = self.route(from: signal.from, to: signal.to) else {
            throw Problem(.notJoined)
        }
        return route
    }

    /// Between two joined participants as they are now; `nil` if one of them is not.
    func route(from: UserID, to: UserID) -> SignalRoute? {
        guard let sender = self.participant(from), let addressee = self.participant(to), sender.state == .joined,
            addressee.state == .joined, let fromLeg = sender.leg, let fromDevice = sender.device,
            let toLeg = addressee.leg, let toDevice = addressee.device
        else { return nil }
        return SignalRoute(
            from: from, fromLeg: fromLeg, fromDevice: fromDevice, to: to, toLeg: toLeg, toDevice: toDevice)
    }

    func pendingOffer(between one: UserID, and other: UserID) -> Description? {
        self.rows.descriptions.first { $0.joins(one, other) && $0.kind == .offer && $0.state == .pending }
    }

    /// The offer that the sender of an answer or rejection means.
    private func pendingOffer(
        _ offer: SignalID?, to route: SignalRoute, for reply: String
    ) throws(Problem) -> Description {
        guard let pending = self.pendingOffer(between: route.from, and: route.to), pending.to == route.from,
            offer == nil || pending.signal == offer
        else { throw Problem(.staleOffer, "The \(reply) is not to the pending offer") }
        return pending
    }

    /// For the record: which legs have offered or were offered to, when the first offer came, what it carried.
    private mutating func note(_ offer: IncomingSignal, types: CandidateTypes, along route: SignalRoute) {
        for leg in [route.fromLeg, route.toLeg] { self.changeLeg(leg) { $0.offeredAt = $0.offeredAt ?? offer.at } }
        self.changeLeg(route.fromLeg) { $0.candidateTypes.formUnion(types) }
        if !self.isAnswered { self.rows.call.offeredAt = offer.at }
    }

    private mutating func change(_ signal: SignalID, _ body: (inout Description) -> Void) {
        guard let index = self.rows.descriptions.firstIndex(where: { $0.signal == signal }) else { return }
        body(&self.rows.descriptions[index])
    }

    private mutating func void(_ offer: Description, keepingHeld: Bool) {
        if !keepingHeld {
            let kept = self.rows.held.filter { held in
                held.from != offer.from || held.to != offer.to
                    || self.description(for: held.ufrags, from: held.from, to: held.to)?.signal != offer.signal
            }
            self.rows.held = kept
        }
        self.change(offer.signal) { $0.state = .void }
    }

    /// Keeps the newest descriptions of an ordered pair. Void ones go first, as settled ones tell whether the pair
    /// has media; what was counted for a generation that nobody remembers goes with it.
    private mutating func remember(_ description: Description) {
        let isSamePair = { (other: Description) in other.from == description.from && other.to == description.to }
        if self.rows.descriptions.count(where: isSamePair) >= Limits.descriptionsPerPairMax {
            let index =
                self.rows.descriptions.firstIndex { isSamePair($0) && $0.state == .void }
                ?? self.rows.descriptions.firstIndex(where: isSamePair)
            if let index { self.rows.descriptions.remove(at: index) }
        }
        self.rows.descriptions.append(description)
        let generations = Set(self.rows.descriptions.filter(isSamePair).map(\.generation))
        self.rows.candidateCounts.removeAll { count in
            count.from == description.from && count.to == description.to && !count.generation.isEmpty
                && !generations.contains(count.generation)
        }
    }
}

extension Description {
    func joins(_ one: UserID, _ other: UserID) -> Bool {
        (self.from == one && self.to == other) || (self.from == other && self.to == one)
    }

    func concerns(_ user: UserID) -> Bool { self.from == user || self.to == user }

    /// What counts as one ICE generation: descriptions with the same ufrags share it. See ``CandidateCount``.
    var generation: String { self.ufrags.isEmpty ? self.signal.text : self.ufrags.joined(separator: ",") }
}

extension IncomingSignal {
    func delivery(_ type: SignalType, along route: SignalRoute) -> SignalDelivery {
        SignalDelivery(id: self.id, type: type, route: route, createdAt: self.at, payload: self.payload)
    }
}
