/// A call to be made.
package struct NewCall: Sendable {
    package var media: CallMedia
    /// Whom to ring; empty for an open invitation to the room.
    package var invite: [UserReference]
    package var ringTimeoutSeconds: Int
    /// SHA-256 of the token that lets a beacon end the caller's leg.
    /// `nil` where nobody is given one.
    package var leaveTokenHash: String?
    /// How the caller's device reads at this moment; `nil` if it does not.
    package var transport: Transport?
    /// How long the TURN credentials hold that the answer gives; `nil` for none.
    package var credentialsLifetime: Duration?
    /// See ``Participant/readsFrames``.
    package var readsFrames: Bool

    package init(
        media: CallMedia, invite: [UserReference] = [], ringTimeoutSeconds: Int = Limits.ringTimeoutSecondsDefault,
        leaveTokenHash: String?, transport: Transport? = nil, credentialsLifetime: Duration? = nil,
        readsFrames: Bool = false
    ) {
        self.readsFrames = readsFrames
        self.transport = transport
        self.credentialsLifetime = credentialsLifetime
        self.media = media
        self.invite = invite
        self.ringTimeoutSeconds = ringTimeoutSeconds
        self.leaveTokenHash = leaveTokenHash
    }
}

/// A joining of a call.
package struct CallJoining: Sendable {
    /// What differs from the call's own media, screen off.
    package var media: CallStateMachine.MediaChange
    package var holdsCandidates: Bool
    package var takesOver: Bool
    package var leaveTokenHash: String
    /// How the joining device reads at this moment; `nil` if it does not.
    package var transport: Transport?
    /// As in ``NewCall``.
    package var credentialsLifetime: Duration?

    package init(
        media: CallStateMachine.MediaChange = .init(), holdsCandidates: Bool = false, takesOver: Bool = false,
        leaveTokenHash: String, transport: Transport? = nil, credentialsLifetime: Duration? = nil
    ) {
        self.transport = transport
        self.credentialsLifetime = credentialsLifetime
        self.media = media
        self.holdsCandidates = holdsCandidates
        self.takesOver = takesOver
        self.leaveTokenHash = leaveTokenHash
    }
}

/// What became of a signal that was taken.
package struct SignalReceipt: Sendable {
    package let id: SignalID
    /// As logged for the addressee's device; `nil` while the signal is held.
    package let event: Event?
    /// The addressee's device.
    package let device: DeviceID?
    /// The signal was not taken after all: answer with this, but keep the write, as the record tells of it.
    package let refusal: Problem?
}

extension StoreWriter {
    /// Starts a call in a room, its caller joined, and posts the invitation to the chat.
    ///
    /// - throws: ``Problem`` `not-found`, `not-a-member`, `room-archived`, `call-glare`, `limit-reached`,
    ///   `validation-failed`.
    package func createCall(
        in room: RoomReference, _ new: NewCall, joinedMax: Int = Limits.joinedParticipantsMax, as acting: Acting
    ) throws -> CallPayload {
        try FieldRules.ringTimeout(new.ringTimeoutSeconds)
        let room = try self.writableAccess(room, as: acting.user, to: .startCall).room
        let invited = try self.invitees(new.invite, field: "invite", of: room.id, as: acting.user)
        let outcome = try self.openCall(in: room, new, inviting: invited, joinedMax: joinedMax, as: acting)
        // The seed's invitation: its clients know a call by this message.
        try self.write(
            content: "📞 [KLIK DI SINI] ",
            metadata: try MessageMetadata.invitation(to: outcome.rows.call.id, .object([:]), from: .rest),
            origin: .rest, in: room, as: acting)
        return outcome.payload
    }

    /// Starts a call of somebody who may, its caller joined; nothing is said in the chat.
    ///
    /// - parameter invited: members of the room whom it rings.
    /// - throws: ``Problem`` `call-glare`, `limit-reached`.
    func openCall(
        in room: Room, _ new: NewCall, inviting invited: [UserID], joinedMax: Int, as acting: Acting
    ) throws -> CallOutcome {
        try self.requireNoCrossing(inviting: invited, in: room.id, as: acting.user)
        let started = try self.liveCalls(of: acting.user.id, in: nil).count { id in
            try self.callRows(id)?.call.initiator == acting.user.id
        }
        guard started < Limits.liveCallsPerInitiatorMax else {
            throw Problem(.limitReached, "You have started \(Limits.liveCallsPerInitiatorMax) calls that go on")
        }
        let call = Call(
            id: acting.ids.next(at: acting.now), room: room.id, initiator: acting.user.id, media: new.media,
            ringTimeoutSeconds: new.ringTimeoutSeconds, createdAt: acting.now)
        let joining = CallStateMachine.Joining(
            user: acting.user.id, device: acting.device, leg: acting.ids.next(at: acting.now),
            leaveTokenHash: new.leaveTokenHash,
            media: ParticipantMedia(audio: new.media.audio, video: new.media.video, screen: false),
            holdsCandidates: new.readsFrames, transport: new.transport,
            credentialsLifetime: new.credentialsLifetime, readsFrames: new.readsFrames)
        let created = CallStateMachine.created(
            call, by: joining, inviting: invited, busy: try self.busy(among: invited, but: call.id),
            joinedMax: joinedMax)
        return try self.carryOut(created.actions, rows: created.machine.rows, CallInput(old: nil, as: acting))
    }

    /// Joins a call on the asker's device; `peers` are whom it offers to.
    ///
    /// - throws: ``Problem`` `not-found`, `not-a-member`, `room-archived`, `joined-elsewhere`, `call-ended`,
    ///   `call-full`, `limit-reached`.
    package func joinCall(
        _ id: CallID, _ joining: CallJoining, joinedMax: Int = Limits.joinedParticipantsMax, as acting: Acting
    ) throws -> (call: CallPayload, peers: [CallStateMachine.Peer]) {
        let (rows, access) = try self.callRows(id, as: acting.user, to: .joinCall)
        guard !access.room.isArchived else { throw try self.adding(rows, to: Problem(.roomArchived)) }
        let media = rows.call.media
        let input = CallStateMachine.Joining(
            user: acting.user.id, device: acting.device, leg: acting.ids.next(at: acting.now),
            leaveTokenHash: joining.leaveTokenHash,
            media: ParticipantMedia(
                audio: joining.media.audio ?? media.audio, video: joining.media.video ?? media.video,
                screen: joining.media.screen ?? false),
            holdsCandidates: joining.holdsCandidates, takesOver: joining.takesOver,
            transport: joining.transport, credentialsLifetime: joining.credentialsLifetime)
        let outcome = try self.decide(CallInput(old: rows, as: acting), joinedMax: joinedMax) {
            machine throws(Problem) in try machine.joined(input, at: acting.now)
        }
        return (outcome.payload, CallStateMachine(outcome.rows).peers(of: acting.user.id))
    }

    /// Rings more members of the room.
    ///
    /// - throws: ``Problem`` `not-found`, `not-a-member`, `not-joined`, `call-ended`, `call-glare`, `limit-reached`,
    ///   `validation-failed`.
    package func inviteToCall(_ id: CallID, _ users: [UserReference], as acting: Acting) throws -> CallPayload {
        let (rows, access) = try self.callRows(id, as: acting.user, to: .joinCall)
        guard !users.isEmpty else { throw Problem.invalid("users", "must not be empty") }
        let invited = try self.invitees(users, field: "users", of: access.room.id, as: acting.user)
        if rows.participants.filter({ $0.state == .joined || $0.state == .invited }).map(\.user) == [acting.user.id] {
            try self.requireNoCrossing(inviting: invited, in: access.room.id, as: acting.user)
        }
        let busy = try self.busy(among: invited, but: id)
        return try self.decide(CallInput(old: rows, as: acting)) {
            machine throws(Problem) in
            try machine.invited(invited, by: acting.user.id, busy: busy, at: acting.now)
        }.payload
    }

    /// Passes a signal to one peer, or holds it until its time has come.
    ///
    /// - throws: ``Problem`` `not-found`, `not-a-member`, `call-ended`, `not-joined`, `joined-elsewhere`, `glare`,
    ///   `stale-offer`, `validation-failed`. A batch that does not fit is no error here: see ``SignalReceipt/refusal``.
    package func sendSignal(
        _ id: CallID, to peer: UserReference, _ content: SignalContent, as acting: Acting
    ) throws -> SignalReceipt {
        let rows = try self.callRows(id, as: acting.user, to: .joinCall).rows
        return try self.pass(content, to: try self.signalPeer(peer, as: acting.user), in: rows, as: acting)
    }

    /// As above, in a call of which the asker is known to be allowed to be in.
    ///
    /// - parameter preparation: what happens in the call right before, in the same decision.
    func pass(
        _ content: SignalContent, to peer: UserID, in rows: CallRows, joinedMax: Int = Limits.joinedParticipantsMax,
        as acting: Acting,
        behind preparation: (inout CallStateMachine) throws(Problem) -> [CallAction] = { _ in [] }
    ) throws -> SignalReceipt {
        let signal = IncomingSignal(
            id: acting.ids.next(at: acting.now), from: acting.user.id, device: acting.device, to: peer,
            payload: content.payload, at: acting.now)
        let input = CallInput(old: rows, as: acting)
        let outcome = try self.decide(input, joinedMax: joinedMax) { machine throws(Problem) in
            let prepared = try preparation(&machine)
            return try prepared + machine.received(signal, content.kind)
        }
        return SignalReceipt(
            id: signal.id, event: outcome.delivered[signal.id],
            device: outcome.rows.participants.first { $0.user == peer }?.device, refusal: outcome.refusal)
    }

    /// Declines the asker's ring, on all devices. Safe to repeat.
    ///
    /// - throws: ``Problem`` `not-found`, `not-a-member`, `call-ended`, `illegal-move`, `validation-failed`.
    package func rejectCall(_ id: CallID, reason: String?, as acting: Acting) throws -> CallPayload {
        try FieldRules.reason(reason)
        let rows = try self.callRows(id, as: acting.user, to: .readCalls).rows
        return try self.decide(CallInput(old: rows, as: acting)) {
            machine throws(Problem) in try machine.declined(acting.user.id, reason: reason, at: acting.now)
        }.payload
    }

    /// Changes what the asker sends, or says what ICE says, from the owning device.
    ///
    /// - throws: ``Problem`` `not-found`, `not-a-member`, `call-ended`, `not-joined`, `joined-elsewhere`.
    package func changeParticipant(
        _ id: CallID, media: CallStateMachine.MediaChange?, connection: ConnectionState?, as acting: Acting
    ) throws -> CallPayload {
        let rows = try self.callRows(id, as: acting.user, to: .joinCall).rows
        return try self.decide(CallInput(old: rows, as: acting)) { machine throws(Problem) in
            try machine.participantChanged(
                acting.user.id, device: acting.device, media: media, connection: connection, at: acting.now)
        }.payload
    }

    /// The named users, who must be members of the room; each once.
    private func invitees(
        _ references: [UserReference], field: String, of room: RoomID, as user: User
    ) throws -> [UserID] {
        guard references.count <= Limits.invitedUsersMax else {
            throw Problem.invalid(field, "must have at most \(Limits.invitedUsersMax) elements")
        }
        var found: [UserID] = []
        for (index, reference) in references.enumerated() {
            // One answer for who does not exist and who is no member: others' existence is nobody's business.
            guard let invited = try? self.user(reference, as: user), try self.member(invited.id, of: room) != nil else {
                throw Problem.invalid("\(field)[\(index)]", "must be a member of this room")
            }
            guard invited.id != user.id else { throw Problem.invalid("\(field)[\(index)]", "must not be yourself") }
            if !found.contains(invited.id) { found.append(invited.id) }
        }
        return found
    }

    /// Whoever is not there has not joined.
    private func signalPeer(_ reference: UserReference, as user: User) throws -> UserID {
        let peer: UserID
        switch reference {
        case .id(let id): peer = id
        case .me: peer = user.id
        case .username(let name):
            guard let found = try self.user(username: name) else {
                throw Problem.invalid("to", "must be a user")
            }
            peer = found.id
        }
        guard peer != user.id else { throw Problem.invalid("to", "must not be yourself") }
        return peer
    }
}

extension CallStateMachine {
    fileprivate mutating func received(
        _ signal: IncomingSignal, _ kind: SignalContent.Kind
    ) throws(Problem) -> [CallAction] {
        switch kind {
        case .offer(let ufrags, let types): try self.offerReceived(signal, ufrags: ufrags, types: types)
        case .answer(let offer, let ufrags, let types):
            try self.answerReceived(signal, to: offer, ufrags: ufrags, types: types)
        case .candidates(let batch): try self.candidatesReceived(signal, batch: batch)
        case .reject(let offer, let reason): try self.rejectReceived(signal, of: offer, reason: reason)
        case .renegotiate: try self.messageReceived(signal, type: .renegotiate)
        case .restartICE: try self.messageReceived(signal, type: .restartICE)
        case .custom: try self.messageReceived(signal, type: .custom)
        }
    }
}

extension CallInput {
    init(old: CallRows?, as acting: Acting) {
        self.init(
            old: old, actor: acting.user.id, now: acting.now, ids: acting.ids,
            reading: acting.transport.map { (acting.device, $0) })
    }
}
