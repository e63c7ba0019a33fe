import Core
import GRDB

extension SQLiteReading {
    func logBounds() throws -> LogBounds {
        try LogBounds(of: self.db)
    }

    func loggedEvents(after seq: Int64, limit: Int) throws -> [Event] {
        try self.db.all(
            "SELECT \(Event.columns) FROM event WHERE seq > ?1 ORDER BY seq LIMIT ?2", [seq, limit]
        ) { try Event(&$0) }
    }

    func events(
        after: Int64, through: Int64, visibility: Visibility, scope: EventScope, filter: EventFilter, limit: Int,
        bytesMax: Int
    ) throws -> (events: [Event], considered: Int64) {
        let last = min(through, try self.logBounds().tail)
        let source = EventSource(visibility: visibility, scope: scope, filter: filter)
        var found: [Event] = []
        var bytes = 0
        var position = after
        var window = EventSource.windowMin
        while position < last {
            let end = min(position + window, last)
            let seqs = try source.candidates(after: position, through: end, db: self.db)
            for event in try source.events(seqs, db: self.db)
            where filter.passes(event, in: scope) && visibility.sees(event) {
                bytes += event.data.utf8.count
                guard found.count < limit, found.isEmpty || bytes <= bytesMax else { return (found, event.seq - 1) }
                found.append(event)
            }
            if seqs.count == EventSource.batchCount, let reached = seqs.last {
                position = reached
            } else {
                position = end
                // Sparse: few of the log's events are for this reader, so look at more of it at once.
                window = min(window * 4, EventSource.windowMax)
            }
        }
        return (found, through)
    }
}

/// Where the events of one reader are found: by the keys of its audiences, or, for one call, by the call.
///
/// Seqs are taken from the index in windows, so that neither a reader for whom little is meant walks the whole log nor
/// one for whom much is meant sorts all of it.
private struct EventSource {
    static let windowMin: Int64 = 1024
    static let windowMax: Int64 = 1 << 32
    /// Rows that are in memory at once: at most some 100 KiB each, so below 16 MiB.
    static let batchCount = 128

    private let call: CallID?
    /// A JSON object: audience key to the seq from which on it is worth a look. Visibility is checked again afterwards.
    private let audiences: String
    /// A JSON array of types; `nil` for all.
    private let types: String?

    init(visibility: Visibility, scope: EventScope, filter: EventFilter) {
        var rooms = visibility.rooms
        // What concerns a room is for that room, or for the user or the device. It may still be visible through another
        // room (presence is for many), but not before the reader was in any.
        if let concerned = Self.rooms(scope, filter) {
            let first = visibility.rooms.values.min()
            rooms = first.map { first in Dictionary(uniqueKeysWithValues: concerned.map { ($0, first) }) } ?? [:]
        }
        if case .call(let call) = scope { self.call = call } else { self.call = nil }
        let members =
            ["\"\(visibility.user.text)\":0", "\"\(visibility.device.text)\":0"]
            + rooms.map { "\"\($0.key.text)\":\($0.value)" }
        self.audiences = "{" + members.joined(separator: ",") + "}"
        self.types = filter.types.map { "[" + $0.map { "\"\($0.rawValue)\"" }.joined(separator: ",") + "]" }
    }

    /// The rooms one of which every wanted event concerns; `nil` for no such condition.
    private static func rooms(_ scope: EventScope, _ filter: EventFilter) -> Set<RoomID>? {
        if case .room(let room) = scope { return [room] }
        return filter.rooms
    }

    /// Seqs in `(after, through]`, ascending, each once, at most ``batchCount``.
    func candidates(after: Int64, through: Int64, db: Database) throws -> [Int64] {
        if let call {
            return try db.integers(
                "SELECT seq FROM event WHERE call = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY seq LIMIT ?4",
                [call.text, after, through, Self.batchCount])
        }
        return try db.integers(
            """
            SELECT eventAudience.seq FROM json_each(?1) AS visible CROSS JOIN eventAudience \
            ON eventAudience.audience = visible.key AND eventAudience.seq >= max(visible.value, ?2 + 1) \
            AND eventAudience.seq <= ?3 \
            UNION SELECT message.seq FROM json_each(?1) AS visible CROSS JOIN message INDEXED BY messageByRoom \
            ON message.room = visible.key AND message.seq >= max(visible.value, ?2 + 1) \
            AND message.seq <= ?3 ORDER BY 1 LIMIT ?4
            """, [self.audiences, after, through, Self.batchCount])
    }

    /// The events of these seqs, ascending; those of types that are not wanted are left out.
    func events(_ seqs: [Int64], db: Database) throws -> [Event] {
        guard !seqs.isEmpty else { return [] }
        let list = "[" + seqs.map(String.init).joined(separator: ",") + "]"
        let sql = """
            SELECT \(Event.columns) FROM json_each(?1) AS wanted CROSS JOIN event ON event.seq = wanted.value \
            \(self.types == nil ? "" : "WHERE event.type IN (SELECT value FROM json_each(?2))") ORDER BY event.seq
            """
        return try db.all(sql, self.types.map { [list, $0] } ?? [list]) { try Event(&$0) }
    }
}

extension LogBounds {
    /// - throws: ``StoreError`` `corrupt`; `DatabaseError`.
    init(of db: Database) throws {
        let bounds = try db.first("SELECT epoch, trimmedThrough, tail FROM meta") {
            LogBounds(epoch: $0.text(), trimmedThrough: $0.integer(), tail: $0.integer())
        }
        guard let bounds else { throw StoreError(.corrupt, "The database has no epoch.") }
        self = bounds
    }
}

extension Event {
    static let columns = "event.seq, event.type, audiences, room, call, actor, at, data"

    init(_ row: inout Columns) throws {
        self.init(
            seq: row.integer(), type: try row.value(), audiences: Event.audiences(row.text()), room: row.optionalID(),
            call: row.optionalID(), actor: row.optionalID(), at: row.time(), data: row.text())
    }

    /// - parameter text: keys separated by spaces.
    static func audiences(_ text: String) -> [Audience] {
        text.split(separator: " ").compactMap { Audience(key: String($0)) }
    }
}
