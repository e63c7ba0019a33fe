import Core

/// What a transaction must do to the search index, kept until its end.
///
/// FTS5 writes its pending terms out at each savepoint and each statement, so what is new is indexed by one statement,
/// from the rows.
struct SearchChanges {
    private struct Change {
        let seq: Int64
        let room: RoomID
        /// What the index holds of the message; `nil` for nothing.
        let indexed: String?
        /// What it must hold.
        let wanted: String?
    }

    /// Of messages that the index may have, in the order in which they were made.
    private var changes: [Change] = []
    private var hasNew = false

    /// - parameters:
    ///   - previous: the message as it was before this write; `nil` for a new one.
    ///   - indexedSeq: messages behind it are not in the index yet.
    mutating func note(_ message: Message, replacing previous: Message?, indexedSeq: Int64) {
        guard message.seq <= indexedSeq else {
            self.hasNew = true
            return
        }
        self.changes.append(
            Change(
                seq: message.seq, room: message.room, indexed: previous.flatMap(Self.text), wanted: Self.text(message)))
    }

    /// Adds what was noted later.
    mutating func append(_ later: SearchChanges) {
        self.changes.append(contentsOf: later.changes)
        self.hasNew = self.hasNew || later.hasNew
    }

    private static func text(_ message: Message) -> String? { message.deletedAt == nil ? message.content : nil }

    /// - throws: `DatabaseError`.
    func apply(_ writer: SQLiteWriter, indexedSeq: Int64) throws {
        for change in self.netChanges where change.indexed != change.wanted {
            if let indexed = change.indexed {
                // The index keeps no text of its own: it must be told what to forget.
                try writer.db.run(
                    "INSERT INTO messageFts (messageFts, rowid, room, content) VALUES ('delete', ?1, ?2, ?3)",
                    [change.seq, change.room.text, indexed])
            }
            if let wanted = change.wanted {
                try writer.db.run(
                    "INSERT INTO messageFts (rowid, room, content) VALUES (?1, ?2, ?3)",
                    [change.seq, change.room.text, wanted])
            }
        }
        if self.hasNew { try writer.statement(.indexNew).run(indexedSeq) }
    }

    /// One for each message, ascending: FTS5 writes its pending terms out whenever a row id is lower than the last.
    private var netChanges: [Change] {
        guard self.changes.count > 1 else { return self.changes }
        let net = self.changes.reduce(into: [Int64: Change]()) { net, change in
            net[change.seq] = Change(
                seq: change.seq, room: change.room, indexed: net[change.seq].map(\.indexed) ?? change.indexed,
                wanted: change.wanted)
        }
        return net.values.sorted { $0.seq < $1.seq }
    }
}
