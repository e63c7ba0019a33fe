// The contract's representations, as answers and as the `data` of events. `null` members are written, not left out,
// so that a client finds every field that the contract names.

/// A user as everybody who may see them does.
package struct UserPayload: Encodable, Sendable {
    package let user: User
    /// `suspended` and `role` are shown to everybody; credentials never.
    package init(_ user: User) { self.user = user }

    private enum CodingKeys: String, CodingKey {
        case id, username, displayName, color, role, kind, suspended, online, createdAt
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.user.id, forKey: .id)
        try container.encode(self.user.username, forKey: .username)
        try container.encode(self.user.displayName, forKey: .displayName)
        try container.encode(self.user.color, forKey: .color)
        try container.encode(self.user.role, forKey: .role)
        try container.encode(self.user.kind, forKey: .kind)
        try container.encode(self.user.isSuspended, forKey: .suspended)
        try container.encode(self.user.isOnline, forKey: .online)
        try container.encode(self.user.createdAt, forKey: .createdAt)
    }
}

/// A room. `memberCount`, `unreadCount` and `role` are the asking user's view; in events they are absent, as the log
/// is the same for all.
package struct RoomPayload: Encodable, Sendable {
    package let room: Room
    package let view: RoomView?
    package init(_ room: Room) { (self.room, self.view) = (room, nil) }
    package init(_ view: RoomView) { (self.room, self.view) = (view.room, view) }

    private enum CodingKeys: String, CodingKey {
        case id, name, title, visibility, createdBy, createdAt, memberCount, unreadCount, role, archived, bridge,
            bridgeState
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.room.id, forKey: .id)
        try container.encode(self.room.name, forKey: .name)
        try container.encode(self.room.title, forKey: .title)
        try container.encode(self.room.visibility, forKey: .visibility)
        try container.encode(self.room.createdBy, forKey: .createdBy)
        try container.encode(self.room.createdAt, forKey: .createdAt)
        if let view {
            try container.encode(view.memberCount, forKey: .memberCount)
            try container.encode(view.unreadCount, forKey: .unreadCount)
            try container.encode(view.role, forKey: .role)
        }
        try container.encode(self.room.isArchived, forKey: .archived)
        try container.encode(self.room.bridge, forKey: .bridge)
        try container.encode(self.room.bridgeState, forKey: .bridgeState)
    }
}

/// A member: the user's id with names and colour, so that a list needs no further requests.
package struct MemberPayload: Encodable, Sendable {
    package let member: Member
    package let user: User
    package init(_ member: Member, _ user: User) { (self.member, self.user) = (member, user) }

    private enum CodingKeys: String, CodingKey {
        case room, user, username, displayName, color, role, joinedAt, online
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.member.room, forKey: .room)
        try container.encode(self.member.user, forKey: .user)
        try container.encode(self.user.username, forKey: .username)
        try container.encode(self.user.displayName, forKey: .displayName)
        try container.encode(self.user.color, forKey: .color)
        try container.encode(self.member.role, forKey: .role)
        try container.encode(self.member.joinedAt, forKey: .joinedAt)
        try container.encode(self.user.isOnline, forKey: .online)
    }
}

/// A message with its author's names and colour at the time of asking (in events: of writing).
package struct MessagePayload: Encodable, Sendable {
    package let message: Message
    package let user: User
    package init(_ message: Message, _ user: User) { (self.message, self.user) = (message, user) }

    private enum CodingKeys: String, CodingKey {
        case id, room, seq, user, username, displayName, color, content, metadata, createdAt, editedAt, deletedAt,
            origin
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.message.id, forKey: .id)
        try container.encode(self.message.room, forKey: .room)
        try container.encode(self.message.seq, forKey: .seq)
        try container.encode(self.message.user, forKey: .user)
        try container.encode(self.user.username, forKey: .username)
        try container.encode(self.user.displayName, forKey: .displayName)
        try container.encode(self.user.color, forKey: .color)
        try container.encode(self.message.content, forKey: .content)
        try container.encode(
            try self.message.metadata.map { try JSON.decode(JSONValue.self, from: $0) }, forKey: .metadata)
        try container.encode(self.message.createdAt, forKey: .createdAt)
        try container.encode(self.message.editedAt, forKey: .editedAt)
        try container.encode(self.message.deletedAt, forKey: .deletedAt)
        try container.encode(self.message.origin, forKey: .origin)
    }
}

/// A participant with their names and colour; `user` is nil for one whose row is gone.
package struct ParticipantPayload: Encodable, Sendable {
    package let participant: Participant
    package let user: User?
    package init(_ participant: Participant, _ user: User?) { (self.participant, self.user) = (participant, user) }

    private enum CodingKeys: String, CodingKey {
        case user, username, displayName, color, device, leg, state, busy, joinedAt, leftAt, media, connection,
            transport
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.participant.user, forKey: .user)
        try container.encode(self.user?.username, forKey: .username)
        try container.encode(self.user?.displayName, forKey: .displayName)
        try container.encode(self.user?.color, forKey: .color)
        try container.encode(self.participant.device, forKey: .device)
        try container.encode(self.participant.leg, forKey: .leg)
        try container.encode(self.participant.state, forKey: .state)
        try container.encode(self.participant.isBusy, forKey: .busy)
        try container.encode(self.participant.joinedAt, forKey: .joinedAt)
        try container.encode(self.participant.leftAt, forKey: .leftAt)
        try container.encode(self.participant.media, forKey: .media)
        try container.encode(self.participant.connection, forKey: .connection)
        try container.encode(self.participant.transport, forKey: .transport)
    }
}

/// A call with its participants, in order of first appearance.
package struct CallPayload: Encodable, Sendable {
    package let call: Call
    package let participants: [ParticipantPayload]
    package init(_ call: Call, participants: [ParticipantPayload]) {
        (self.call, self.participants) = (call, participants)
    }

    private enum CodingKeys: String, CodingKey {
        case id, room, initiator, state, endReason, endedBy, participants, media, ringTimeoutSeconds, createdAt,
            ringingAt, answeredAt, connectedAt, endedAt, durationSeconds
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.call.id, forKey: .id)
        try container.encode(self.call.room, forKey: .room)
        try container.encode(self.call.initiator, forKey: .initiator)
        try container.encode(self.call.state, forKey: .state)
        try container.encode(self.call.endReason, forKey: .endReason)
        try container.encode(self.call.endedBy, forKey: .endedBy)
        try container.encode(self.participants, forKey: .participants)
        try container.encode(self.call.media, forKey: .media)
        try container.encode(self.call.ringTimeoutSeconds, forKey: .ringTimeoutSeconds)
        try container.encode(self.call.createdAt, forKey: .createdAt)
        try container.encode(self.call.ringingAt, forKey: .ringingAt)
        try container.encode(self.call.answeredAt, forKey: .answeredAt)
        try container.encode(self.call.connectedAt, forKey: .connectedAt)
        try container.encode(self.call.endedAt, forKey: .endedAt)
        try container.encode(self.call.durationSeconds, forKey: .durationSeconds)
    }
}
