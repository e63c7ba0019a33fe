import Core
import GRDBSQLite

/// Takes the columns of a statement's current row one after the other, without a copy of the row. The tables are STRICT
/// and NOT NULL, so types cannot surprise.
struct Columns {
    private let statement: OpaquePointer
    private var next: Int32 = 0

    init(_ statement: OpaquePointer) { self.statement = statement }

    private mutating func advance() -> Int32 {
        defer { self.next += 1 }
        return self.next
    }

    private func isNull(_ column: Int32) -> Bool { sqlite3_column_type(self.statement, column) == SQLITE_NULL }

    private func text(_ column: Int32) -> String {
        // In this order: the first call may convert, the second tells the length of what it made.
        guard let bytes = sqlite3_column_text(self.statement, column) else { return "" }
        let count = Int(sqlite3_column_bytes(self.statement, column))
        return String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
    }

    mutating func skip(_ count: Int32 = 1) { self.next += count }

    mutating func text() -> String { self.text(self.advance()) }

    mutating func optionalText() -> String? {
        let column = self.advance()
        return self.isNull(column) ? nil : self.text(column)
    }

    /// A BLOB.
    mutating func bytes() -> [UInt8] {
        let column = self.advance()
        guard let bytes = sqlite3_column_blob(self.statement, column) else { return [] }
        let count = Int(sqlite3_column_bytes(self.statement, column))
        return Array(UnsafeRawBufferPointer(start: bytes, count: count))
    }

    mutating func integer() -> Int64 { sqlite3_column_int64(self.statement, self.advance()) }

    mutating func optionalInteger() -> Int64? {
        let column = self.advance()
        return self.isNull(column) ? nil : sqlite3_column_int64(self.statement, column)
    }

    /// Whether the next column, which stays the next, is `NULL`.
    var isNull: Bool { self.isNull(self.next) }

    mutating func flag() -> Bool { self.integer() != 0 }
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
        guard !self.isNull else {
            self.skip()
            return nil
        }
        return try self.value() as Value
    }
}
