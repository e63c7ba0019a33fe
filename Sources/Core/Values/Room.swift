/// Who knows of a room: everybody, or its members alone.
package enum RoomVisibility: String, Codable, Sendable, CaseIterable { case `public`, `private` }

/// What a member may do grows from `member` to `owner`; see ``Permission``.
package enum MemberRole: String, Codable, Sendable, CaseIterable { case owner, moderator, member }

/// A place for chat and calls.
package struct Room: Hashable, Sendable {
    package var id: RoomID
    /// Public rooms only, unique: `[a-z0-9_.-]{2,32}`; stands for the id in a path.
    package var name: String?
    package var title: String
    package var visibility: RoomVisibility
    package var createdBy: UserID
    package var createdAt: Timestamp
    package var isArchived: Bool
    /// Which bridge joins it to a remote room, if any.
    package var bridge: BridgeName?
    /// How that bridge stands, as last logged by `room.updated`; `nil` before it was known.
    package var bridgeState: BridgeState?

    package init(
        id: RoomID, name: String?, title: String, visibility: RoomVisibility, createdBy: UserID, createdAt: Timestamp,
        isArchived: Bool = false, bridge: BridgeName? = nil, bridgeState: BridgeState? = nil
    ) {
        self.id = id
        self.name = name
        self.title = title
        self.visibility = visibility
        self.createdBy = createdBy
        self.createdAt = createdAt
        self.isArchived = isArchived
        self.bridge = bridge
        self.bridgeState = bridgeState
    }
}

/// One user's membership of one room; it ends with its row.
package struct Member: Hashable, Sendable {
    package var room: RoomID
    package var user: UserID
    package var role: MemberRole
    package var joinedAt: Timestamp
    /// The seq of the `member.joined` event: room events are visible from here on.
    package var joinedSeq: Int64
    /// Messages up to here are read.
    package var readSeq: Int64

    package init(
        room: RoomID, user: UserID, role: MemberRole, joinedAt: Timestamp, joinedSeq: Int64, readSeq: Int64
    ) {
        self.room = room
        self.user = user
        self.role = role
        self.joinedAt = joinedAt
        self.joinedSeq = joinedSeq
        self.readSeq = readSeq
    }
}

/// A room as one user finds it in a list.
package struct RoomView: Hashable, Sendable {
    package var room: Room
    package var memberCount: Int
    /// Messages of others behind the read marker; 0 for a non-member.
    package var unreadCount: Int
    /// The user's own role; `nil` for a non-member.
    package var role: MemberRole?

    package init(room: Room, memberCount: Int, unreadCount: Int, role: MemberRole?) {
        self.room = room
        self.memberCount = memberCount
        self.unreadCount = unreadCount
        self.role = role
    }
}

/// By which door a message came.
package enum MessageOrigin: String, Codable, Sendable, CaseIterable { case rest, websocket, bridge }

/// One chat message; once deleted a tombstone.
package struct Message: Hashable, Sendable {
    package var id: MessageID
    package var room: RoomID
    /// The seq of its `message.created` event: orders a room's messages.
    package var seq: Int64
    package var user: UserID
    /// Empty once deleted.
    package var content: String
    /// A JSON object as text; `nil` for none.
    package var metadata: String?
    package var createdAt: Timestamp
    package var editedAt: Timestamp?
    package var deletedAt: Timestamp?
    package var origin: MessageOrigin

    package init(
        id: MessageID, room: RoomID, seq: Int64, user: UserID, content: String, metadata: String?, createdAt: Timestamp,
        editedAt: Timestamp? = nil, deletedAt: Timestamp? = nil, origin: MessageOrigin
    ) {
        self.id = id
        self.room = room
        self.seq = seq
        self.user = user
        self.content = content
        self.metadata = metadata
        self.createdAt = createdAt
        self.editedAt = editedAt
        self.deletedAt = deletedAt
        self.origin = origin
    }
}
