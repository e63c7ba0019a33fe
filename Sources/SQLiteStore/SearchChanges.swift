import Core

/// What a transaction must do to the search index, kept until its end.
///
/// FTS5 writes its pending terms out at each savepoint, so indexing inside of them would cost twice as much.
struct SearchChanges {
    private struct Change {
        let seq: Int64
        let room: RoomID
        /// What the index holds of the message; `nil` for nothing.
        let indexed: String?
        /// What it must hold.
        let wanted: String?
    }

    /// In the order in which they were made. Ascending by `seq`, the index's row id, where all are new messages.
    private var changes: [Change] = []

    /// - parameter previous: the message as it was before this write; `nil` for a new one.
    mutating func note(_ message: Message, replacing previous: Message?) {
        self.changes.append(
            Change(
                seq: message.seq, room: message.room, indexed: previous.flatMap(Self.text), wanted: Self.text(message)))
    }

    /// Adds what was noted later.
    mutating func append(_ later: SearchChanges) { self.changes.append(contentsOf: later.changes) }

    private static func text(_ message: Message) -> String? { message.deletedAt == nil ? message.content : nil }

    /// - throws: `DatabaseError`.
    func apply(_ writer: SQLiteWriter) throws {
        for change in self.netChanges where change.indexed != change.wanted {
            if let indexed = change.indexed {
                // The index keeps no text of its own: it must be told what to forget.
                try writer.db.run(
                    "INSERT INTO messageFts (messageFts, rowid, room, content) VALUES ('delete', ?1, ?2, ?3)",
                    [change.seq, change.room.text, indexed])
            }
            if let wanted = change.wanted {
                try writer.statement(.index).run(change.seq, change.room.text, wanted)
            }
        }
    }

    /// One for each message, ascending: FTS5 writes its pending terms out whenever a row id is lower than the one before.
    private var netChanges: [Change] {
        let isAscending = zip(self.changes, self.changes.dropFirst()).allSatisfy { $0.seq < $1.seq }
        if isAscending { return self.changes }
        let net = self.changes.reduce(into: [Int64: Change]()) { net, change in
            net[change.seq] = Change(
                seq: change.seq, room: change.room, indexed: net[change.seq].map(\.indexed) ?? change.indexed,
                wanted: change.wanted)
        }
        return net.values.sorted { $0.seq < $1.seq }
    }
}
