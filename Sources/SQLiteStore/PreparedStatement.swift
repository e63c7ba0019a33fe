import GRDB
import GRDBSQLite

/// What a statement's parameter may be; anything that is optional is `NULL` when it is `nil`.
protocol SQLBindable {
    /// Returns SQLite's code.
    func bind(to statement: OpaquePointer, at index: Int32) -> Int32
}

/// A parameter among others of other types.
typealias SQLValue = (any SQLBindable)?

extension String: SQLBindable {
    /// SQLite's own copy is made (`SQLITE_TRANSIENT`): no pointer of ours outlives the call.
    func bind(to statement: OpaquePointer, at index: Int32) -> Int32 {
        self.withCString { sqlite3_bind_text(statement, index, $0, Int32(clamping: self.utf8.count), transient) }
    }
}

/// A BLOB.
extension [UInt8]: SQLBindable {
    func bind(to statement: OpaquePointer, at index: Int32) -> Int32 {
        self.withUnsafeBytes {
            sqlite3_bind_blob(statement, index, $0.baseAddress, Int32(clamping: $0.count), transient)
        }
    }
}

/// `SQLITE_TRANSIENT`, a macro that does not come through.
private let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

extension Int64: SQLBindable {
    func bind(to statement: OpaquePointer, at index: Int32) -> Int32 { sqlite3_bind_int64(statement, index, self) }
}

extension Int: SQLBindable {
    func bind(to statement: OpaquePointer, at index: Int32) -> Int32 { Int64(self).bind(to: statement, at: index) }
}

extension Bool: SQLBindable {
    func bind(to statement: OpaquePointer, at index: Int32) -> Int32 {
        sqlite3_bind_int(statement, index, self ? 1 : 0)
    }
}

extension Optional: SQLBindable where Wrapped: SQLBindable {
    func bind(to statement: OpaquePointer, at index: Int32) -> Int32 {
        switch self {
        case .some(let value): value.bind(to: statement, at: index)
        case .none: sqlite3_bind_null(statement, index)
        }
    }
}

/// One prepared statement of one connection, bound and read by position.
///
/// Own code begins here: GRDB opens, prepares, caches, finalizes and begins transactions, but a post runs a dozen
/// statements, and GRDB's way of running one (arguments as an array of existentials, checked and copied; each row a
/// copy of its values) took as long as SQLite did. Afterwards it is reset and its parameters are cleared, whatever
/// happened. Valid as long as the access to the database in which it was made; not for two uses at once.
struct PreparedStatement {
    /// Kept for its pointer, which it finalizes.
    private let statement: Statement
    private let pointer: OpaquePointer

    /// - throws: `DatabaseError` if `sql` cannot be compiled.
    init(_ sql: String, on db: Database) throws {
        self.statement = try db.cachedStatement(sql: sql)
        self.pointer = self.statement.sqliteStatement
    }

    /// Runs a statement for its effect.
    ///
    /// - throws: `DatabaseError`.
    func run<each Value: SQLBindable>(_ value: repeat each Value) throws {
        defer { self.finish() }
        try self.bind(repeat each value)
        try self.runToEnd()
    }

    /// As above, for parameters that are made elsewhere.
    func run(values: [SQLValue]) throws {
        defer { self.finish() }
        try self.bind(values: values)
        try self.runToEnd()
    }

    /// Reads the first row, if there is any. `read` may not use this statement.
    ///
    /// - throws: `DatabaseError`, or what `read` throws.
    func first<Value, each Parameter: SQLBindable>(
        _ parameter: repeat each Parameter, read: (inout Columns) throws -> Value
    ) throws -> Value? {
        defer { self.finish() }
        try self.bind(repeat each parameter)
        return try self.next(read)
    }

    /// As above, for parameters that are made elsewhere.
    func first<Value>(values: [SQLValue], read: (inout Columns) throws -> Value) throws -> Value? {
        defer { self.finish() }
        try self.bind(values: values)
        return try self.next(read)
    }

    /// Reads all rows. `read` may not use this statement.
    ///
    /// - throws: `DatabaseError`, or what `read` throws.
    func all<Value>(values: [SQLValue], read: (inout Columns) throws -> Value) throws -> [Value] {
        defer { self.finish() }
        try self.bind(values: values)
        var found: [Value] = []
        while let value = try self.next(read) { found.append(value) }
        return found
    }

    // MARK: Row by row

    /// Begins to give rows by ``nextInteger()``, anew if it had begun; until ``end()``.
    ///
    /// - throws: `DatabaseError`.
    func begin(_ values: [SQLValue]) throws {
        self.finish()
        try self.bind(values: values)
    }

    /// The first column of the next row; `nil` behind the last one.
    ///
    /// - throws: `DatabaseError`.
    func nextInteger() throws -> Int64? { try self.next { $0.integer() } }

    func end() { self.finish() }

    // MARK: Steps

    private func bind<each Value: SQLBindable>(_ value: repeat each Value) throws {
        var count: Int32 = 0
        for value in repeat each value {
            count += 1
            let code = value.bind(to: self.pointer, at: count)
            guard code == SQLITE_OK else { throw self.failure(code) }
        }
        try self.requireAllBound(count)
    }

    private func bind(values: [SQLValue]) throws {
        var count: Int32 = 0
        for value in values {
            count += 1
            let code = value?.bind(to: self.pointer, at: count) ?? SQLITE_OK
            guard code == SQLITE_OK else { throw self.failure(code) }
        }
        try self.requireAllBound(count)
    }

    /// A parameter that was forgotten would be `NULL`.
    private func requireAllBound(_ count: Int32) throws {
        guard count == sqlite3_bind_parameter_count(self.pointer) else {
            throw DatabaseError(resultCode: .SQLITE_MISUSE, message: "wrong number of parameters")
        }
    }

    private func runToEnd() throws {
        // A full disk makes SQLite give up a whole transaction: what follows must not be committed by itself.
        guard sqlite3_stmt_readonly(self.pointer) != 0 || sqlite3_get_autocommit(self.connection) == 0 else {
            throw DatabaseError(resultCode: .SQLITE_ABORT, message: "the transaction has ended")
        }
        while try self.next({ _ in () }) != nil {}
    }

    private func next<Value>(_ read: (inout Columns) throws -> Value) throws -> Value? {
        switch sqlite3_step(self.pointer) {
        case SQLITE_ROW:
            var columns = Columns(self.pointer)
            return try read(&columns)
        case SQLITE_DONE: return nil
        case let code: throw self.failure(code)
        }
    }

    /// Their codes repeat an error that was thrown already.
    private func finish() {
        sqlite3_reset(self.pointer)
        sqlite3_clear_bindings(self.pointer)
    }

    private var connection: OpaquePointer? { sqlite3_db_handle(self.pointer) }

    private func failure(_ code: Int32) -> DatabaseError {
        DatabaseError(
            resultCode: ResultCode(rawValue: code), message: String(cString: sqlite3_errmsg(self.connection)))
    }
}
