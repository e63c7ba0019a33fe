package import Core
import Foundation
import GRDB
import Hub
package import Logging

/// What a restore did.
package struct Restoration: Sendable {
    /// When the last event of the backup was written; `nil` if its log is empty.
    package let takenAt: Timestamp?
    /// The log's new epoch: every cursor from before is told that it is none of this log.
    package let epoch: String
    /// Where the database is that was in place before; `nil` if there was none.
    package let replaced: String?
    /// Migrations that the backup lacked.
    package let appliedMigrations: [String]
}

extension SQLiteStore {
    /// Puts a backup in the place of a data directory's database, which is kept aside.
    ///
    /// The backup is copied, checked (pages, references, search index), migrated and made this log's next incarnation
    /// before anything is replaced: whatever goes wrong until then leaves the directory as it was, and the exchange is
    /// one rename. Calls that were going on in the backup end as `lost` at its time. Answers kept for idempotency keys,
    /// sessions and all other rows stay.
    ///
    /// - parameters:
    ///   - file: a backup, or a database that no process uses, with its `-wal` beside it.
    ///   - directory: locked meanwhile; made if it does not exist.
    /// - throws: ``StoreError`` `alreadyServed` while a server uses the directory; `notADatabase`, `corrupt` or
    ///   `newerVersion` for a file that is no good; `unwritable`, `full`, `io`.
    package static func restore(
        from file: String, into directory: String, now: Timestamp, ids: IDSource, logger: Logger
    ) async throws(StoreError) -> Restoration {
        let directory = try DataDirectory(directory)
        defer { directory.unlock() }
        let files = RestoreFiles(directory: directory, now: now)
        do {
            try files.stage(file)
            try Self.check(files.draft)
            let former = Self.settle(directory.databasePath)
            let store = try SQLiteStore(directory, path: files.draft, logger: logger, pageCountMax: nil)
            let name = URL(filePath: file).lastPathComponent
            let (takenAt, epoch) = try await store.beginAnew(after: former, file: name, now: now, ids: ids)
            await store.closeDatabase()
            return Restoration(
                takenAt: takenAt, epoch: epoch, replaced: try files.exchange(),
                appliedMigrations: store.appliedMigrations)
        } catch {
            files.discard()
            switch translated(error) {
            case let error as StoreError: throw error
            case let error: throw StoreError(.corrupt, "\(file) cannot be restored: \(error).")
            }
        }
    }

    /// - throws: ``StoreError`` `notADatabase` or `corrupt`; `DatabaseError`.
    private static func check(_ path: String) throws {
        let database = try DatabaseQueue(path: path)
        try database.inDatabase { db in
            guard try db.tableExists("migration"), try db.tableExists("meta") else {
                throw StoreError(.notADatabase, "The file is no backup of comblang.")
            }
            let verdict = try String.fetchOne(db, sql: "PRAGMA integrity_check(1)")
            guard verdict == "ok" else {
                throw StoreError(.corrupt, "The backup is damaged: \(verdict ?? "it cannot be checked").")
            }
            guard try !db.exists("SELECT 1 FROM pragma_foreign_key_check LIMIT 1") else {
                throw StoreError(.corrupt, "The backup is damaged: rows refer to others that are not there.")
            }
            try db.execute(sql: "INSERT INTO messageFts (messageFts) VALUES ('integrity-check')")
        }
        try database.close()
    }

    /// Empties the log of the database that is about to be replaced, so that it is whole in one file. Returns its
    /// epoch; `nil` if it is no database, or damaged, and stays as it is.
    private static func settle(_ path: String) -> String? {
        guard let database = try? DatabaseQueue(path: path) else { return nil }
        defer { try? database.close() }
        return try? database.inDatabase { db in
            guard try db.tableExists("meta") else { return nil }
            _ = try db.checkpoint(.truncate)
            return try String.fetchOne(db, sql: "SELECT epoch FROM meta")
        }
    }

    private func beginAnew(
        after former: String?, file: String, now: Timestamp, ids: IDSource
    ) async throws -> (takenAt: Timestamp?, epoch: String) {
        let (takenAt, epoch) = try await self.between { db -> (Timestamp?, String) in
            let old = try String.fetchOne(db, sql: "SELECT epoch FROM meta") ?? ""
            var new = Self.randomEpoch()
            while new == old || new == former { new = Self.randomEpoch() }
            try db.inTransaction(.immediate) {
                try db.run("UPDATE meta SET epoch = ?1", [new])
                return .commit
            }
            let takenAt = try db.first("SELECT at FROM event ORDER BY seq DESC LIMIT 1") { $0.time() }
            return (takenAt, new)
        }
        try await self.write { store in
            try store.endCallsOfBackup(at: takenAt ?? now, ids: ids)
            guard let admin = try store.user(username: User.adminUsername) else { return }
            let device = DeviceID(known: SessionID.prefix)
            let acting = Acting(user: admin, device: device, now: now, ids: ids)
            try store.audit(AuditRecord(.backupRestored, ["file": .string(file)]), as: acting)
        }
        return (takenAt, epoch)
    }
}
