/// What admins do that the audit log tells of: every change, and every read of somebody's record.
package enum AuditAction: String, Sendable, CaseIterable {
    case usersListed = "users.list"
    case userChanged = "users.change"
    case userShown = "users.show"
    case roomsListed = "rooms.list"
    case roomShown = "rooms.show"
    case roomChanged = "rooms.change"
    case memberChanged = "members.change"
    case memberRemoved = "members.remove"
    case messagesSearched = "messages.search"
    case callsListed = "calls.list"
    case callShown = "calls.show"
    case callsExported = "calls.export"
    case callStatistics = "calls.stats"
    case callEnded = "calls.end"
    case connectionsListed = "connections.list"
    case connectionCut = "connections.cut"
    case bridgeCreated = "bridges.create"
    case bridgeChanged = "bridges.change"
    case bridgeRemoved = "bridges.remove"
    case backupStarted = "backups.create"
    /// By whoever holds the data directory, not over HTTP.
    case backupRestored = "backups.restore"
}

/// What is done, before it is known who does it and when.
package struct AuditRecord: Hashable, Sendable {
    package let action: AuditAction
    /// The id of what it is done to; `nil` for a list.
    package let resource: String?
    /// As asked for. Never a secret, and nothing that somebody wrote but what was searched for.
    package let parameters: [String: JSONValue]

    package init(_ action: AuditAction, of resource: String? = nil, _ parameters: [String: JSONValue] = [:]) {
        self.action = action
        self.resource = resource
        self.parameters = parameters
    }
}

/// Which request it was.
package struct RequestOrigin: Hashable, Sendable {
    /// As in `X-Request-Id` and in the server's log; empty if it was none.
    package let requestID: String
    /// The other end of the connection, which may be a proxy; `nil` if unknown.
    package let remoteAddress: String?

    package init(requestID: String = "", remoteAddress: String? = nil) {
        self.requestID = requestID
        self.remoteAddress = remoteAddress
    }
}

/// One entry of the audit log; never changed, deleted by age only.
package struct AuditEntry: Hashable, Sendable {
    package let id: AuditEntryID
    package let admin: UserID
    /// One of ``AuditAction``, or that of another version.
    package let action: String
    package let resource: String?
    /// A JSON object as text.
    package let parameters: String
    package let at: Timestamp
    package let origin: RequestOrigin

    package init(
        id: AuditEntryID, admin: UserID, action: String, resource: String?, parameters: String, at: Timestamp,
        origin: RequestOrigin
    ) {
        self.id = id
        self.admin = admin
        self.action = action
        self.resource = resource
        self.parameters = parameters
        self.at = at
        self.origin = origin
    }
}

/// One page of the audit log.
package struct AuditQuery: Hashable, Sendable {
    package var admin: UserID?
    package var action: AuditAction?
    package var resource: String?
    /// Inclusive.
    package var since: Timestamp?
    /// Exclusive.
    package var until: Timestamp?
    /// Exclusive bounds by id.
    package var before: AuditEntryID?
    package var after: AuditEntryID?
    package var limit: Int

    package init(
        admin: UserID? = nil, action: AuditAction? = nil, resource: String? = nil, since: Timestamp? = nil,
        until: Timestamp? = nil, before: AuditEntryID? = nil, after: AuditEntryID? = nil, limit: Int
    ) {
        self.admin = admin
        self.action = action
        self.resource = resource
        self.since = since
        self.until = until
        self.before = before
        self.after = after
        self.limit = limit
    }
}
