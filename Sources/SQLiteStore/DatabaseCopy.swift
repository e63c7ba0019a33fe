import Core
import GRDB
import GRDBSQLite

/// A copy of the database under way, page by page (sqlite.org/backup.html).
///
/// The writing connection itself reads the pages, between two transactions: SQLite then carries what is written later
/// over into pages that were copied already. So the copy never begins anew, its state is that of its last step, and no
/// snapshot stands open that would keep the log from being emptied. GRDB's `backup(to:)` keeps the connection until all
/// is done. Sendable, as all of it happens on the writing connection's queue, one thing after the other.
final class DatabaseCopy: @unchecked Sendable {
    /// Pages of one step: half a MiB, about a millisecond in which writes wait.
    private static let stepPages: Int32 = 128
    /// Steps in a row that found the database locked; nobody else has it, so that is a disk that does not answer.
    private static let refusalsMax = 100

    private let target: OpaquePointer
    private var backup: OpaquePointer?
    private var refusals = 0

    /// Opens the file that takes the copy. It exists, is empty and private, and is nobody else's.
    ///
    /// - throws: `DatabaseError`.
    init(to path: String) throws {
        var target: OpaquePointer?
        let code = sqlite3_open_v2(path, &target, SQLITE_OPEN_READWRITE, nil)
        guard code == SQLITE_OK, let target else {
            defer { sqlite3_close_v2(target) }
            throw Self.failure(code, target)
        }
        // Whoever makes the file syncs it once, at the end; until then it has another name.
        sqlite3_exec(target, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", nil, nil, nil)
        self.target = target
    }

    deinit { sqlite3_close_v2(self.target) }

    /// Copies some pages more. On the writing connection, outside a transaction.
    ///
    /// - returns: how far the copy is, and whether that is all.
    /// - throws: `DatabaseError`; the copy is void then.
    func step(_ source: Database) throws -> (progress: CopyProgress, isDone: Bool) {
        if self.backup == nil {
            self.backup = sqlite3_backup_init(self.target, "main", source.sqliteConnection, "main")
            guard self.backup != nil else { throw Self.failure(sqlite3_errcode(self.target), self.target) }
        }
        let code = sqlite3_backup_step(self.backup, Self.stepPages)
        let total = Int(sqlite3_backup_pagecount(self.backup))
        let progress = CopyProgress(
            pagesDone: total - Int(sqlite3_backup_remaining(self.backup)), pagesTotal: total)
        switch code {
        case SQLITE_OK:
            self.refusals = 0
            return (progress, false)
        case SQLITE_DONE:
            self.finish()
            return (progress, true)
        case SQLITE_BUSY, SQLITE_LOCKED:
            self.refusals += 1
            guard self.refusals < Self.refusalsMax else { throw Self.failure(code, self.target) }
            return (progress, false)
        default:
            throw Self.failure(code, self.target)
        }
    }

    /// Ends the copy, whole or not; the writing connection cannot be closed before. On that connection.
    func finish() {
        sqlite3_backup_finish(self.backup)
        self.backup = nil
    }

    private static func failure(_ code: Int32, _ database: OpaquePointer?) -> DatabaseError {
        DatabaseError(resultCode: ResultCode(rawValue: code), message: String(cString: sqlite3_errmsg(database)))
    }
}
