package import Foundation

/// A point in time: milliseconds since 1970-01-01T00:00:00Z. On the wire RFC 3339 in UTC with exactly three decimals.
package struct Timestamp: Hashable, Comparable, Codable, Sendable, CustomStringConvertible {
    package let milliseconds: Int64

    package init(milliseconds: Int64) { self.milliseconds = milliseconds }

    package init(_ date: Date) { self.milliseconds = Int64((date.timeIntervalSince1970 * 1000).rounded()) }

    /// `2026-11-22T13:24:37.123Z`.
    ///
    /// By hand, as each message has one or more and `Date.ISO8601FormatStyle`, which still writes years of other than
    /// four digits, takes ten times as long.
    package var rfc3339: String {
        guard (Self.yearZero...Self.yearMax).contains(self.milliseconds) else {
            return Date(timeIntervalSince1970: Double(self.milliseconds) / 1000)
                .formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
        }
        let (days, time) = (self.milliseconds - Self.yearZero).quotientAndRemainder(dividingBy: 86_400_000)
        let (year, month, day) = Self.date(ofDay: days)
        return String(unsafeUninitializedCapacity: 24) { text in
            var end = 0
            func write(_ number: Int64, digits: Int, then separator: UInt8) {
                var rest = number
                for index in stride(from: end + digits - 1, through: end, by: -1) {
                    text[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                    rest /= 10
                }
                text[end + digits] = separator
                end += digits + 1
            }
            write(year, digits: 4, then: UInt8(ascii: "-"))
            write(month, digits: 2, then: UInt8(ascii: "-"))
            write(day, digits: 2, then: UInt8(ascii: "T"))
            write(time / 3_600_000, digits: 2, then: UInt8(ascii: ":"))
            write(time / 60_000 % 60, digits: 2, then: UInt8(ascii: ":"))
            write(time / 1000 % 60, digits: 2, then: UInt8(ascii: "."))
            write(time % 1000, digits: 3, then: UInt8(ascii: "Z"))
            return end
        }
    }

    /// 0000-03-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z.
    static let (yearZero, yearMax): (Int64, Int64) = (-62_162_035_200_000, 253_402_300_799_999)

    /// - parameter day: days since 0000-03-01. Years that begin in March have their leap day at the end, so that the
    ///   days before each month are a straight line: 153 in any five of them.
    private static func date(ofDay day: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = day.quotientAndRemainder(dividingBy: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let dayOfMonth = dayOfYear - (153 * month + 2) / 5 + 1
        let year = era * 400 + yearOfEra
        return month < 10 ? (year, month + 3, dayOfMonth) : (year + 1, month - 9, dayOfMonth)
    }

    package var description: String { self.rfc3339 }

    package func advanced(by duration: Duration) -> Timestamp {
        Timestamp(milliseconds: self.milliseconds + duration.milliseconds)
    }

    /// How long it is from `earlier` to here; negative if `earlier` is later.
    package func duration(since earlier: Timestamp) -> Duration {
        .milliseconds(self.milliseconds - earlier.milliseconds)
    }

    package static func < (left: Self, right: Self) -> Bool { left.milliseconds < right.milliseconds }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let time = Timestamp(rfc3339: try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "is not an RFC 3339 time")
        }
        self = time
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(self.rfc3339)
    }
}

extension Duration {
    /// Whole milliseconds, rounded towards zero.
    package var milliseconds: Int64 {
        let (seconds, attoseconds) = self.components
        return seconds * 1000 + attoseconds / 1_000_000_000_000_000
    }
}

/// Tells the time. The process has one; tests move theirs by hand.
package protocol TimeSource: Sendable {
    var now: Timestamp { get }
}

/// The computer's clock.
package struct SystemTime: TimeSource {
    package init() {}
    package var now: Timestamp { Timestamp(Date()) }
}
