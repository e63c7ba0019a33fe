extension Timestamp {
    /// Reads RFC 3339: any offset, `t` and `z` too, fractions of any length, of which milliseconds count; `nil` if it
    /// is not. A leap second is the second behind it.
    ///
    /// By hand, as `Date.ISO8601FormatStyle` refuses offsets beyond 18 hours and counts the days before 1582 by
    /// another calendar than the one that RFC 3339 names.
    package init?(rfc3339 text: String) {
        var scanner = TimeScanner(text: Array(text.utf8))
        guard let year = scanner.number(digits: 4, in: 0...9999), scanner.take("-"),
            let month = scanner.number(digits: 2, in: 1...12), scanner.take("-"),
            let day = scanner.number(digits: 2, in: 1...Self.days(ofMonth: month, year: year)), scanner.take("Tt"),
            let hour = scanner.number(digits: 2, in: 0...23), scanner.take(":"),
            let minute = scanner.number(digits: 2, in: 0...59), scanner.take(":"),
            let second = scanner.number(digits: 2, in: 0...60),
            let fraction = scanner.fraction(), let offset = scanner.offset(), scanner.isAtEnd
        else { return nil }
        let time = ((hour * 60 + minute - offset) * 60 + second) * 1000 + fraction
        self.init(milliseconds: Self.yearZero + Self.day(ofYear: year, month: month, day: day) * 86_400_000 + time)
    }

    private static func days(ofMonth month: Int64, year: Int64) -> Int64 {
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        return switch month {
        case 2: isLeap ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Days since 0000-03-01, as `date(ofDay:)` takes them apart.
    private static func day(ofYear year: Int64, month: Int64, day: Int64) -> Int64 {
        // Years that begin in March; 400 more of them, so that January of the year 0 divides as all others do.
        let shifted = (month < 3 ? year - 1 : year) + 400
        let days = 365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 - 146_097
        return days + (153 * ((month + 9) % 12) + 2) / 5 + day - 1
    }
}

/// Reads a time from left to right.
private struct TimeScanner {
    let text: [UInt8]
    private var position = 0

    init(text: [UInt8]) { self.text = text }

    var isAtEnd: Bool { self.position == self.text.count }

    private var next: UInt8? { self.isAtEnd ? nil : self.text[self.position] }

    /// Whether the next character is one of these; then it is read.
    mutating func take(_ characters: StaticString) -> Bool {
        guard let next, characters.withUTF8Buffer({ $0.contains(next) }) else { return false }
        self.position += 1
        return true
    }

    mutating func number(digits: Int, in range: ClosedRange<Int64>) -> Int64? {
        var number: Int64 = 0
        for _ in 0..<digits {
            guard let digit = self.digit() else { return nil }
            number = number * 10 + digit
        }
        return range.contains(number) ? number : nil
    }

    /// Milliseconds; 0 if there is no fraction, `nil` for a point without digits.
    mutating func fraction() -> Int64? {
        guard self.take(".") else { return 0 }
        guard let first = self.digit() else { return nil }
        var (milliseconds, unit) = (first * 100, Int64(10))
        while let digit = self.digit() {
            milliseconds += digit * unit
            unit /= 10
        }
        return milliseconds
    }

    /// Minutes ahead of UTC.
    mutating func offset() -> Int64? {
        if self.take("Zz") { return 0 }
        let sign: Int64
        if self.take("+") { sign = 1 } else if self.take("-") { sign = -1 } else { return nil }
        guard let hours = self.number(digits: 2, in: 0...23), self.take(":"),
            let minutes = self.number(digits: 2, in: 0...59)
        else { return nil }
        return sign * (hours * 60 + minutes)
    }

    private mutating func digit() -> Int64? {
        guard let next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(next) else { return nil }
        self.position += 1
        return Int64(next - UInt8(ascii: "0"))
    }
}
