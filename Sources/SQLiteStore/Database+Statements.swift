import Core
import GRDB

/// Every statement is prepared once for each connection, so SQL texts must be few: no values in them.
extension Database {
    func prepared(_ sql: String) throws -> PreparedStatement { try PreparedStatement(sql, on: self) }

    func run(_ sql: String, _ values: [SQLValue] = []) throws { try self.prepared(sql).run(values: values) }

    func all<Value>(
        _ sql: String, _ values: [SQLValue] = [], read: (inout Columns) throws -> Value
    ) throws -> [Value] {
        try self.prepared(sql).all(values: values, read: read)
    }

    func first<Value>(
        _ sql: String, _ values: [SQLValue] = [], read: (inout Columns) throws -> Value
    ) throws -> Value? {
        try self.prepared(sql).first(values: values, read: read)
    }

    func integers(_ sql: String, _ values: [SQLValue] = []) throws -> [Int64] {
        try self.all(sql, values) { $0.integer() }
    }

    /// The first column of the only row; 0 when there is none or it is `NULL`.
    func integer(_ sql: String, _ values: [SQLValue] = []) throws -> Int64 {
        try self.first(sql, values) { $0.integer() } ?? 0
    }

    /// Whether there is any row.
    func exists(_ sql: String, _ values: [SQLValue] = []) throws -> Bool {
        try self.first(sql, values) { _ in () } != nil
    }

    func identifiers<ID: Identifier>(_ sql: String, _ values: [SQLValue] = []) throws -> [ID] {
        try self.all(sql, values) { $0.id() }
    }
}

/// The statements of a table whose rows are written whole, with `?1`… in the order of its columns.
struct Table {
    /// `table.a, table.b`, for `SELECT`.
    let selection: String
    let insert: String
    /// Sets all other columns of the row with this key.
    let update: String
    /// Inserts, or updates the row with this key.
    let upsert: String

    /// - parameter key: the columns that name a row; they come first.
    init(_ name: String, key: [String], _ others: [String]) {
        let columns = key + others
        self.selection = columns.map { "\(name).\($0)" }.joined(separator: ", ")
        self.insert = """
            INSERT INTO \(name) (\(columns.joined(separator: ", "))) \
            VALUES (\((1...columns.count).map { "?\($0)" }.joined(separator: ", ")))
            """
        let condition = key.enumerated().map { "\($1) = ?\($0 + 1)" }.joined(separator: " AND ")
        let changes = others.enumerated().map { "\($1) = ?\(key.count + $0 + 1)" }.joined(separator: ", ")
        self.update = "UPDATE \(name) SET \(changes) WHERE \(condition)"
        self.upsert = """
            \(self.insert) ON CONFLICT (\(key.joined(separator: ", "))) DO UPDATE SET \
            \(others.map { "\($0) = excluded.\($0)" }.joined(separator: ", "))
            """
    }
}
