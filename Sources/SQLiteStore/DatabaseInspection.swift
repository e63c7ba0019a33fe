import Foundation
import GRDB

/// What a look at the database of a data directory found; nothing was changed.
package struct DatabaseInspection: Hashable, Sendable {
    /// Damage, in SQLite's words, at most ``faultsMax``; empty for a database that is whole.
    package let faults: [String]
    package let appliedMigrations: [String]
    /// Those that this binary has and the database has not.
    package let pendingMigrations: [String]

    static let faultsMax = 10
}

extension SQLiteStore {
    /// Looks at a database that nobody serves: whether it is whole, and how far its schema is.
    ///
    /// - returns: `nil` if there is no database.
    /// - throws: ``StoreError`` `alreadyServed`, `unwritable`, `newerVersion`, `notADatabase`, `corrupt`, `io`.
    package static func inspect(directory path: String) throws(StoreError) -> DatabaseInspection? {
        guard FileManager.default.fileExists(atPath: path + "/comblang.sqlite") else { return nil }
        let directory = try DataDirectory(lookingAt: path)
        defer { directory.unlock() }
        do {
            return try Self.inspect(directory)
        } catch {
            switch translated(error) {
            case let error as StoreError: throw error
            case let error: throw StoreError(.corrupt, "The database cannot be read: \(error).")
            }
        }
    }

    private static func inspect(_ directory: DataDirectory) throws -> DatabaseInspection? {
        var configuration = Configuration()
        configuration.readonly = true
        let queue = try DatabaseQueue(path: directory.databasePath, configuration: configuration)
        defer { try? queue.close() }
        return try queue.read { db in
            // An empty file is what a server leaves that was killed in its first moment; it begins anew.
            guard try db.exists("SELECT 1 FROM sqlite_master LIMIT 1") else { return nil }
            guard try db.tableExists("migration") else {
                throw StoreError(.notADatabase, "The database was made by another program.")
            }
            let applied = try db.all("SELECT name FROM migration ORDER BY position") { $0.text() }
            let pending = try Migration.missing(in: applied, of: Migration.embedded).map(\.name)
            let max = DatabaseInspection.faultsMax
            let report = try String.fetchAll(db, sql: "PRAGMA integrity_check(\(max))").filter { $0 != "ok" }
            let orphans = try Row.fetchAll(db, sql: "SELECT DISTINCT \"table\", parent FROM pragma_foreign_key_check")
                .map { row in "rows of \(row[0] as String) name rows of \(row[1] as String) that are not there" }
            return DatabaseInspection(
                faults: Array((report + orphans).prefix(max)), appliedMigrations: applied, pendingMigrations: pending)
        }
    }
}
