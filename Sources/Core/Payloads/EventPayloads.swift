// `data` of events that are not simply a resource.

/// `presence.changed`.
struct PresencePayload: Encodable {
    let user: UserID
    let username: String?
    let displayName: String
    let color: String
    let online: Bool

    init(_ user: User) {
        self.user = user.id
        self.username = user.username
        self.displayName = user.displayName
        self.color = user.color
        self.online = user.isOnline
    }
}

/// `member.left`: the member as they were, and why they are gone.
struct MemberLeftPayload: Encodable {
    /// Why a membership ended.
    enum Reason: String, Encodable { case left, removed, deleted }

    let member: MemberPayload
    let reason: Reason

    private enum CodingKeys: String, CodingKey { case reason }

    func encode(to encoder: any Encoder) throws {
        try self.member.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.reason, forKey: .reason)
    }
}

/// `read.updated`: messages up to `seq` are read.
struct ReadPayload: Encodable {
    let room: RoomID
    let message: MessageID
    let seq: Int64
}

/// `typing`, which is not in the log.
package struct TypingPayload: Encodable, Sendable {
    package let room: RoomID
    package let user: UserID
    package let username: String?
    package let displayName: String
    package let color: String
}

/// `internal.session-revoked`.
package struct SessionRevokedPayload: Codable, Sendable {
    package let session: SessionID
    package let user: UserID
}

/// `internal.user-changed`.
package struct UserChangedPayload: Codable, Sendable {
    package let user: UserID
}

/// `internal.bridge-changed`.
package struct BridgeChangedPayload: Codable, Sendable {
    package let bridge: BridgeName
}
