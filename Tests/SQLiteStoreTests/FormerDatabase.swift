import CMigrations
import Foundation
import GRDB
import SQLiteStore
import TestSupport
import Testing

extension TemporaryDirectory {
    /// Puts a database there as an earlier version left it.
    ///
    /// - parameters:
    ///   - migration: the first one that it lacks, as `0010`.
    ///   - sql: what was written to it; references are not checked.
    func makeDatabase(before migration: String, sql: String) async throws {
        var count = 0
        let first = try #require(comblang_migrations(&count))
        let former = UnsafeBufferPointer(start: first, count: count).map { migration in
            (
                name: String(cString: migration.name),
                sql: String(decoding: UnsafeBufferPointer(start: migration.bytes, count: migration.size), as: UTF8.self)
            )
        }.prefix { $0.name < migration }
        let queue = try DatabaseQueue(path: self.path + "/comblang.sqlite")
        try await queue.write { db in
            try db.execute(
                sql: "CREATE TABLE migration (position INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT")
            for migration in former {
                try db.execute(sql: migration.sql)
                try db.execute(sql: "INSERT INTO migration (name) VALUES (?)", arguments: [migration.name])
            }
        }
        try await queue.writeWithoutTransaction { db in
            try db.execute(sql: "PRAGMA foreign_keys = OFF; " + sql)
        }
        try queue.close()
    }
}

/// What a migration must do to the rows of the version before.
@Suite struct FormerDatabaseTests {
    @Test func answersThatWereKeptInClearAreOverwritten() async throws {
        let directory = try TemporaryDirectory()
        try await directory.makeDatabase(
            before: "0011",
            sql: """
                INSERT INTO idempotentAnswer (user, method, path, key, bodyHash, status, headers, createdAt, body)
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
                SELECT 'usr_a', 'POST', '/v1/webhooks', 'k' || i, '', 201, '{}', 0, 'whsec_inClear' FROM n
                """)
        #expect(try self.holds("whsec_inClear", directory))
        let store = try SQLiteStore.open(directory: directory.path, logger: .quiet)
        #expect(store.appliedMigrations.first == "0011_sealed_answers")
        #expect(try await store.pragma("secure_delete") == "2")
        await store.close()
        #expect(try !self.holds("whsec_inClear", directory))
    }

    private func holds(_ text: String, _ directory: TemporaryDirectory) throws -> Bool {
        try FileManager.default.contentsOfDirectory(atPath: directory.path).contains { name in
            let file = try Data(contentsOf: URL(fileURLWithPath: directory.path + "/" + name))
            return file.range(of: Data(text.utf8)) != nil
        }
    }
}
