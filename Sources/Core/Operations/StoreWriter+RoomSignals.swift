// The room protocol's frames as inputs to calls: what the seed's clients do without knowing of calls.

/// Whom a `signal` frame is for, as far as they can be reached at this moment.
package struct FrameRecipient: Sendable {
    /// A device by which somebody reads frames in a room.
    package struct Seat: Hashable, Sendable {
        package let device: DeviceID
        /// How it reads them.
        package let transport: Transport

        package init(device: DeviceID, transport: Transport) {
            self.device = device
            self.transport = transport
        }
    }

    package let user: UserID
    /// The newest, if there are several; `nil` for none.
    package let seat: Seat?
    /// Whether they read anything at all, or did a moment ago.
    package let isPresent: Bool

    package init(user: UserID, seat: Seat?, isPresent: Bool) {
        self.user = user
        self.seat = seat
        self.isPresent = isPresent
    }
}

/// What became of a `signal` frame.
package enum RoomSignalOutcome: Sendable {
    case passed(SignalReceipt)
    /// The addressee is rung, and reads no frames: they join by themselves and make an offer of their own.
    case ringing(CallID)
    /// The sender hung up, or declined.
    case done
    /// The addressee is no member, or not there. Nothing was changed.
    case recipientOffline
}

extension StoreWriter {
    /// Opens a call by the seed's `join_call` message: an open invitation to the room. The sender's device leaves the
    /// calls that it was in.
    ///
    /// - parameters:
    ///   - new: a message whose metadata says `"action": "join_call"`; the call's id is added to it.
    ///   - transport: how the sender reads frames.
    /// - throws: ``Problem`` `not-found`, `not-a-member`, `room-archived`, `limit-reached`, `validation-failed`.
    package func openCall(
        by new: NewMessage, in room: RoomReference, transport: Transport, joinedMax: Int, as acting: Acting
    ) throws -> (call: CallPayload, message: MessageID) {
        try FieldRules.messageContent(new.content)
        let room = try self.writableAccess(room, as: acting.user, to: .startCall).room
        try self.leaveCalls(as: acting, but: nil, reason: "inferred: opened another call")
        let outcome = try self.openCall(in: room, .frames(transport), inviting: [], joinedMax: joinedMax, as: acting)
        let metadata = try MessageMetadata.invitation(
            to: outcome.rows.call.id, new.metadata ?? .object([:]), from: new.origin)
        let message = try self.write(
            content: new.content, metadata: metadata, origin: new.origin, in: room, as: acting)
        return (outcome.payload, message.id)
    }

    /// Carries out a `signal` frame: finds the call that it belongs to, or opens one, and tells the call.
    ///
    /// It belongs to the live call in the room that joins sender and addressee. An offer to somebody who has opened a
    /// call, or whose call rings the sender, joins it; any other opens a call of two. Whoever offers or answers leaves
    /// the other calls of their device. `leave` to oneself hangs up whatever the device is in.
    ///
    /// - parameter transport: how the sender reads frames.
    /// - throws: ``Problem`` `not-found`, `not-a-member`, `room-archived`, `not-joined`, `joined-elsewhere`,
    ///   `call-full`, `call-glare`, `glare`, `stale-offer`, `limit-reached`, `validation-failed`.
    package func sendRoomSignal(
        _ signal: RoomSignal, to recipient: FrameRecipient, in room: RoomReference, transport: Transport,
        joinedMax: Int, as acting: Acting
    ) throws -> RoomSignalOutcome {
        let room = try self.writableAccess(room, as: acting.user, to: .joinCall).room
        if recipient.user == acting.user.id {
            guard case .leave = signal.kind else { throw Problem.invalid("to", "must not be yourself") }
            try self.hangUp(in: room.id, as: acting)
            return .done
        }
        guard try self.member(recipient.user, of: room.id) != nil else { return .recipientOffline }
        let meeting = try RoomMeeting(of: acting.user.id, recipient.user, in: room.id, store: self)
        switch signal.kind {
        case .offer:
            let joining = FrameJoining(transport: transport, joinedMax: joinedMax, acting: acting)
            return try self.offer(signal, to: recipient, in: room, meeting, joining)
        case .leave:
            if let rows = meeting.joined { _ = try self.leaveCall(rows.call.id, reason: nil, by: .user(acting)) }
            return .done
        case .answer, .candidate, .reject, .renegotiate, .restartICE, .custom:
            guard let rows = meeting.joined else { return try self.answerNobody(signal, recipient, meeting, acting) }
            let offer = CallStateMachine(rows).offerAwaitingAnswer(from: acting.user.id, to: recipient.user)
            guard let content = try signal.signalContent(answering: offer) else {
                throw Problem(.staleOffer, "The answer is not to the pending offer")
            }
            if case .answer = signal.kind { try self.leaveCalls(as: acting, but: rows.call.id) }
            return .passed(try self.pass(content, to: recipient.user, in: rows, as: acting))
        }
    }

    /// Leaves whatever the sender is in, also what nobody has joined yet.
    private func hangUp(in room: RoomID, as acting: Acting) throws {
        for id in try self.liveCalls(of: acting.user.id, in: room) {
            let own = try self.callRows(id)?.participants.first { $0.user == acting.user.id }
            guard own?.state == .joined, own?.device == acting.device else { continue }
            _ = try self.leaveCall(id, reason: nil, by: .user(acting))
        }
    }

    /// A signal that is no offer, between two whom no call joins.
    private func answerNobody(
        _ signal: RoomSignal, _ recipient: FrameRecipient, _ meeting: RoomMeeting, _ acting: Acting
    ) throws -> RoomSignalOutcome {
        switch signal.kind {
        case .reject(let reason):
            // There is no offer to reject; a ring can be declined.
            guard let rows = meeting.theirs, meeting.ringsAsker else { break }
            _ = try self.rejectCall(rows.call.id, reason: reason, as: acting)
            return .done
        case .candidate where meeting.ringingThem != nil:
            // Their connection begins with their own offer, so these are for none.
            return .done
        case .offer, .answer, .candidate, .renegotiate, .restartICE, .custom, .leave: break
        }
        guard recipient.isPresent else { return .recipientOffline }
        throw Problem(.notJoined)
    }

    private func offer(
        _ signal: RoomSignal, to recipient: FrameRecipient, in room: Room, _ meeting: RoomMeeting,
        _ joining: FrameJoining
    ) throws -> RoomSignalOutcome {
        let acting = joining.acting
        guard let content = try signal.signalContent(answering: nil) else { return .done }
        let known = (meeting.joined ?? meeting.theirs ?? meeting.ringingThem)?.call.id
        guard known != nil || recipient.isPresent else { return .recipientOffline }
        try self.leaveCalls(as: acting, but: known)
        // Loaded again, as leaving another call may have changed this one's rings.
        let rows =
            try known.flatMap { try self.callRows($0) }
            ?? self.openCall(
                in: room, .frames(joining.transport), inviting: recipient.seat == nil ? [recipient.user] : [],
                joinedMax: joining.joinedMax, as: acting
            ).rows
        let hasJoined = rows.participants.contains { $0.user == recipient.user && $0.state == .joined }
        guard hasJoined || recipient.seat != nil else { return .ringing(rows.call.id) }
        let own = joining.place(rows.call.media, acting.user.id, acting.device, joining.transport)
        let seat = recipient.seat.map { joining.place(rows.call.media, recipient.user, $0.device, $0.transport) }
        return .passed(
            try self.pass(content, to: recipient.user, in: rows, joinedMax: joining.joinedMax, as: acting) {
                machine throws(Problem) in
                var actions = try machine.offerBegins(own, to: recipient.user, at: acting.now)
                if let seat { actions += try machine.addresseeSeated(seat, at: acting.now) }
                return actions
            })
    }

    private func leaveCalls(
        as acting: Acting, but call: CallID?, reason: String = "inferred: negotiates in another call"
    ) throws {
        try self.leaveCalls(
            of: acting.user.id, on: acting.device, but: call, reason: reason, now: acting.now, ids: acting.ids)
    }
}

/// The live calls of a room in which two users have to do with one another, the newest of each kind.
private struct RoomMeeting {
    /// Both have joined.
    let joined: CallRows?
    /// The other has joined, and the asker may: it rings them, or is the other's own open invitation.
    let theirs: CallRows?
    /// The asker has joined, and it rings the other.
    let ringingThem: CallRows?
    /// Whether ``theirs`` rings the asker.
    let ringsAsker: Bool

    init(of user: UserID, _ peer: UserID, in room: RoomID, store: any StoreReader) throws {
        let state = { (rows: CallRows, user: UserID) in rows.participants.first { $0.user == user }?.state }
        // Ids ascend with time.
        let mine = try store.liveCalls(of: user, in: room).reversed().compactMap { try store.callRows($0) }
        self.joined = mine.first { state($0, user) == .joined && state($0, peer) == .joined }
        self.ringingThem = mine.first { state($0, user) == .joined && state($0, peer) == .invited }
        let others = try store.liveCalls(of: peer, in: room).reversed().compactMap { try store.callRows($0) }
        self.theirs = others.first { rows in
            guard state(rows, peer) == .joined else { return false }
            return state(rows, user) == .invited
                || (rows.call.initiator == peer && CallStateMachine(rows).isOpenInvitation)
        }
        self.ringsAsker = self.theirs.map { state($0, user) == .invited } ?? false
    }
}

/// How those join who speak frames.
private struct FrameJoining {
    /// The sender's.
    let transport: Transport
    let joinedMax: Int
    let acting: Acting

    func place(
        _ media: CallMedia, _ user: UserID, _ device: DeviceID, _ transport: Transport
    ) -> CallStateMachine.Joining {
        CallStateMachine.Joining(
            user: user, device: device, leg: self.acting.ids.next(at: self.acting.now), leaveTokenHash: nil,
            media: ParticipantMedia(audio: media.audio, video: media.video, screen: false), holdsCandidates: true,
            takesOver: true, transport: transport, readsFrames: true)
    }
}

extension NewCall {
    /// A call by frames: the seed's clients always ask for camera and microphone.
    fileprivate static func frames(_ transport: Transport) -> NewCall {
        NewCall(
            media: CallMedia(audio: true, video: true), leaveTokenHash: nil, transport: transport, readsFrames: true)
    }
}
