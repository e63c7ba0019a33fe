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
        // All that four digits of a year can say.
        for _ in 0..<10_000 {
            let milliseconds = Int64.random(in: -62_162_035_200_000...253_402_300_799_999, using: &random)
            let time = Timestamp(milliseconds: milliseconds)
            #expect(Timestamp(rfc3339: time.rfc3339) == time, "seed \(seed)")
        }
    }

    @Test(arguments: [
        ("2026-11-22T13:24:37Z", 1_795_353_877_000), ("2026-11-22t13:24:37.1z", 1_795_353_877_100),
        ("2026-11-22T13:24:37.123987Z", 1_795_353_877_123), ("2026-11-22T13:24:37.123+00:00", 1_795_353_877_123),
        ("2026-11-22T20:24:37+07:00", 1_795_353_877_000), ("2026-11-21T13:25:37-23:59", 1_795_353_877_000),
        ("2026-11-23T08:49:37+19:25", 1_795_353_877_000), ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ("0000-01-01T00:00:00Z", -62_167_219_200_000), ("2024-02-29T00:00:00Z", 1_709_164_800_000),
    ]) func everyFormOfRFC3339IsRead(text: String, milliseconds: Int64) {
        #expect(Timestamp(rfc3339: text)?.milliseconds == milliseconds)
    }

    @Test(arguments: [
        "", "2026-11-22", "2026-11-22T13:24:37", "2026-11-22 13:24:37Z", "20261122T132437Z", "2026-11-22T13:24Z",
        "2026-11-22T13:24:37.Z", "2026-11-22T13:24:37+07", "2026-11-22T13:24:37+0700", "2026-11-22T13:24:37+24:00",
        "2026-11-22T13:24:37Z ", " 2026-11-22T13:24:37Z", "2026-13-22T13:24:37Z", "2026-02-29T13:24:37Z",
        "2100-02-29T13:24:37Z", "2026-11-00T13:24:37Z", "2026-11-22T24:00:00Z", "2026-11-22T13:60:00Z",
        "2026-11-22T13:24:61Z", "12026-11-22T13:24:37Z", "-026-11-22T13:24:37Z", "2026-11-22T13:24:37,5Z", "1795353877",
    ]) func whatIsNoTimeIsNotRead(_ text: String) {
        #expect(Timestamp(rfc3339: text) == nil)
    }
}
