// What time brings: rings that nobody answers, offers that wait too long, calls that have failed or last too long.

/// Something that becomes due in a call.
enum CallDeadline: Hashable, Sendable {
    case tooLong
    /// Nobody took up an open invitation.
    case openInvitation
    /// The ring of an invited user.
    case ring(UserID)
    /// A pending offer was not answered.
    case offer(SignalID)
    /// Somebody who joined was to offer, and did not.
    case unoffered(UserID)
    /// All joined participants have reported `failed` for long enough.
    case failed
    /// Candidates whose description, or whose answer, did not come.
    case heldCandidates(SignalID)
}

extension CallRows {
    /// When ``CallStateMachine/timePassed(at:)`` has something to do next if nothing else happens; `nil` once the call
    /// has ended. A pure function of the other rows, stored beside them so that what is due is found by index.
    package var deadline: Timestamp? { self.deadlines.map(\.at).min() }

    /// All that can become due, in no particular order.
    var deadlines: [(at: Timestamp, what: CallDeadline)] {
        guard self.call.state != .ended else { return [] }
        var deadlines = [(at: self.call.createdAt.advanced(by: Limits.callMax), what: CallDeadline.tooLong)]
        let wasAnybodyInvited = self.participants.contains { $0.invitedAt != nil }
        if !wasAnybodyInvited, self.call.answeredAt == nil, self.call.state == .ringing {
            deadlines.append((self.call.createdAt.advanced(by: Limits.openInvitationMax), .openInvitation))
        }
        for participant in self.participants where participant.state == .invited {
            guard let invitedAt = participant.invitedAt else { continue }
            let ring = Duration.seconds(self.call.ringTimeoutSeconds)
            deadlines.append((invitedAt.advanced(by: ring), .ring(participant.user)))
        }
        for offer in self.descriptions where offer.kind == .offer && offer.state == .pending {
            let timeout = offer.isInitial ? Limits.offerTimeout : Limits.renegotiationTimeout
            deadlines.append((offer.createdAt.advanced(by: timeout), .offer(offer.signal)))
        }
        for (user, joinedAt) in self.unoffered {
            deadlines.append((joinedAt.advanced(by: Limits.offerTimeout), .unoffered(user)))
        }
        if let failedAt = self.allFailedAt {
            deadlines.append((failedAt.advanced(by: Limits.failedMax), .failed))
        }
        for held in self.held {
            deadlines.append((held.createdAt.advanced(by: Limits.signalLifetime), .heldCandidates(held.signal)))
        }
        return deadlines
    }

    /// Who joined others and has not exchanged an offer with anybody since: a joiner offers, so these keep a call from
    /// ringing and from being answered.
    private var unoffered: [(user: UserID, joinedAt: Timestamp)] {
        let current = Set(self.participants.compactMap { $0.state == .joined ? $0.leg : nil })
        let present = self.legs.filter { current.contains($0.id) }
        // The first of them found nobody to offer to.
        return present.dropFirst().filter { $0.offeredAt == nil }.map { ($0.user, $0.joinedAt) }
    }

    /// Since when every joined participant reports `failed`; `nil` if one does not, or is alone.
    private var allFailedAt: Timestamp? {
        let joined = self.participants.filter { $0.state == .joined }
        guard joined.count >= 2, joined.allSatisfy({ $0.connection == .failed }) else { return nil }
        return joined.compactMap { $0.connectionAt ?? $0.joinedAt }.max()
    }
}

extension CallStateMachine {
    /// The server went on from a backup in which the call had not ended.
    package mutating func restored(at now: Timestamp) -> [CallAction] {
        self.rows.call.state == .ended ? [] : self.end(.lost, by: nil, at: now)
    }

    /// Carries out what is due, in the order of its time, so that a late turn (the server was down) decides as an
    /// early one would have. Nothing is due: nothing happens.
    package mutating func timePassed(at now: Timestamp) -> [CallAction] {
        var actions: [CallAction] = []
        // Each turn takes away the deadline that it was for.
        while let next = self.rows.deadlines.min(by: { $0.at < $1.at }), next.at <= now {
            actions += self.reached(next.what, at: now)
        }
        return actions
    }

    private mutating func reached(_ deadline: CallDeadline, at now: Timestamp) -> [CallAction] {
        switch deadline {
        case .tooLong: return self.end(.tooLong, by: nil, at: now)
        case .failed: return self.end(.failed, by: nil, at: now)
        // Nobody misses what was for nobody in particular.
        case .openInvitation: return self.end(.cancelled, by: nil, at: now)
        case .ring(let user):
            let isBusy = self.participant(user)?.isBusy == true
            return self.depart(user, isBusy ? .busy : .missed, at: now)
        case .offer(let signal):
            guard let offer = self.rows.descriptions.first(where: { $0.signal == signal }) else { return [] }
            return self.offerTimedOut(offer, at: now)
        case .unoffered(let user): return self.depart(user, .neverOffered, at: now)
        case .heldCandidates(let signal):
            guard let index = self.rows.held.firstIndex(where: { $0.signal == signal }) else { return [] }
            return self.expiry(of: self.rows.held.remove(at: index))
        }
    }

    /// The sender is told that held candidates did not get through.
    func expiry(of held: HeldCandidates) -> [CallAction] {
        guard let device = self.participant(held.from)?.device else { return [] }
        return [.tellExpired(held.signal, device: device)]
    }

    /// An initial offer counts as rejected; a renegotiation lapses. The offerer is told by a `reject` of the server's;
    /// a client that asks its user about the offer still, and hears of no departures, that it need not any more.
    private mutating func offerTimedOut(_ offer: Description, at now: Timestamp) -> [CallAction] {
        let record = CallAction.record(.offerTimedOut(offer.signal, from: offer.from, to: offer.to))
        let notice = self.route(from: offer.to, to: offer.from).map {
            CallAction.tellTimedOut(offer: offer.signal, route: $0)
        }
        let asked = self.participant(offer.to).flatMap {
            $0.readsFrames ? self.route(from: offer.from, to: $0.user) : nil
        }
        let departure = self.decline(offer, .offerTimedOut, at: now)
        let hasLeft = self.participant(offer.from)?.state != .joined
        let farewells = hasLeft ? [asked].compactMap(\.self).map { CallAction.tellLeft($0) } : []
        return (self.telling(notice, offer.from, before: [record] + departure) + farewells).farewellsLast
    }

    /// A participant's device did not hold its place. A lease of an earlier leg decides nothing any more.
    package mutating func leaseLapsed(_ user: UserID, leg: LegID, at now: Timestamp) -> [CallAction] {
        guard let participant = self.participant(user), participant.state == .joined, participant.leg == leg else {
            return []
        }
        return self.depart(user, .lost, at: now)
    }
}
