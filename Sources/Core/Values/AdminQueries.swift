/// One page of all users, deleted ones left out; ascending by id.
package struct UserQuery: Hashable, Sendable {
    /// A part of the username or of the display name, in any case of ASCII letters, or the whole id.
    package var search: String?
    package var role: UserRole?
    package var kind: UserKind?
    package var isSuspended: Bool?
    package var isOnline: Bool?
    package var after: UserID?
    package var limit: Int

    package init(
        search: String? = nil, role: UserRole? = nil, kind: UserKind? = nil, isSuspended: Bool? = nil,
        isOnline: Bool? = nil, after: UserID? = nil, limit: Int
    ) {
        self.search = search
        self.role = role
        self.kind = kind
        self.isSuspended = isSuspended
        self.isOnline = isOnline
        self.after = after
        self.limit = limit
    }
}

/// One page of all rooms, private and archived ones too; ascending by id.
package struct RoomQuery: Hashable, Sendable {
    /// A part of the name or of the title, in any case of ASCII letters, or the whole id.
    package var search: String?
    package var visibility: RoomVisibility?
    package var isArchived: Bool?
    package var after: RoomID?
    package var limit: Int

    package init(
        search: String? = nil, visibility: RoomVisibility? = nil, isArchived: Bool? = nil, after: RoomID? = nil,
        limit: Int
    ) {
        self.search = search
        self.visibility = visibility
        self.isArchived = isArchived
        self.after = after
        self.limit = limit
    }
}

/// A user as admins find them in a list.
package struct UserOverview: Hashable, Sendable {
    package var user: User
    package var roomCount: Int
    /// Token families that stand.
    package var sessionCount: Int

    package init(user: User, roomCount: Int, sessionCount: Int) {
        self.user = user
        self.roomCount = roomCount
        self.sessionCount = sessionCount
    }
}

/// A room as admins find it in a list: what goes on in it, not what is said.
package struct RoomOverview: Hashable, Sendable {
    package var room: Room
    package var memberCount: Int
    /// Deleted ones too.
    package var messageCount: Int
    /// Calls that have not ended.
    package var liveCallCount: Int
    /// When the newest message was written; calls write one. `nil` for none.
    package var lastMessageAt: Timestamp?

    package init(
        room: Room, memberCount: Int, messageCount: Int, liveCallCount: Int, lastMessageAt: Timestamp?
    ) {
        self.room = room
        self.memberCount = memberCount
        self.messageCount = messageCount
        self.liveCallCount = liveCallCount
        self.lastMessageAt = lastMessageAt
    }
}
