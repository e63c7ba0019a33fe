import Core
import GRDB

/// What a transaction must do to the search index, kept until its end.
///
/// FTS5 writes its pending terms out at each savepoint, so indexing inside of them would cost twice as much.
struct SearchChanges {
    private struct Change {
        var room: RoomID
        /// What the index holds of the message; `nil` for nothing.
        var indexed: String?
        /// What it must hold.
        var wanted: String?
    }

    /// By message seq, the index's row id.
    private var changes: [Int64: Change] = [:]

    /// - parameter previous: the message as it was before this write; `nil` for a new one.
    mutating func note(_ message: Message, replacing previous: Message?) {
        let indexed = self.changes[message.seq].map(\.indexed) ?? previous.flatMap(Self.text)
        self.changes[message.seq] = Change(room: message.room, indexed: indexed, wanted: Self.text(message))
    }

    private static func text(_ message: Message) -> String? { message.deletedAt == nil ? message.content : nil }

    /// - throws: `DatabaseError`.
    mutating func apply(to db: Database) throws {
        for (seq, change) in self.changes where change.indexed != change.wanted {
            if let indexed = change.indexed {
                // The index keeps no text of its own: it must be told what to forget.
                try db.run(
                    "INSERT INTO messageFts (messageFts, rowid, room, content) VALUES ('delete', ?1, ?2, ?3)",
                    [seq, change.room.text, indexed])
            }
            if let wanted = change.wanted {
                try db.run(
                    "INSERT INTO messageFts (rowid, room, content) VALUES (?1, ?2, ?3)",
                    [seq, change.room.text, wanted])
            }
        }
        self.changes = [:]
    }
}
