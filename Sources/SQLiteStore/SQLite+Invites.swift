import Core
import GRDB

extension Invite {
    fileprivate static let table = Table(
        "invite", key: ["id"], ["hash", "note", "createdBy", "createdAt", "expiresAt", "usesMax", "uses"])

    fileprivate init(_ row: inout Columns) {
        self.init(
            id: row.id(), hash: row.text(), note: row.optionalText(), createdBy: row.id(), createdAt: row.time(),
            expiresAt: row.time(), usesMax: Int(row.integer()), uses: Int(row.integer()))
    }

    fileprivate var values: [SQLValue] {
        [
            self.id.text, self.hash, self.note, self.createdBy.text, self.createdAt.milliseconds,
            self.expiresAt.milliseconds, self.usesMax, self.uses,
        ]
    }
}

extension SQLiteReading {
    func invite(_ id: InviteID) throws -> Invite? {
        try self.db.first("SELECT \(Invite.table.selection) FROM invite WHERE id = ?1", [id.text]) { Invite(&$0) }
    }

    func invite(hash: String) throws -> Invite? {
        try self.db.first("SELECT \(Invite.table.selection) FROM invite WHERE hash = ?1", [hash]) { Invite(&$0) }
    }

    func invites(after: InviteID?, limit: Int) throws -> [Invite] {
        try self.db.all(
            "SELECT \(Invite.table.selection) FROM invite WHERE id > ?1 ORDER BY id LIMIT ?2",
            [after?.text ?? "", limit]
        ) { Invite(&$0) }
    }
}

extension SQLiteWriter {
    func insert(_ invite: Invite) throws { try self.db.run(Invite.table.insert, invite.values) }
    func update(_ invite: Invite) throws { try self.db.run(Invite.table.update, invite.values) }
    func delete(_ invite: Invite) throws { try self.db.run("DELETE FROM invite WHERE id = ?1", [invite.id.text]) }

    func deleteInvites(expiredBy time: Timestamp) throws {
        try self.db.run("DELETE FROM invite WHERE expiresAt <= ?1", [time.milliseconds])
    }
}
