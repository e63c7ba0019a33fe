import Core
import GRDB

/// What a statement's parameter may be; the cases that occur are `String`, `Int`, `Int64`, `Bool` and `nil`.
typealias SQLValue = (any DatabaseValueConvertible)?

/// Every statement is prepared once for each connection, so SQL texts must be few: no values in them.
extension Database {
    func run(_ sql: String, _ values: [SQLValue] = []) throws {
        try self.cachedStatement(sql: sql).execute(arguments: StatementArguments(values))
    }

    func rows(_ sql: String, _ values: [SQLValue] = []) throws -> [Row] {
        try Row.fetchAll(self.cachedStatement(sql: sql), arguments: StatementArguments(values))
    }

    func row(_ sql: String, _ values: [SQLValue] = []) throws -> Row? {
        try Row.fetchOne(self.cachedStatement(sql: sql), arguments: StatementArguments(values))
    }

    func integers(_ sql: String, _ values: [SQLValue] = []) throws -> [Int64] {
        try Int64.fetchAll(self.cachedStatement(sql: sql), arguments: StatementArguments(values))
    }

    /// The first column of the only row; 0 when there is none or it is `NULL`.
    func integer(_ sql: String, _ values: [SQLValue] = []) throws -> Int64 {
        try Int64.fetchOne(self.cachedStatement(sql: sql), arguments: StatementArguments(values)) ?? 0
    }

    /// Whether there is any row.
    func exists(_ sql: String, _ values: [SQLValue] = []) throws -> Bool {
        try self.row(sql, values) != nil
    }

    func identifiers<ID: Identifier>(_ sql: String, _ values: [SQLValue] = []) throws -> [ID] {
        try String.fetchAll(self.cachedStatement(sql: sql), arguments: StatementArguments(values)).map(ID.init(known:))
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

/// Takes a row's columns one after the other. The tables are STRICT and NOT NULL, so types cannot surprise.
struct Columns {
    private let row: Row
    private var next = 0

    init(_ row: Row) { self.row = row }

    private mutating func advance() -> Int {
        defer { self.next += 1 }
        return self.next
    }

    mutating func text() -> String { self.row[self.advance()] }
    mutating func optionalText() -> String? { self.row[self.advance()] }
    mutating func integer() -> Int64 { self.row[self.advance()] }
    mutating func optionalInteger() -> Int64? { self.row[self.advance()] }
    mutating func flag() -> Bool { self.row[self.advance()] }
    mutating func time() -> Timestamp { Timestamp(milliseconds: self.integer()) }
    mutating func optionalTime() -> Timestamp? { self.optionalInteger().map(Timestamp.init(milliseconds:)) }
    mutating func id<ID: Identifier>() -> ID { ID(known: self.text()) }
    mutating func optionalID<ID: Identifier>() -> ID? { self.optionalText().map(ID.init(known:)) }

    /// - throws: ``StoreError`` `corrupt` for a text that is none of the cases.
    mutating func value<Value: RawRepresentable<String>>() throws -> Value {
        let text = self.text()
        guard let value = Value(rawValue: text) else {
            throw StoreError(.corrupt, "The database holds an unknown \(Value.self).")
        }
        return value
    }

    mutating func optionalValue<Value: RawRepresentable<String>>() throws -> Value? {
        guard let text = self.optionalText() else { return nil }
        guard let value = Value(rawValue: text) else {
            throw StoreError(.corrupt, "The database holds an unknown \(Value.self).")
        }
        return value
    }
}
