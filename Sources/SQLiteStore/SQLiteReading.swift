import Core
import GRDB

/// The reading half, on one connection: shared by reads and by writes, which read their own changes.
///
/// The methods of ``StoreReader`` are in extensions of this protocol, by subject.
protocol SQLiteReading: StoreReader {
    var db: Database { get }
    /// Brings the search index up to the rows that this connection sees.
    func prepareSearch() throws
    func statement(_ hot: HotStatement) throws -> PreparedStatement
}

/// A read: one snapshot of one of the pool's reading connections.
struct SQLiteReader: SQLiteReading {
    let db: Database
    /// Nothing to do: what is committed is indexed.
    func prepareSearch() {}
    func statement(_ hot: HotStatement) throws -> PreparedStatement { try self.db.prepared(hot.sql) }
}

// MARK: Identity

extension SQLiteReading {
    func user(_ id: UserID) throws -> User? {
        try self.user("SELECT \(User.table.selection) FROM user WHERE id = ?1", id.text)
    }

    func user(username: String) throws -> User? {
        try self.user("SELECT \(User.table.selection) FROM user WHERE username = ?1", username)
    }

    func users(_ ids: Set<UserID>) throws -> [User] {
        let list = "[" + ids.map { "\"\($0.text)\"" }.joined(separator: ",") + "]"
        return try self.db.all(
            "SELECT \(User.table.selection) FROM user WHERE id IN (SELECT value FROM json_each(?1))", [list]
        ) { try User(&$0) }
    }

    private func user(_ sql: String, _ key: String) throws -> User? {
        try self.db.first(sql, [key]) { try User(&$0) }
    }

    func users(sharingRoomWith user: UserID?, after: UserID?, limit: Int) throws -> [User] {
        let shared =
            """
            AND id IN (SELECT other.user FROM member JOIN member AS other ON other.room = member.room \
            WHERE member.user = ?3)
            """
        let sql = """
            SELECT \(User.table.selection) FROM user \
            WHERE id > ?1 AND deletedAt IS NULL \(user == nil ? "" : shared) ORDER BY id LIMIT ?2
            """
        let values: [SQLValue] = [after?.text ?? "", limit]
        return try self.db.all(sql, user.map { values + [$0.text] } ?? values) { try User(&$0) }
    }

    func shareRoom(_ user: UserID, _ other: UserID) throws -> Bool {
        try self.db.exists(
            """
            SELECT 1 FROM member CROSS JOIN member AS theirs ON theirs.room = member.room AND theirs.user = ?2 \
            WHERE member.user = ?1 LIMIT 1
            """, [user.text, other.text])
    }

    func guests(lastUsedBefore time: Timestamp, limit: Int) throws -> [UserID] {
        // Named, as the planner would else walk all users in the order of their ids.
        try self.db.identifiers(
            """
            SELECT id FROM user INDEXED BY guestByLastUse \
            WHERE kind = 'guest' AND deletedAt IS NULL AND lastUsedAt < ?1 ORDER BY id LIMIT ?2
            """, [time.milliseconds, limit])
    }

    func usersOnline() throws -> [UserID] {
        try self.db.identifiers("SELECT id FROM user WHERE isOnline = 1 ORDER BY id")
    }

    func session(_ id: SessionID) throws -> Session? {
        try self.db.first("SELECT \(Session.table.selection) FROM session WHERE id = ?1", [id.text]) { Session(&$0) }
    }

    func refreshToken(hash: String) throws -> RefreshToken? {
        try self.db.first("SELECT \(RefreshToken.table.selection) FROM refreshToken WHERE hash = ?1", [hash]) {
            RefreshToken(&$0)
        }
    }

    func streamTicket(hash: String) throws -> StreamTicket? {
        try self.db.first("SELECT \(StreamTicket.table.selection) FROM streamTicket WHERE hash = ?1", [hash]) {
            StreamTicket(&$0)
        }
    }

    func apiKey(hash: String) throws -> APIKey? {
        try self.db.first("SELECT \(APIKey.table.selection) FROM apiKey WHERE hash = ?1", [hash]) { APIKey(&$0) }
    }

    func apiKey(of session: SessionID) throws -> APIKey? {
        try self.db.first("SELECT \(APIKey.table.selection) FROM apiKey WHERE session = ?1", [session.text]) {
            APIKey(&$0)
        }
    }

    func apiKeys(of user: UserID) throws -> [APIKey] {
        try self.db.all("SELECT \(APIKey.table.selection) FROM apiKey WHERE user = ?1 ORDER BY id", [user.text]) {
            APIKey(&$0)
        }
    }

    func idempotentAnswer(_ name: String) throws -> IdempotentAnswer? {
        try self.db.first("SELECT \(IdempotentAnswer.columns) FROM idempotentAnswer WHERE name = ?1", [name]) {
            IdempotentAnswer(&$0)
        }
    }
}
