import Core
import Foundation
import TestSupport
import Testing

/// Times are written by hand; Foundation says how.
struct TimestampTests {
    private static func expected(_ time: Timestamp) -> String {
        Date(timeIntervalSince1970: Double(time.milliseconds) / 1000)
            .formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (4_107_542_399_999, "2100-02-28T23:59:59.999Z"), (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"), (-62_162_035_200_000, "0000-03-01T00:00:00.000Z"),
    ]) func timesAreWrittenAsTheCalendarHasThem(milliseconds: Int64, text: String) {
        #expect(Timestamp(milliseconds: milliseconds).rfc3339 == text)
    }

    @Test func everyDayOfEightHundredYearsIsWrittenAsFoundationDoes() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        // From 1600 on. Whole seconds, as Foundation's are of a floating-point number.
        for day in stride(from: Int64(-135_140), to: 157_000, by: 1) {
            let time = Timestamp(milliseconds: (day * 86_400 + Int64.random(in: 0..<86_400, using: &random)) * 1000)
            guard time.rfc3339 == Self.expected(time) else {
                Issue.record("\(time.rfc3339) instead of \(Self.expected(time)), seed \(seed)")
                return
            }
        }
    }

    @Test func whatIsWrittenIsReadAgain() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<1000 {
            let time = Timestamp(milliseconds: Int64.random(in: 0..<4_102_444_800_000, using: &random))
            #expect(Timestamp(rfc3339: time.rfc3339) == time, "seed \(seed)")
        }
    }
}
