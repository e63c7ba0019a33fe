/// A position in the log: `<epoch>.<seq>`. Everything up to and including `seq` has been seen.
package struct Cursor: Hashable, Sendable, CustomStringConvertible {
    /// Names the log's incarnation; a restored backup gets another.
    package let epoch: String
    /// Strictly increases over the whole log; 0 is before the first event.
    package let seq: Int64

    package init(epoch: String, seq: Int64) {
        self.epoch = epoch
        self.seq = seq
    }

    /// Reads `k3f9.1042`; `nil` if it has another shape. Whether the log still reaches back there is for
    /// ``LogBounds/resume(from:)`` to say.
    package init?(_ text: some StringProtocol) { self.init(String(text)) }

    /// As above; not generic, as each poll has one.
    package init?(_ text: String) {
        let bytes = text.utf8
        guard let dot = bytes.firstIndex(of: UInt8(ascii: ".")) else { return nil }
        let (epoch, digits) = (bytes[..<dot], bytes[bytes.index(after: dot)...])
        guard (1...16).contains(epoch.count), (1...19).contains(digits.count),
            epoch.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) })
        else { return nil }
        var seq: Int64 = 0
        for digit in digits {
            guard (0x30...0x39).contains(digit) else { return nil }
            let (product, isTooLarge) = seq.multipliedReportingOverflow(by: 10)
            let (sum, isOver) = product.addingReportingOverflow(Int64(digit - 0x30))
            guard !isTooLarge, !isOver else { return nil }
            seq = sum
        }
        self.init(epoch: String(text[..<dot]), seq: seq)
    }

    package var description: String { "\(self.epoch).\(self.seq)" }
}

/// What the log holds at one moment, of one database snapshot.
package struct LogBounds: Hashable, Sendable {
    package let epoch: String
    /// Events up to here were deleted by retention; 0 when none were.
    package var trimmedThrough: Int64
    /// The newest event's seq; 0 in an empty log.
    package var tail: Int64

    package init(epoch: String, trimmedThrough: Int64, tail: Int64) {
        self.epoch = epoch
        self.trimmedThrough = trimmedThrough
        self.tail = tail
    }

    package var tailCursor: Cursor { Cursor(epoch: self.epoch, seq: self.tail) }

    /// Whether reading can go on from a cursor.
    package enum Resume: Hashable, Sendable {
        /// Reading goes on behind this seq with nothing missing.
        case resumed(after: Int64)
        /// Another epoch, beyond the tail, or trimmed: the client reloads snapshots and goes on from the tail.
        case gap
    }

    package func resume(from cursor: Cursor) -> Resume {
        guard cursor.epoch == self.epoch, cursor.seq >= self.trimmedThrough, cursor.seq <= self.tail else {
            return .gap
        }
        return .resumed(after: cursor.seq)
    }
}

/// Where a reader wants to start.
package enum StartPosition: Hashable, Sendable {
    /// From now on (no `after`).
    case tail
    /// `after=earliest`: all that is kept.
    case earliest
    case cursor(Cursor)
}
