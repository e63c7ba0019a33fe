import Core
import GRDB

extension SQLiteReading {
    func message(_ id: MessageID) throws -> Message? {
        try self.db.first("SELECT \(Message.table.selection) FROM message WHERE id = ?1", [id.text]) {
            try Message(&$0)
        }
    }

    func messages(_ query: MessageQuery) throws -> [(message: Message, user: User)] {
        let match: String?
        if let search = query.search {
            guard let found = Self.match(SearchTerms(search), in: query.room) else { return [] }
            try self.prepareSearch()
            match = found
        } else {
            match = nil
        }
        guard let author = query.user else { return try self.messages(query, matching: match) }
        return try self.messages(by: author, query, matching: match)
    }

    /// Without an author one index gives the page in its order.
    private func messages(
        _ query: MessageQuery, matching match: String?
    ) throws -> [(message: Message, user: User)] {
        var source = "message"
        var seq = "message.seq"
        var conditions: [String] = []
        var values: [SQLValue] = [query.limit]
        func require(_ condition: String, _ value: SQLValue) {
            values.append(value)
            conditions.append("\(condition) ?\(values.count)")
        }
        if let match {
            source = "messageFts CROSS JOIN message ON message.seq = messageFts.rowid"
            // The index walks its own row ids in either order; ordering by `message.seq` would sort all matches.
            seq = "messageFts.rowid"
            require("messageFts MATCH", match)
        } else if let room = query.room {
            require("message.room =", room.text)
        }
        if let before = query.beforeSeq { require("\(seq) <", before) }
        if let after = query.afterSeq { require("\(seq) >", after) }
        let condition = conditions.isEmpty ? "" : "WHERE \(conditions.joined(separator: " AND "))"
        var authors: [UserID: User] = [:]
        return try self.db.all(
            """
            SELECT \(Message.table.selection), \(User.table.selection) \
            FROM \(source) CROSS JOIN user ON user.id = message.user \
            \(condition) ORDER BY \(seq) \(query.isAscending ? "ASC" : "DESC") LIMIT ?1
            """, values
        ) { try Self.messageWithAuthor(&$0, &authors) }
    }

    /// With an author two indexes are walked side by side, so that what is rare in either is found at once.
    private func messages(
        by author: UserID, _ query: MessageQuery, matching match: String?
    ) throws -> [(message: Message, user: User)] {
        let range = (first: (query.afterSeq ?? -1) + 1, last: (query.beforeSeq ?? .max) - 1)
        let walk = { (source: String, key: String) in
            try SeqWalk(self.db, from: source, key: key, range: range, isAscending: query.isAscending)
        }
        var walks = [try walk("seq FROM message INDEXED BY messageByAuthor WHERE user =", author.text)]
        if let match {
            walks.append(try walk("rowid AS seq FROM messageFts WHERE messageFts MATCH", match))
        } else if let room = query.room {
            walks.append(try walk("seq FROM message INDEXED BY messageByRoom WHERE room =", room.text))
        }
        var authors: [UserID: User] = [:]
        return try SeqWalk.common(to: &walks, limit: query.limit).compactMap { seq in
            try self.db.first(
                """
                SELECT \(Message.table.selection), \(User.table.selection) \
                FROM message CROSS JOIN user ON user.id = message.user WHERE message.seq = ?1
                """, [seq]
            ) { try Self.messageWithAuthor(&$0, &authors) }
        }
    }

    /// - parameter authors: a page has few: each is made once.
    private static func messageWithAuthor(
        _ row: inout Columns, _ authors: inout [UserID: User]
    ) throws -> (message: Message, user: User) {
        let message = try Message(&row)
        if let author = authors[message.user] { return (message, author) }
        let author = try User(&row)
        authors[author.id] = author
        return (message, author)
    }

    /// An FTS5 expression for messages of one room, or of all; `nil` when there is nothing to look for.
    ///
    /// Words are letters, digits and marks only, and quoted, so that no text can be read as syntax.
    private static func match(_ terms: SearchTerms, in room: RoomID?) -> String? {
        guard !terms.words.isEmpty else { return nil }
        var words = terms.words.map { "\"\($0)\"" }.joined(separator: " ")
        if terms.lastIsPrefix { words += "*" }
        guard let room else { return "content : (\(words))" }
        // `_` separates words: of the room's id, the ULID alone is the word that tells rooms apart.
        return "room : \"\(room.text.dropFirst(RoomID.prefix.count))\" AND content : (\(words))"
    }
}

extension MessageQuery {
    /// Oldest first when only `after` is given.
    fileprivate var isAscending: Bool { self.afterSeq != nil && self.beforeSeq == nil }
}
