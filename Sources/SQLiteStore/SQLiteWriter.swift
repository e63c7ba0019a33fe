import Core
import GRDB
import Hub

/// The writes of one transaction, one after the other, each in its savepoint.
///
/// Lives on the writing queue for one transaction and is never shared, hence a class without a lock.
final class SQLiteWriter: SQLiteReading, StoreWriter {
    let db: Database
    private(set) var state: State

    /// What a savepoint restores beside the database's own rows.
    struct State {
        var nextSeq: Int64
        var lastAppendedSeq: Int64?
        /// What this transaction does to the log; its events are kept as they are in the table.
        var log: CommittedChanges
        var search = SearchChanges()
    }

    /// - throws: `DatabaseError`.
    init(_ db: Database) throws {
        self.db = db
        let tail = try db.integer("SELECT seq FROM sqlite_sequence WHERE name = 'event'")
        self.state = State(nextSeq: tail + 1, log: CommittedChanges(events: [], rewritten: [:], tail: tail))
    }

    var nextSeq: Int64 { self.state.nextSeq }
    var lastAppendedSeq: Int64? { self.state.lastAppendedSeq }

    /// Runs one write. When it throws, nothing of it remains.
    ///
    /// - throws: what `body` threw, or `DatabaseError`.
    func inSavepoint<Result>(_ body: (SQLiteWriter) throws -> Result) throws -> Result {
        self.state.lastAppendedSeq = nil
        let before = self.state
        try self.db.run("SAVEPOINT job")
        do {
            let result = try body(self)
            try self.db.run("RELEASE job")
            return result
        } catch {
            // A full disk may have made SQLite give up the whole transaction; the caller sees that.
            guard self.db.isInsideTransaction else { throw error }
            try self.db.run("ROLLBACK TO job")
            try self.db.run("RELEASE job")
            self.state = before
            throw error
        }
    }

    func prepareSearch() throws {
        try self.state.search.apply(to: self.db)
    }

    func noteSearchChange(_ message: Message, replacing previous: Message?) {
        self.state.search.note(message, replacing: previous)
    }
}

// MARK: The log

extension SQLiteWriter {
    @discardableResult
    func append(_ draft: EventDraft) throws -> Int64 {
        let event = draft.event(seq: self.state.nextSeq)
        let keys = Set(draft.audiences).map(\.key)
        try self.db.run(
            """
            INSERT INTO event (seq, type, audiences, room, call, actor, at, data, message, signal) \
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
            """,
            [
                event.seq, event.type.rawValue, draft.audiences.map(\.key).joined(separator: " "), event.room?.text,
                event.call?.text, event.actor?.text, event.at.milliseconds, event.data, draft.message?.text,
                draft.signal?.text,
            ])
        for key in keys {
            try self.db.run("INSERT INTO eventAudience (audience, seq) VALUES (?1, ?2)", [key, event.seq])
        }
        self.state.nextSeq += 1
        self.state.lastAppendedSeq = event.seq
        self.state.log.events.append(event)
        self.state.log.tail = event.seq
        return event.seq
    }

    func redactEvents(of message: MessageID, before seq: Int64, data: String) throws {
        let seqs = try self.db.integers("SELECT seq FROM event WHERE message = ?1 AND seq < ?2", [message.text, seq])
        for seq in seqs {
            try self.db.run("UPDATE event SET data = ?2 WHERE seq = ?1", [seq, data])
            self.state.log.rewritten.updateValue(data, forKey: seq)
            if let index = self.indexOfAppended(seq) { self.state.log.events[index].data = data }
        }
    }

    func deleteEvents(of signals: [SignalID]) throws {
        for signal in signals {
            try self.deleteEvents("signal = ?1", [signal.text])
        }
    }

    func deleteSignalEvents(of call: CallID) throws {
        try self.deleteEvents("call = ?1 AND signal IS NOT NULL", [call.text])
    }

    func deleteSignalEvents(of call: CallID, leg: LegID) throws {
        try self.deleteEvents(
            """
            call = ?1 AND signal IS NOT NULL \
            AND ?2 IN (json_extract(data, '$.leg'), json_extract(data, '$.toLeg'))
            """, [call.text, leg.text])
    }

    private func deleteEvents(_ condition: String, _ values: [SQLValue]) throws {
        for row in try self.db.rows("SELECT seq, audiences FROM event WHERE \(condition)", values) {
            let seq: Int64 = row[0]
            for audience in Set((row[1] as String).split(separator: " ")) {
                try self.db.run("DELETE FROM eventAudience WHERE audience = ?1 AND seq = ?2", [String(audience), seq])
            }
            try self.db.run("DELETE FROM event WHERE seq = ?1", [seq])
            self.state.log.rewritten.updateValue(nil, forKey: seq)
            if let index = self.indexOfAppended(seq) { self.state.log.events.remove(at: index) }
        }
    }

    /// Where an event of this very transaction is; it goes to the followers as it is in the end.
    private func indexOfAppended(_ seq: Int64) -> Int? {
        self.state.log.events.firstIndex { $0.seq == seq }
    }

    func trimEvents(through seq: Int64, limit: Int) throws -> Int {
        let seq = min(seq, try self.logTail())
        let rows = try self.db.rows(
            "SELECT seq, audiences FROM event WHERE seq <= ?1 ORDER BY seq LIMIT ?2", [seq, limit])
        let reached = rows.count < limit ? seq : (rows.last.map { $0[0] as Int64 } ?? 0)
        for audience in Set(rows.flatMap { ($0[1] as String).split(separator: " ").map(String.init) }) {
            try self.db.run("DELETE FROM eventAudience WHERE audience = ?1 AND seq <= ?2", [audience, reached])
        }
        try self.db.run("DELETE FROM event WHERE seq <= ?1", [reached])
        try self.db.run("UPDATE meta SET trimmedThrough = max(trimmedThrough, ?1)", [reached])
        return rows.count
    }

    /// Counts seqs, not rows: a deleted signal uses its place up, and nobody has to count a million rows.
    func trimBound(olderThan time: Timestamp, countMax: Int) throws -> Int64 {
        let tail = try self.logTail()
        // The `+` keeps the order of seqs: the walk ends at the first young event.
        let firstYoung = try self.db.rows(
            "SELECT seq FROM event WHERE +at >= ?1 ORDER BY seq LIMIT 1", [time.milliseconds]
        ).first.map { $0[0] as Int64 }
        return max(firstYoung.map { $0 - 1 } ?? tail, tail - Int64(countMax), 0)
    }
}
