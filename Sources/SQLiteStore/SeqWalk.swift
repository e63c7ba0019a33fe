import GRDB

/// Seqs in the order of an index, which can be left out as far as another index has nothing.
///
/// SQLite joins by looking each row of one index up in another. Where both have a million rows and little in common
/// that takes seconds; walking both by turns takes as long as the rarer one is.
struct SeqWalk {
    private let statement: PreparedStatement
    private let key: String
    private let range: (first: Int64, last: Int64)
    private let isAscending: Bool
    /// The seq at which it stands; `nil` before its first row, or behind its last.
    private var current: Int64?
    private var hasBegun = false

    /// Rows that are stepped over before the index is asked anew, which costs about as much.
    private static let stepsMax = 24

    /// - parameters:
    ///   - source: what is between `SELECT` and the value of `key`; it gives each `seq` once.
    ///   - range: both inclusive.
    init(
        _ db: Database, from source: String, key: String, range: (first: Int64, last: Int64), isAscending: Bool
    ) throws {
        let seq = source.hasPrefix("rowid") ? "rowid" : "seq"
        self.statement = try db.prepared(
            "SELECT \(source) ?1 AND \(seq) >= ?2 AND \(seq) <= ?3 ORDER BY \(seq) \(isAscending ? "ASC" : "DESC")")
        self.key = key
        self.range = range
        self.isAscending = isAscending
    }

    /// What all of them have, in their order, at most `limit`. They are at their end then.
    ///
    /// - throws: `DatabaseError`.
    static func common(to walks: inout [SeqWalk], limit: Int) throws -> [Int64] {
        defer { for walk in walks { walk.statement.end() } }
        guard let first = walks.first else { return [] }
        var found: [Int64] = []
        var wanted = first.isAscending ? first.range.first : first.range.last
        search: while found.count < limit, first.range.first <= first.range.last {
            for index in walks.indices {
                guard let seq = try walks[index].seek(wanted) else { break search }
                if seq != wanted {
                    wanted = seq
                    continue search
                }
            }
            found.append(wanted)
            wanted += first.isAscending ? 1 : -1
        }
        return found
    }

    /// Goes on to the first seq that is not before `bound`. Returns it; `nil` if there is none.
    private mutating func seek(_ bound: Int64) throws -> Int64? {
        if self.hasBegun {
            for _ in 0..<Self.stepsMax {
                guard let current, self.isBefore(current, bound) else { return self.current }
                self.current = try self.statement.nextInteger()
            }
            guard let current, self.isBefore(current, bound) else { return self.current }
        }
        self.hasBegun = true
        let (first, last) = self.isAscending ? (bound, self.range.last) : (self.range.first, bound)
        try self.statement.begin([self.key, first, last])
        self.current = try self.statement.nextInteger()
        return self.current
    }

    private func isBefore(_ left: Int64, _ right: Int64) -> Bool { self.isAscending ? left < right : left > right }
}
