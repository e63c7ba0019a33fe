import Core
import GRDB
import Hub

/// The writes of one transaction, one after the other, each in its savepoint.
///
/// Lives on the writing queue for one transaction and is never shared, hence a class without a lock.
final class SQLiteWriter: SQLiteReading, StoreWriter {
    let db: Database
    /// What the writes that are done made of the log, beside its rows.
    private var log: CommittedChanges
    /// What they must do to the search index.
    private var search = SearchChanges()
    /// The write that runs now; nothing of it is anywhere else, so that it can be dropped.
    private var job: Job
    private var bounds: LogBounds
    /// As read at the beginning; `meta.tail` until ``finish()``.
    private let firstTail: Int64
    /// Messages behind it are not in the search index yet; as of the writes that are done.
    private var indexedSeq: Int64
    private var hot: [PreparedStatement?] = Array(repeating: nil, count: HotStatement.allCases.count)

    /// One write, beside the database's own rows.
    private struct Job {
        /// The log's bounds as it found them.
        var bounds: LogBounds
        var lastAppendedSeq: Int64?
        var events: [Event] = []
        var rewritten: [Int64: String?] = [:]
        var search = SearchChanges()
        /// In this savepoint the search index has what ``SQLiteWriter/search`` says, and messages up to here.
        var indexedSeq: Int64?
        /// A message that was inserted here: `messageByRoom` names its seq.
        var inserted: (seq: Int64, room: RoomID)?
    }

    /// - throws: `DatabaseError`.
    init(_ db: Database) throws {
        self.db = db
        self.bounds = try LogBounds(of: db)
        (self.firstTail, self.indexedSeq) = (self.bounds.tail, self.bounds.tail)
        self.log = CommittedChanges(events: [], rewritten: [:], tail: self.bounds.tail)
        self.job = Job(bounds: self.bounds)
    }

    var nextSeq: Int64 { self.bounds.tail + 1 }
    var lastAppendedSeq: Int64? { self.job.lastAppendedSeq }

    func logBounds() -> LogBounds { self.bounds }

    func statement(_ hot: HotStatement) throws -> PreparedStatement {
        if let statement = self.hot[hot.rawValue] { return statement }
        let statement = try self.db.prepared(hot.sql)
        self.hot[hot.rawValue] = statement
        return statement
    }

    /// Runs one write. When it throws, nothing of it remains.
    ///
    /// - throws: what `body` threw, or `DatabaseError`.
    func inSavepoint<Result>(_ body: (SQLiteWriter) throws -> Result) throws -> Result {
        self.job = Job(bounds: self.bounds)
        try self.statement(.openSavepoint).run()
        do {
            let result = try body(self)
            try self.statement(.releaseSavepoint).run()
            self.keepJob()
            return result
        } catch {
            // A full disk may have made SQLite give up the whole transaction; the caller sees that.
            guard self.db.isInsideTransaction else { throw error }
            try self.db.run("ROLLBACK TO job")
            try self.statement(.releaseSavepoint).run()
            self.bounds = self.job.bounds
            throw error
        }
    }

    /// Adds what the job did to what the transaction did. Costs by the size of the job, not of the transaction.
    private func keepJob() {
        for (seq, data) in self.job.rewritten {
            self.log.rewritten.updateValue(data, forKey: seq)
            // An event of this very transaction goes to the followers as it is in the end.
            guard let index = self.log.events.firstIndex(where: { $0.seq == seq }) else { continue }
            if let data { self.log.events[index].data = data } else { self.log.events.remove(at: index) }
        }
        self.log.events.append(contentsOf: self.job.events)
        self.log.tail = self.bounds.tail
        if let indexedSeq = self.job.indexedSeq { (self.search, self.indexedSeq) = (SearchChanges(), indexedSeq) }
        self.search.append(self.job.search)
    }

    /// Does what is left to do before the commit. Returns what the transaction did to the log.
    ///
    /// - throws: `DatabaseError`.
    func finish() throws -> CommittedChanges {
        try self.search.apply(self, indexedSeq: self.indexedSeq)
        if self.bounds.tail != self.firstTail { try self.db.run("UPDATE meta SET tail = ?1", [self.bounds.tail]) }
        return self.log
    }

    // MARK: The search index

    func prepareSearch() throws {
        var changes = self.job.indexedSeq == nil ? self.search : SearchChanges()
        changes.append(self.job.search)
        try changes.apply(self, indexedSeq: self.job.indexedSeq ?? self.indexedSeq)
        // A message is inserted before its event is appended.
        (self.job.search, self.job.indexedSeq) = (SearchChanges(), max(self.bounds.tail, self.job.inserted?.seq ?? 0))
    }

    func noteSearchChange(_ message: Message, replacing previous: Message?) {
        self.job.search.note(message, replacing: previous, indexedSeq: self.job.indexedSeq ?? self.indexedSeq)
    }
}

// MARK: The log

extension SQLiteWriter {
    @discardableResult
    func append(_ draft: EventDraft) throws -> Int64 {
        let event = draft.event(seq: self.nextSeq)
        let keys = draft.audiences.map(\.key)
        try self.statement(.insertEvent).run(
            event.seq, event.type.rawValue, keys.count == 1 ? keys[0] : keys.joined(separator: " "), event.room?.text,
            event.call?.text, event.actor?.text, event.at.milliseconds, event.data, draft.message?.text,
            draft.signal?.text)
        if !self.isFoundByMessage(event) {
            for key in keys.count > 1 ? Array(Set(keys)) : keys {
                try self.statement(.insertAudience).run(key, event.seq)
            }
        }
        self.bounds.tail = event.seq
        self.job.lastAppendedSeq = event.seq
        self.job.events.append(event)
        return event.seq
    }

    /// Whether ``EventSource`` finds the event by its message's row.
    private func isFoundByMessage(_ event: Event) -> Bool {
        guard let inserted = self.job.inserted, inserted.seq == event.seq, event.audiences.count == 1,
            case .room(let room) = event.audiences[0]
        else { return false }
        return room == inserted.room
    }

    func insert(_ message: Message) throws {
        try self.statement(.insertMessage).run(
            message.id.text, message.room.text, message.seq, message.user.text, message.content, message.metadata,
            message.createdAt.milliseconds, message.editedAt?.milliseconds, message.deletedAt?.milliseconds,
            message.origin.rawValue)
        self.job.inserted = (message.seq, message.room)
        self.noteSearchChange(message, replacing: nil)
    }

    func redactEvents(of message: MessageID, before seq: Int64, data: String) throws {
        let seqs = try self.db.integers(
            """
            SELECT seq FROM event WHERE message = ?1 AND type <> 'message.created' AND seq < ?2 \
            UNION SELECT event.seq FROM message CROSS JOIN event ON event.seq = message.seq \
            WHERE message.id = ?1 AND event.message = ?1 AND event.seq < ?2 ORDER BY 1
            """, [message.text, seq])
        for seq in seqs {
            try self.db.run("UPDATE event SET data = ?2 WHERE seq = ?1", [seq, data])
            self.job.rewritten.updateValue(data, forKey: seq)
            if let index = self.indexOfAppended(seq) { self.job.events[index].data = data }
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
        let events = try self.db.all("SELECT seq, audiences FROM event WHERE \(condition)", values) {
            (seq: $0.integer(), audiences: $0.text())
        }
        for (seq, audiences) in events {
            for audience in Set(audiences.split(separator: " ")) {
                try self.db.run("DELETE FROM eventAudience WHERE audience = ?1 AND seq = ?2", [String(audience), seq])
            }
            try self.db.run("DELETE FROM event WHERE seq = ?1", [seq])
            self.job.rewritten.updateValue(nil, forKey: seq)
            if let index = self.indexOfAppended(seq) { self.job.events.remove(at: index) }
        }
    }

    /// Where an event of this very write is.
    private func indexOfAppended(_ seq: Int64) -> Int? {
        self.job.events.firstIndex { $0.seq == seq }
    }

    func trimEvents(through seq: Int64, limit: Int) throws -> Int {
        let seq = min(seq, self.bounds.tail)
        let events = try self.db.all(
            "SELECT seq, audiences FROM event WHERE seq <= ?1 ORDER BY seq LIMIT ?2", [seq, limit]
        ) { (seq: $0.integer(), audiences: $0.text()) }
        let reached = events.count < limit ? seq : (events.last?.seq ?? 0)
        for audience in Set(events.flatMap { $0.audiences.split(separator: " ") }) {
            try self.db.run("DELETE FROM eventAudience WHERE audience = ?1 AND seq <= ?2", [String(audience), reached])
        }
        try self.db.run("DELETE FROM event WHERE seq <= ?1", [reached])
        self.bounds.trimmedThrough = max(self.bounds.trimmedThrough, reached)
        try self.db.run("UPDATE meta SET trimmedThrough = ?1", [self.bounds.trimmedThrough])
        return events.count
    }

    /// Counts seqs, not rows: a deleted signal uses its place up, and nobody has to count a million rows.
    func trimBound(olderThan time: Timestamp, countMax: Int) throws -> Int64 {
        let tail = self.bounds.tail
        // The `+` keeps the order of seqs: the walk ends at the first young event.
        let firstYoung = try self.db.first(
            "SELECT seq FROM event WHERE +at >= ?1 ORDER BY seq LIMIT 1", [time.milliseconds]
        ) { $0.integer() }
        return max(firstYoung.map { $0 - 1 } ?? tail, tail - Int64(countMax), 0)
    }
}
