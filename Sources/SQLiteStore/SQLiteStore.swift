import CWALBuffer
package import Core
import GRDB
package import Hub
package import Logging

/// The store of one server: one SQLite database in its data directory, in WAL mode and synced at every commit.
///
/// Writes go through ``WriteQueue``, reads through ``ReadQueue``. No GRDB type leaves this target.
package final class SQLiteStore: EventStore {
    private let pool: DatabasePool
    private let writes: WriteQueue
    private let reads: ReadQueue
    /// Held for its lock.
    let directory: DataDirectory
    private let logger: Logger
    /// The migrations that this opening applied, in order; all of them for a new database.
    package let appliedMigrations: [String]

    /// How many transactions were committed; fewer than writes, as those that wait together share one.
    package var transactionCount: Int { self.writes.transactionCount }

    /// Opens the data directory for this process alone, making what is missing, and brings the schema up to date.
    ///
    /// Files are 0600: `comblang.sqlite` with its `-wal` and `-shm`, and `comblang.lock`.
    ///
    /// - parameters:
    ///   - directory: made (0700) if it does not exist.
    ///   - pageCountMax: bounds the database's size in pages of 4 KiB; past it writes fail as on a full disk.
    /// - throws: ``StoreError`` with a line that tells a person what is wrong: `alreadyServed`, `unwritable`,
    ///   `newerVersion`, `notADatabase`, `corrupt`, `full`, `io`, `busy`.
    package static func open(
        directory: String, logger: Logger, pageCountMax: Int? = nil
    ) throws(StoreError) -> SQLiteStore {
        let directory = try DataDirectory(directory)
        do {
            return try SQLiteStore(directory, logger: logger, pageCountMax: pageCountMax)
        } catch {
            switch translated(error) {
            case let error as StoreError: throw error
            case let error:
                throw StoreError(.corrupt, "The database \(directory.databasePath) cannot be used: \(error).")
            }
        }
    }

    /// Once for the process, before it opens its first database.
    private static let walBuffering = comblang_buffer_wal()

    /// - parameter path: `nil` for the directory's own database.
    init(_ directory: DataDirectory, path: String? = nil, logger: Logger, pageCountMax: Int?) throws {
        guard Self.walBuffering == 0 else {
            throw StoreError(.io, "SQLite refuses how its log is written: error \(Self.walBuffering).")
        }
        var configuration = Configuration()
        configuration.busyMode = .timeout(5)
        configuration.maximumReaderCount = ReadQueue.connectionCount
        let pool = try DatabasePool(path: path ?? directory.databasePath, configuration: configuration)
        self.appliedMigrations = try pool.writeWithoutTransaction { db in
            // Here, as the pool sets NORMAL while it is made: commits would survive `kill -9` but not a power cut.
            try db.execute(sql: "PRAGMA synchronous = FULL")
            // Redacted text and expired signals are overwritten where that costs no further write.
            try db.execute(sql: "PRAGMA secure_delete = FAST")
            try db.execute(sql: "PRAGMA journal_size_limit = \(64 * 1024 * 1024)")
            // What a savepoint keeps to undo itself: else 64 KiB, given back to the system after each write.
            try db.execute(sql: "PRAGMA temp_store = MEMORY")
            // The last page of each busy room's index, of which 2 MiB, the default, hold a few hundred.
            try db.execute(sql: "PRAGMA cache_size = \(-16 * 1024)")
            if let pageCountMax { try db.execute(sql: "PRAGMA max_page_count = \(pageCountMax)") }
            let applied = try Migration.apply(Migration.embedded, to: db)
            try db.inTransaction(.immediate) {
                try db.run("INSERT OR IGNORE INTO meta (id, epoch) VALUES (1, ?1)", [Self.randomEpoch()])
                return .commit
            }
            return applied
        }
        self.pool = pool
        let reads = ReadQueue(pool)
        let checkpoints = Checkpoints(pool, reads)
        pool.writeWithoutTransaction { checkpoints.watch($0) }
        self.reads = reads
        self.writes = WriteQueue(pool, checkpoints)
        self.directory = directory
        self.logger = logger
        for name in self.appliedMigrations { logger.debug("applied migration", metadata: ["migration": "\(name)"]) }
    }

    /// 4 characters of `[0-9a-z]`: two incarnations of a log share one in 1.7 million cases.
    static func randomEpoch() -> String {
        var generator = SystemRandomNumberGenerator()
        return String(randomBase36: 4, from: &generator)
    }

    // MARK: EventStore

    package func write<Value: Sendable>(
        _ body: @escaping @Sendable (any StoreWriter) throws -> Value,
        completion: @escaping @Sendable (Result<Value, any Error>) -> Void
    ) {
        self.writes.submit(StoreJob(body, completion))
    }

    package func writeUrgently<Value: Sendable>(
        _ body: @escaping @Sendable (any StoreWriter) throws -> Value,
        completion: @escaping @Sendable (Result<Value, any Error>) -> Void
    ) {
        self.writes.submit(StoreJob(body, completion), isUrgent: true)
    }

    package func read<Value: Sendable>(
        _ body: @escaping @Sendable (any StoreReader) throws -> Value,
        completion: @escaping @Sendable (Result<Value, any Error>) -> Void
    ) {
        self.reads.submit(StoreJob(body, completion))
    }

    package func follow(_ consume: @escaping @Sendable (CommittedChanges) -> Void) async throws -> LogBounds {
        try await withCheckedThrowingContinuation { continuation in
            self.writes.follow(consume) { continuation.resume(with: $0) }
        }
    }

    package func releaseMemory() { self.pool.releaseMemoryEventually() }

    // MARK: Operations

    /// Moves what the WAL holds into the database file and empties it.
    ///
    /// - throws: ``StoreError``, `busy` if a reader stands in the way for longer than 5 s.
    package func checkpoint() async throws {
        try await self.between { _ = try $0.checkpoint(.truncate) }
    }

    /// Commits the writes that wait, empties the WAL and lets go of the files and of the directory's lock. Reads and
    /// writes fail from now on. Safe to repeat.
    package func close() async {
        await self.closeDatabase()
        self.directory.unlock()
    }

    /// As ``close()``, but the directory stays this process's.
    func closeDatabase() async {
        self.reads.close()
        await withCheckedContinuation { continuation in
            self.writes.close {
                do {
                    // A barrier waits for the readers, which would else keep the WAL from being emptied.
                    try self.pool.barrierWriteWithoutTransaction { _ = try $0.checkpoint(.truncate) }
                } catch {
                    self.logger.debug("checkpoint failed", metadata: ["error": "\(translated(error))"])
                }
                do {
                    try self.pool.close()
                } catch {
                    self.logger.warning("closing the database failed", metadata: ["error": "\(translated(error))"])
                }
                continuation.resume()
            }
        }
    }

    /// What a `PRAGMA` of the writing connection answers, as text: for `doctor` and for tests.
    ///
    /// - parameter name: a pragma that takes no argument.
    /// - throws: ``StoreError``.
    package func pragma(_ name: String) async throws -> String {
        try await self.between { try String.fetchOne($0, sql: "PRAGMA \(name)") ?? "" }
    }

    /// Runs `work` on the writing connection between two transactions.
    func between<Value: Sendable>(_ work: @escaping @Sendable (Database) throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            self.writes.between(work) { continuation.resume(with: $0) }
        }
    }
}
