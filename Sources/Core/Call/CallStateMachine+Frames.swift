// Participants who speak the room protocol's frames: their clients know neither joining nor leaving, only signals.

extension CallStateMachine {
    /// Whether an offer from one to the other begins anew: the pair has negotiated, or the offerer has offered, with
    /// the present legs. The seed's clients never renegotiate, they make another connection.
    func beginsAnew(_ user: UserID, offeringTo peer: UserID) -> Bool {
        self.rows.descriptions.contains { description in
            description.joins(user, peer) && (description.state == .settled || description.from == user)
        }
    }

    /// The device that makes an offer by a frame gets its place: it joins, or joins anew.
    ///
    /// - throws: as ``joined(_:at:)``.
    mutating func offerBegins(_ joining: Joining, to peer: UserID, at now: Timestamp) throws(Problem) -> [CallAction] {
        if let own = self.participant(joining.user), own.state == .joined, own.device == joining.device,
            !self.beginsAnew(joining.user, offeringTo: peer)
        {
            return []
        }
        return try self.joined(joining, at: now)
    }

    /// Somebody who reads frames gets their place before they were asked: their client asks them when the offer comes,
    /// and rejects it if they decline. Nobody else is invited by it.
    ///
    /// - throws: as ``joined(_:at:)``.
    mutating func addresseeSeated(_ joining: Joining, at now: Timestamp) throws(Problem) -> [CallAction] {
        guard self.participant(joining.user)?.state != .joined else { return [] }
        let actions = try self.joined(joining, at: now)
        self.change(joining.user) { $0.invitedAt = $0.invitedAt ?? now }
        if self.rows.call.ringingAt == nil { self.rows.call.ringingAt = now }
        return actions
    }

    /// The offer that an answer of `user` to `peer` means: the last one that it was given.
    func offerAwaitingAnswer(from user: UserID, to peer: UserID) -> SignalID? {
        self.pendingOffer(between: user, and: peer).flatMap { $0.to == user ? $0.signal : nil }
    }

    /// What those who read frames are told when this user, with whom they negotiate, is gone: they hear of no
    /// departures, and the seed has no word for one. Its own clients pass over this one as well.
    func farewells(of user: UserID) -> [CallAction] {
        self.joined.compactMap { peer in
            let hasMet = self.rows.descriptions.contains { $0.joins(user, peer.user) && $0.state != .void }
            guard peer.readsFrames, hasMet else { return nil }
            return self.route(from: user, to: peer.user).map { .tellLeft($0) }
        }
    }

    /// Those who have media with this user alone, and would not say that they hung up.
    func followers(of user: UserID) -> [Participant] {
        guard self.isAnswered else { return [] }
        return self.joined.filter { participant in
            guard participant.readsFrames, participant.user != user else { return false }
            let peers = self.rows.descriptions.filter { $0.concerns(participant.user) && $0.state != .void }
                .map { $0.from == participant.user ? $0.to : $0.from }
            return peers.contains(user) && peers.allSatisfy { $0 == user }
        }
    }
}

extension [CallAction] {
    /// Farewells last: the end of a call, which a departure may bring, takes its signals out of the log.
    var farewellsLast: [CallAction] {
        let isFarewell = { (action: CallAction) in if case .tellLeft = action { true } else { false } }
        return self.filter { !isFarewell($0) } + self.filter(isFarewell)
    }
}

extension Departure {
    /// Nobody said so: it follows from what others did.
    static let peerLeft = Departure.left("inferred: its peer left", isInferred: true)
}
