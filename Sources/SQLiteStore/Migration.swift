import CMigrations
import GRDB

/// One step of the schema: a file of `migrations/`, embedded in the binary.
struct Migration {
    /// The file's name without `.sql`.
    let name: String
    let sql: String

    /// All that this binary knows, in the order in which they are applied.
    static var embedded: [Migration] {
        var count = 0
        guard let first = comblang_migrations(&count) else { return [] }
        return UnsafeBufferPointer(start: first, count: count).map { migration in
            Migration(
                name: String(cString: migration.name),
                sql: String(decoding: UnsafeBufferPointer(start: migration.bytes, count: migration.size), as: UTF8.self)
            )
        }
    }

    /// Brings the database up to `migrations`, each in its own transaction. Returns the names of those applied now.
    ///
    /// - throws: ``StoreError`` `newerVersion` if the database has others than these, `notADatabase` if it is another
    ///   program's; `DatabaseError`.
    static func apply(_ migrations: [Migration], to db: Database) throws -> [String] {
        let isOurs = try db.tableExists("migration")
        guard try isOurs || !db.exists("SELECT 1 FROM sqlite_master LIMIT 1") else {
            throw StoreError(.notADatabase, "The database was made by another program.")
        }
        if !isOurs {
            try db.execute(
                sql: "CREATE TABLE migration (position INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT")
        }
        let applied = try db.all("SELECT name FROM migration ORDER BY position") { $0.text() }
        let missing = try Self.missing(in: applied, of: migrations)
        for migration in missing {
            try db.inTransaction(.immediate) {
                try db.execute(sql: migration.sql)
                try db.run("INSERT INTO migration (name) VALUES (?1)", [migration.name])
                return .commit
            }
        }
        return missing.map(\.name)
    }

    /// Those that a database which has `applied` still needs, in order.
    ///
    /// - throws: ``StoreError`` `newerVersion` if the database has others than these.
    static func missing(in applied: [String], of migrations: [Migration]) throws(StoreError) -> [Migration] {
        guard applied.count <= migrations.count, zip(applied, migrations).allSatisfy({ $0 == $1.name }) else {
            throw StoreError(
                .newerVersion, "The database is of a newer version of comblang than this one (\(applied.last ?? "")).")
        }
        return Array(migrations.dropFirst(applied.count))
    }
}
