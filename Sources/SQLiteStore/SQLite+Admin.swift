import Core
import GRDB

extension AuditEntry {
    fileprivate static let table = Table(
        "auditEntry", key: ["id"],
        ["admin", "action", "resource", "parameters", "at", "requestID", "remoteAddress"])

    fileprivate init(_ row: inout Columns) {
        self.init(
            id: row.id(), admin: row.id(), action: row.text(), resource: row.optionalText(), parameters: row.text(),
            at: row.time(), origin: RequestOrigin(requestID: row.text(), remoteAddress: row.optionalText()))
    }

    fileprivate var values: [SQLValue] {
        [
            self.id.text, self.admin.text, self.action, self.resource, self.parameters, self.at.milliseconds,
            self.origin.requestID, self.origin.remoteAddress,
        ]
    }
}

extension Backup {
    fileprivate static let table = Table(
        "backup", key: ["id"],
        [
            "state", "file", "createdBy", "createdAt", "finishedAt", "bytes", "pagesDone", "pagesTotal", "failure",
        ])

    fileprivate init(_ row: inout Columns) throws {
        self.init(
            id: row.id(), state: try row.value(), file: row.text(), createdBy: row.id(), createdAt: row.time(),
            finishedAt: row.optionalTime(), bytes: row.optionalInteger(),
            progress: CopyProgress(pagesDone: Int(row.integer()), pagesTotal: Int(row.integer())),
            failure: row.optionalText())
    }

    fileprivate var values: [SQLValue] {
        [
            self.id.text, self.state.rawValue, self.file, self.createdBy.text, self.createdAt.milliseconds,
            self.finishedAt?.milliseconds, self.bytes, self.progress.pagesDone, self.progress.pagesTotal, self.failure,
        ]
    }
}

extension SQLiteReading {
    func users(_ query: UserQuery) throws -> [UserOverview] {
        var conditions = ["user.id > ?1", "user.deletedAt IS NULL"]
        var values: [SQLValue] = [query.after?.text ?? "", query.limit]
        // As literals, so that the indexes of the few are found.
        if let role = query.role { conditions.append("user.role = '\(role.rawValue)'") }
        if let kind = query.kind { conditions.append("user.kind = '\(kind.rawValue)'") }
        if let isSuspended = query.isSuspended { conditions.append("user.isSuspended = \(isSuspended ? 1 : 0)") }
        if let isOnline = query.isOnline { conditions.append("user.isOnline = \(isOnline ? 1 : 0)") }
        if let search = query.search {
            values += [Self.pattern(search), search]
            let like = #"LIKE ?3 ESCAPE '\'"#
            conditions.append("(user.username \(like) OR user.displayName \(like) OR user.id = ?4)")
        }
        let sql = """
            SELECT \(User.table.selection), \
            (SELECT count(*) FROM member WHERE member.user = user.id), \
            (SELECT count(*) FROM session WHERE session.user = user.id AND session.revokedAt IS NULL) \
            FROM user WHERE \(conditions.joined(separator: " AND ")) ORDER BY user.id LIMIT ?2
            """
        return try self.db.all(sql, values) { row in
            let user = try User(&row)
            let roomCount = Int(row.integer())
            return UserOverview(user: user, roomCount: roomCount, sessionCount: Int(row.integer()))
        }
    }

    func actingAdminCount() throws -> Int {
        Int(
            try self.db.integer(
                "SELECT count(*) FROM user WHERE role = 'admin' AND isSuspended = 0 AND deletedAt IS NULL"))
    }

    func rooms(_ query: RoomQuery) throws -> [RoomOverview] {
        var conditions = ["room.id > ?1"]
        var values: [SQLValue] = [query.after?.text ?? "", query.limit]
        if let visibility = query.visibility { conditions.append("room.visibility = '\(visibility.rawValue)'") }
        if let isArchived = query.isArchived { conditions.append("room.isArchived = \(isArchived ? 1 : 0)") }
        if let search = query.search {
            values += [Self.pattern(search), search]
            let like = #"LIKE ?3 ESCAPE '\'"#
            conditions.append("(room.name \(like) OR room.title \(like) OR room.id = ?4)")
        }
        let live = CallState.allCases.filter { $0 != .ended }.map { "'\($0.rawValue)'" }.joined(separator: ", ")
        let sql = """
            SELECT \(Room.table.selection), \
            (SELECT count(*) FROM member WHERE member.room = room.id), \
            (SELECT count(*) FROM message WHERE message.room = room.id), \
            (SELECT count(*) FROM call WHERE call.room = room.id AND call.state IN (\(live))), \
            (SELECT createdAt FROM message WHERE message.room = room.id ORDER BY seq DESC LIMIT 1) \
            FROM room WHERE \(conditions.joined(separator: " AND ")) ORDER BY room.id LIMIT ?2
            """
        return try self.db.all(sql, values) { row in
            let room = try Room(&row)
            let counts = (Int(row.integer()), Int(row.integer()), Int(row.integer()))
            return RoomOverview(
                room: room, memberCount: counts.0, messageCount: counts.1, liveCallCount: counts.2,
                lastMessageAt: row.optionalTime())
        }
    }

    /// For `LIKE … ESCAPE '\'`: whatever contains the text.
    private static func pattern(_ text: String) -> String {
        let escaped = ["\\", "%", "_"].reduce(text) { $0.replacing($1, with: "\\" + $1) }
        return "%\(escaped)%"
    }

    func backup(_ id: BackupID) throws -> Backup? {
        try self.db.first("SELECT \(Backup.table.selection) FROM backup WHERE id = ?1", [id.text]) { try Backup(&$0) }
    }

    func backups(before: BackupID?, limit: Int) throws -> [Backup] {
        // `~` is behind all that identifiers consist of.
        try self.db.all(
            "SELECT \(Backup.table.selection) FROM backup WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
            [before?.text ?? "~", limit]
        ) { try Backup(&$0) }
    }

    func auditEntries(_ query: AuditQuery) throws -> [AuditEntry] {
        var conditions: [String] = []
        var values: [SQLValue] = [query.limit]
        func require(_ condition: String, _ value: String?) {
            guard let value else { return }
            values.append(value)
            conditions.append("\(condition) ?\(values.count)")
        }
        require("admin =", query.admin?.text)
        require("action =", query.action?.rawValue)
        require("resource =", query.resource)
        // An id begins with the time: the same index serves both.
        require("id >=", query.since.map { AuditEntryID.first(at: $0).text })
        require("id <", query.until.map { AuditEntryID.first(at: $0).text })
        require("id <", query.before?.text)
        require("id >", query.after?.text)
        let condition = conditions.isEmpty ? "" : "WHERE \(conditions.joined(separator: " AND "))"
        let order = query.after != nil && query.before == nil ? "ASC" : "DESC"
        return try self.db.all(
            "SELECT \(AuditEntry.table.selection) FROM auditEntry \(condition) ORDER BY id \(order) LIMIT ?1", values
        ) { AuditEntry(&$0) }
    }
}

extension SQLiteWriter {
    func insert(_ backup: Backup) throws { try self.db.run(Backup.table.insert, backup.values) }
    func update(_ backup: Backup) throws { try self.db.run(Backup.table.update, backup.values) }
    func delete(_ backup: Backup) throws { try self.db.run("DELETE FROM backup WHERE id = ?1", [backup.id.text]) }

    func insert(_ entry: AuditEntry) throws { try self.db.run(AuditEntry.table.insert, entry.values) }

    func deleteAuditEntries(before time: Timestamp, countMax: Int, limit: Int) throws -> Int {
        let newest = try self.db.integer("SELECT max(position) FROM auditEntry")
        // The walk ends at the first young entry.
        let firstYoung = try self.db.first(
            "SELECT position FROM auditEntry WHERE at >= ?1 ORDER BY position LIMIT 1", [time.milliseconds]
        ) { $0.integer() }
        let bound = max(firstYoung.map { $0 - 1 } ?? newest, newest - Int64(countMax))
        let old = try self.db.integers(
            "SELECT position FROM auditEntry WHERE position <= ?1 ORDER BY position LIMIT ?2", [bound, limit])
        guard let last = old.last else { return 0 }
        try self.db.run("DELETE FROM auditEntry WHERE position <= ?1", [last])
        return old.count
    }
}
