// Who is in the call: ringing, joining, taking over, leaving, being removed.

extension CallStateMachine {
    /// A joined participant as another one finds it: whom to offer to.
    package struct Peer: Hashable, Sendable {
        package let user: UserID
        package let device: DeviceID
        package let leg: LegID
        /// Whether the *asking* side is the polite one of this pair: its user id is the smaller one.
        package let isAskerPolite: Bool
    }

    /// The other joined participants, in order of first appearance.
    package func peers(of user: UserID) -> [Peer] {
        self.joined.compactMap { participant in
            guard participant.user != user, let device = participant.device, let leg = participant.leg else {
                return nil
            }
            return Peer(
                user: participant.user, device: device, leg: leg,
                isAskerPolite: Self.isPolite(user, to: participant.user))
        }
    }

    /// Who gives way when both sides of a pair offer at once: the smaller user id.
    static func isPolite(_ user: UserID, to peer: UserID) -> Bool { user < peer }

    /// Rings more people. Who is joined or rung already stays as they are; who left or declined is rung again.
    ///
    /// - parameter busy: those of them who are in another call.
    /// - throws: ``Problem`` `call-ended`, `not-joined` (only participants invite), `limit-reached`.
    package mutating func invited(
        _ users: [UserID], by inviter: UserID, busy: Set<UserID> = [], at now: Timestamp
    ) throws(Problem) -> [CallAction] {
        try self.requireLive()
        guard self.participant(inviter)?.state == .joined else { throw Problem(.notJoined) }
        let added = Set(users).subtracting(self.rows.participants.map(\.user))
        try self.requireRoom(for: added.count)
        return users.flatMap { self.ring($0, by: inviter, isBusy: busy.contains($0), at: now) }
    }

    mutating func ring(_ user: UserID, by inviter: UserID, isBusy: Bool, at now: Timestamp) -> [CallAction] {
        switch self.participant(user)?.state {
        case .joined, .invited: return []
        case nil: self.rows.participants.append(Participant(call: self.rows.call.id, user: user, state: .invited))
        case .rejected, .left, .lost: break
        }
        self.change(user) { participant in
            participant.state = .invited
            participant.invitedAt = now
            participant.leftAt = nil
            participant.isBusy = isBusy
        }
        if self.rows.call.ringingAt == nil { self.rows.call.ringingAt = now }
        return [.record(.invited(user, by: inviter, isBusy: isBusy)), .announceParticipant(user), .ring(user)]
    }

    /// A user whose ring waited is not in another call any more: it rings like any other from now on.
    package mutating func calleeBecameFree(_ user: UserID) -> [CallAction] {
        guard self.rows.call.state != .ended, let participant = self.participant(user), participant.isBusy,
            participant.state == .invited
        else { return [] }
        self.change(user) { $0.isBusy = false }
        return [.announceParticipant(user)]
    }

    /// A device joined: it answers the user's ring, and owns the user's place from now on.
    ///
    /// Joining again from the owning device, or with `takesOver` from another one, replaces the leg: what was
    /// negotiated with it is forgotten, and the joiner offers anew.
    ///
    /// - throws: ``Problem`` `call-ended`, `joined-elsewhere`, `call-full`, `limit-reached`.
    package mutating func joined(_ joining: Joining, at now: Timestamp) throws(Problem) -> [CallAction] {
        try self.requireLive()
        let before = self.participant(joining.user)
        var actions: [CallAction] = []
        if let before, before.state == .joined, let leg = before.leg {
            guard before.device == joining.device || joining.takesOver else { throw Problem(.joinedElsewhere) }
            try self.requireLegs(of: joining.user)
            self.closeLeg(leg, before.device == joining.device ? .replaced : .takenOver, at: now)
            self.forgetNegotiations(of: joining.user)
            actions.append(.forgetSignals(of: leg))
        } else {
            guard self.joined.count < self.joinedMax else { throw Problem(.callFull) }
            if let before {
                try self.requireLegs(of: joining.user)
                if let leg = before.leg { actions.append(.forgetSignals(of: leg)) }
            } else {
                try self.requireRoom(for: 1)
                self.rows.participants.append(
                    Participant(call: self.rows.call.id, user: joining.user, state: .left))
            }
        }
        self.place(joining, at: now)
        actions.append(.record(.participant(joining.user, .joined, leg: joining.leg, reason: nil)))
        actions.append(.announceParticipant(joining.user))
        let answersRing = before?.state == .invited
        let movesDevice = before?.state == .joined && before?.device != joining.device
        if answersRing || movesDevice {
            actions.append(.tellAnsweredElsewhere(joining.user, device: joining.device))
        }
        return actions
    }

    private func requireRoom(for newcomers: Int) throws(Problem) {
        guard self.rows.participants.count + newcomers <= Limits.participantsPerCallMax else {
            throw Problem(.limitReached, "a call has at most \(Limits.participantsPerCallMax) participants in its life")
        }
    }

    private func requireLegs(of user: UserID) throws(Problem) {
        guard self.rows.legs.count(where: { $0.user == user }) < Limits.legsPerParticipantMax else {
            throw Problem(.limitReached, "a participant joins at most \(Limits.legsPerParticipantMax) times")
        }
    }

    /// The user declined the ring, for all devices. Declining again, or after having left, changes nothing.
    ///
    /// - throws: ``Problem`` `call-ended`; `illegal-move` if nothing rings for the user.
    package mutating func declined(_ user: UserID, reason: String?, at now: Timestamp) throws(Problem) -> [CallAction] {
        let state = self.participant(user)?.state
        if state == .rejected { return [] }
        try self.requireLive()
        switch state {
        case .rejected, .left, .lost: return []
        case .joined: throw Problem(.illegalMove, "you have joined; leave the call instead")
        case nil: throw Problem(.illegalMove, "this call does not ring for you")
        case .invited: return self.depart(user, .rejected(reason), at: now)
        }
    }

    /// The owning device left. Leaving what one is not in changes nothing.
    ///
    /// - parameters:
    ///   - device: `nil` when a leave token proved the leg.
    ///   - isInferred: nobody asked for it; `reason` says what it follows from, and the record says so.
    /// - throws: ``Problem`` `joined-elsewhere`: another device of the user owns the place, and stays.
    package mutating func left(
        _ user: UserID, device: DeviceID?, reason: String?, isInferred: Bool = false, at now: Timestamp
    ) throws(Problem) -> [CallAction] {
        guard let participant = self.participant(user), participant.state == .joined else { return [] }
        if let device, participant.device != device { throw Problem(.joinedElsewhere) }
        return self.depart(user, .left(reason, isInferred: isInferred), at: now)
    }

    /// The user is no member of the room any more, or does not exist any more.
    package mutating func memberRemoved(_ user: UserID, at now: Timestamp) -> [CallAction] {
        // Who was still rung when the call ended is `invited` in its record.
        guard self.rows.call.state != .ended else { return [] }
        switch self.participant(user)?.state {
        case .joined, .invited: return self.depart(user, .removed, at: now)
        case .rejected, .left, .lost, nil: return []
        }
    }

    /// Somebody ended the call for all: its initiator, a moderator, or either side of a call of two.
    ///
    /// - parameter isAdmin: whether the user is an administrator; one who was never in the call ends it as such.
    /// - throws: ``Problem`` `forbidden` for others; they leave.
    package mutating func endRequested(
        by user: UserID, isModerator: Bool, isAdmin: Bool = false, reason: String?, at now: Timestamp
    ) throws(Problem) -> [CallAction] {
        guard self.rows.call.state != .ended else { return [] }
        guard isModerator || user == self.rows.call.initiator || self.isSideOfTwo(user) else {
            throw Problem(.forbidden, "only the initiator or a moderator ends this call; leave it instead")
        }
        let record = reason.map { CallAction.record(.reason($0, by: user)) }
        let isIntervention = isAdmin && self.participant(user) == nil
        let end: CallEndReason = isIntervention ? .endedByAdmin : self.isAnswered ? .completed : .cancelled
        return [record].compactMap(\.self) + self.end(end, by: user, at: now)
    }

    /// The room was archived: nobody may go on in it.
    package mutating func roomArchived(by user: UserID?, at now: Timestamp) -> [CallAction] {
        guard self.rows.call.state != .ended else { return [] }
        return [.record(.roomArchived(by: user))]
            + self.end(self.isAnswered ? .completed : .cancelled, by: user, at: now)
    }

    private func isSideOfTwo(_ user: UserID) -> Bool {
        let present = self.rows.participants.filter { $0.state == .joined || $0.state == .invited }
        return present.count == 2 && present.contains { $0.user == user && $0.state == .joined }
    }

    /// Somebody who was joined or rung is gone, for whatever reason; what that means for the call follows.
    mutating func depart(_ user: UserID, _ departure: Departure, at now: Timestamp) -> [CallAction] {
        let before = self.participant(user)
        let leg = before.flatMap { $0.state == .joined ? $0.leg : nil }
        let expiries = self.rows.held.filter { $0.from == user || $0.to == user }.flatMap { self.expiry(of: $0) }
        let followers = self.followers(of: user)
        let farewells = self.farewells(of: user)
        self.closeLeg(leg, departure.leg, at: now)
        self.forgetNegotiations(of: user)
        self.change(user) { $0.goOut(as: departure.state, at: now) }
        let actions =
            expiries + [
                .record(.participant(user, departure.state, leg: leg, reason: departure.reason)),
                .announceParticipant(user),
            ]
        let settling = self.settle(after: user, departure, at: now)
        guard self.rows.call.state == .ended else {
            return (farewells + actions + settling + followers.flatMap { self.follow($0, at: now) }).farewellsLast
        }
        // The end puts them out; why they are out, nobody said.
        return actions + followers.map { .record(.left($0)) } + settling
            + self.notice(thatDeclined: before, departure) + farewells
    }

    /// What a caller who reads frames is told when the call has ended as nobody is left whom it rings.
    private func notice(thatDeclined callee: Participant?, _ departure: Departure) -> [CallAction] {
        guard let callee, callee.state == .invited, let caller = self.participant(self.rows.call.initiator),
            caller.readsFrames, callee.user != caller.user
        else { return [] }
        return [.tellDeclined(by: callee.user, reason: departure.reason, caller: caller.user)]
    }

    /// Somebody whose only peer is gone leaves as well, if nobody else's leaving has put them out.
    private mutating func follow(_ follower: Participant, at now: Timestamp) -> [CallAction] {
        guard self.rows.call.state != .ended, self.participant(follower.user)?.leg == follower.leg,
            self.participant(follower.user)?.state == .joined
        else { return [] }
        return self.depart(follower.user, .peerLeft, at: now)
    }

    /// Ends the call, or lets it ring on, when somebody's departure leaves too few.
    private mutating func settle(after user: UserID, _ departure: Departure, at now: Timestamp) -> [CallAction] {
        let joined = self.joined
        let actor = departure.isOwnDoing ? departure.decliner ?? user : nil
        let isInferred = departure.isInferred
        if self.isAnswered {
            return joined.count < 2 ? self.end(departure.answered, by: actor, isInferred: isInferred, at: now) : []
        }
        guard joined.contains(where: { $0.user == self.rows.call.initiator }) else {
            return self.end(departure.unanswered, by: actor, isInferred: isInferred, at: now)
        }
        guard joined.count == 1 else { return [] }
        let stillRings = self.rows.participants.contains { $0.state == .invited }
        if stillRings || self.isOpenInvitation { return self.move(to: .ringing) }
        // The last to go says how it ended; who merely left a call that others declined did not cancel it.
        let wasDeclined = self.rows.participants.contains { $0.state == .rejected }
        let isCancelled = departure.unanswered == .cancelled
        return self.end(
            wasDeclined && isCancelled ? .rejected : departure.unanswered, by: actor, isInferred: isInferred, at: now)
    }

    // MARK: What participants say about themselves

    /// Members that a participant changes; `nil` leaves one as it is.
    package struct MediaChange: Hashable, Sendable, Decodable {
        package let audio: Bool?
        package let video: Bool?
        package let screen: Bool?

        package init(audio: Bool? = nil, video: Bool? = nil, screen: Bool? = nil) {
            self.audio = audio
            self.video = video
            self.screen = screen
        }
    }

    /// The owning device muted, switched its camera, or says what ICE says. The same again changes nothing.
    ///
    /// - throws: ``Problem`` `call-ended`, `not-joined`, `joined-elsewhere`.
    package mutating func participantChanged(
        _ user: UserID, device: DeviceID, media: MediaChange?, connection: ConnectionState?, at now: Timestamp
    ) throws(Problem) -> [CallAction] {
        let before = try self.requireJoined(user, on: device)
        var after = before
        if let media {
            after.media = ParticipantMedia(
                audio: media.audio ?? before.media.audio, video: media.video ?? before.media.video,
                screen: media.screen ?? before.media.screen)
        }
        if let connection, connection != before.connection {
            after.connection = connection
            after.connectionAt = now
        }
        guard after != before else { return [] }
        self.change(user) { $0 = after }
        var actions: [CallAction] = [.announceParticipant(user)]
        if let connection, connection != before.connection {
            actions.append(.record(.connection(user, connection)))
        }
        // A report before the answer cannot be about this call's media.
        if connection == .connected, self.isAnswered, self.rows.call.connectedAt == nil {
            self.rows.call.connectedAt = now
            actions += [.record(.connected(user)), .announceUpdated]
        }
        return actions
    }
}
