/// A user as admins see them: as others do, and whether they are in use.
package struct UserOverviewPayload: Encodable, Sendable {
    private let view: UserOverview
    package init(_ view: UserOverview) { self.view = view }

    private enum CodingKeys: String, CodingKey {
        case lastUsedAt, roomCount, sessionCount
    }

    package func encode(to encoder: any Encoder) throws {
        try UserPayload(self.view.user).encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.view.user.lastUsedAt, forKey: .lastUsedAt)
        try container.encode(self.view.roomCount, forKey: .roomCount)
        try container.encode(self.view.sessionCount, forKey: .sessionCount)
    }
}

/// A room as admins see it.
package struct RoomOverviewPayload: Encodable, Sendable {
    private let view: RoomOverview
    package init(_ view: RoomOverview) { self.view = view }

    private enum CodingKeys: String, CodingKey {
        case memberCount, messageCount, liveCallCount, lastActivityAt
    }

    package func encode(to encoder: any Encoder) throws {
        try RoomPayload(self.view.room).encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.view.memberCount, forKey: .memberCount)
        try container.encode(self.view.messageCount, forKey: .messageCount)
        try container.encode(self.view.liveCallCount, forKey: .liveCallCount)
        try container.encode(self.view.lastMessageAt ?? self.view.room.createdAt, forKey: .lastActivityAt)
    }
}

/// A backup and how far it is.
package struct BackupPayload: Encodable, Sendable {
    private let backup: Backup
    package init(_ backup: Backup) { self.backup = backup }

    private enum CodingKeys: String, CodingKey {
        case id, state, file, createdBy, createdAt, finishedAt, bytes, progress, failure
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.backup.id, forKey: .id)
        try container.encode(self.backup.state, forKey: .state)
        try container.encode(self.backup.file, forKey: .file)
        try container.encode(self.backup.createdBy, forKey: .createdBy)
        try container.encode(self.backup.createdAt, forKey: .createdAt)
        try container.encode(self.backup.finishedAt, forKey: .finishedAt)
        try container.encode(self.backup.bytes, forKey: .bytes)
        try container.encode(self.backup.progress.share, forKey: .progress)
        try container.encode(self.backup.failure, forKey: .failure)
    }
}

/// An entry of the audit log with the admin's name.
package struct AuditEntryPayload: Encodable, Sendable {
    private let entry: AuditEntry
    private let admin: User?

    /// - parameter admin: `nil` if there is no row any more.
    package init(_ entry: AuditEntry, admin: User?) { (self.entry, self.admin) = (entry, admin) }

    private enum CodingKeys: String, CodingKey {
        case id, admin, username, action, resource, parameters, at, requestId, remoteAddress
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.entry.id, forKey: .id)
        try container.encode(self.entry.admin, forKey: .admin)
        try container.encode(self.admin?.username, forKey: .username)
        try container.encode(self.entry.action, forKey: .action)
        try container.encode(self.entry.resource, forKey: .resource)
        try container.encode(try JSON.decode(JSONValue.self, from: self.entry.parameters), forKey: .parameters)
        try container.encode(self.entry.at, forKey: .at)
        try container.encode(self.entry.origin.requestID, forKey: .requestId)
        try container.encode(self.entry.origin.remoteAddress, forKey: .remoteAddress)
    }
}
