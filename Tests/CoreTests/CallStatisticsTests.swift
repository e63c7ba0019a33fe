import Core
import TestSupport
import Testing

/// Figures of calls: counts, rates, percentiles, buckets and groups.
struct CallStatisticsTests {
    private static let day: Int64 = 86_400_000
    private static let midnight = Timestamp(milliseconds: 20_000 * Self.day)

    private static func call(
        at time: Int64 = 0, offer: Int64? = nil, answer: Int64? = nil, connect: Int64? = nil, seconds: Int? = nil,
        relayed: Bool? = nil, _ reason: CallEndReason?, transports: [Transport] = [], key: String = ""
    ) -> CallFigures {
        let start = Self.midnight.milliseconds + time
        return CallFigures(
            createdAt: start, offeredAt: offer.map { start + $0 }, answeredAt: answer.map { start + $0 },
            connectedAt: connect.map { start + $0 }, durationSeconds: seconds,
            transports: TransportSet(transports.map { $0 }), isRelayed: relayed, endReason: reason, key: key)
    }

    private static func statistics(
        days: Int = 2, bucket: StatisticsBucket = .day, by grouping: CallGrouping? = nil
    ) throws -> CallStatistics {
        try CallStatistics(
            since: Self.midnight, until: Self.midnight.advanced(by: .seconds(days * 86_400)), bucket: bucket,
            grouping: grouping)
    }

    @Test func ratesAreOfCallsThatHaveEnded() throws {
        var statistics = try Self.statistics()
        statistics.add(Self.call(offer: 10, answer: 510, connect: 1010, seconds: 60, relayed: true, .completed))
        statistics.add(Self.call(offer: 10, answer: 20, seconds: 5, relayed: false, .failed))
        statistics.add(Self.call(.missed))
        statistics.add(Self.call(.lost))
        statistics.add(Self.call(answer: 20, nil))
        let total = statistics.total
        #expect(total.calls == 5 && total.live == 1 && total.ended == 4)
        #expect(total.answered == 2 && total.connected == 1 && total.failed == 2)
        #expect(total.pathKnown == 2 && total.relayed == 1)
        #expect(total.endReasons == [.completed: 1, .failed: 1, .missed: 1, .lost: 1])
        #expect(total.durationSecondsTotal == 65)
        #expect(total.offerToConnectedMs?.p50 == total.offerToConnectedMs?.p99)
    }

    @Test func percentilesAreWithinTheirPrecision() throws {
        var statistics = try Self.statistics()
        for second in 1...10_000 { statistics.add(Self.call(answer: 0, seconds: second, .completed)) }
        let found = try #require(statistics.total.durationSeconds)
        for (value, expected) in [(found.p50, 5000.0), (found.p90, 9000), (found.p99, 9900)] {
            #expect(Double(value) >= expected && Double(value) <= expected * 1.016 + 1, "\(value)")
        }
        var few = try Self.statistics()
        few.add(Self.call(answer: 0, seconds: 3, .completed))
        #expect(few.total.durationSeconds?.p50 == 3)
        #expect(try Self.statistics().total.durationSeconds == nil)
    }

    @Test func sumOfPartsIsAsIfAllWereCountedTogether() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        var whole = CallFiguresSum()
        var parts = [CallFiguresSum(), CallFiguresSum(), CallFiguresSum()]
        for index in 0..<5000 {
            let answer = Int64.random(in: 0...60_000, using: &random)
            let call = Self.call(
                offer: 0, answer: answer, connect: answer + 5, seconds: Int.random(in: 0...43_200, using: &random),
                .allCases.randomElement(using: &random))
            whole.add(call)
            // One that is counted by step, and two that keep their few numbers.
            parts[index < 4000 ? 0 : index % 2 + 1].add(call)
        }
        var sum = parts[2]
        sum.add(parts[0])
        sum.add(parts[1])
        #expect(sum.calls == whole.calls && sum.endReasons == whole.endReasons, "SEED=\(seed)")
        #expect(sum.offerToAnswerMs == whole.offerToAnswerMs)
        #expect(sum.offerToConnectedMs == whole.offerToConnectedMs)
        #expect(sum.durationSeconds == whole.durationSeconds)
    }

    @Test func bucketsAreFullDaysAndHoursOfUTC() throws {
        var days = try CallStatistics(
            since: Self.midnight.advanced(by: .seconds(3600)), until: Self.midnight.advanced(by: .seconds(90_000)),
            bucket: .day, grouping: nil)
        days.add(Self.call(at: Self.day - 1, .missed))
        days.add(Self.call(at: Self.day, .missed))
        #expect(days.buckets.map(\.start) == [Self.midnight, Self.midnight.advanced(by: .seconds(86_400))])
        #expect(days.buckets.map(\.sum.calls) == [1, 1])
        #expect(try Self.statistics(days: 1, bucket: .hour).buckets.count == 24)
    }

    @Test func rangeIsBounded() throws {
        let refused = { (since: Timestamp, until: Timestamp, bucket: StatisticsBucket) in
            problem { () throws(Problem) in
                try CallStatistics(since: since, until: until, bucket: bucket, grouping: nil)
            }
        }
        let start = Self.midnight
        let longest = start.advanced(by: .seconds(Limits.statisticsBucketsMax * 3600))
        #expect(refused(start, longest, .hour) == nil)
        #expect(refused(start, longest.advanced(by: .milliseconds(1)), .hour) == .validationFailed)
        #expect(refused(start, start, .day) == .validationFailed)
        #expect(refused(start, start.advanced(by: .seconds(-1)), .day) == .validationFailed)
        let ever = Timestamp(milliseconds: .max)
        #expect(refused(Timestamp(milliseconds: -1), ever, .day) == .validationFailed)
    }

    @Test func groupsWithMostCallsComeFirstAndTheRestIsOne() throws {
        var statistics = try Self.statistics(by: .room)
        for room in 0..<(Limits.statisticsGroupsMax + 10) {
            for _ in 0...room { statistics.add(Self.call(.missed, key: "room_\(room)")) }
        }
        let (listed, others) = statistics.groups
        #expect(listed.count == Limits.statisticsGroupsMax)
        #expect(listed.first?.group == "room_\(Limits.statisticsGroupsMax + 9)")
        #expect(others?.calls == (1...10).reduce(0, +))
        #expect(listed.map(\.sum.calls).reduce(others?.calls ?? 0, +) == statistics.total.calls)
    }

    @Test func groupsThatAreToldApartAreBounded() throws {
        var statistics = try Self.statistics(by: .initiator)
        for user in 0..<(Limits.statisticsGroupsCountedMax + 5) {
            statistics.add(Self.call(.missed, key: "usr_\(user)"))
        }
        let (listed, others) = statistics.groups
        #expect(listed.map(\.sum.calls).reduce(others?.calls ?? 0, +) == Limits.statisticsGroupsCountedMax + 5)
    }

    @Test func callOfSeveralTransportsCountsForEach() throws {
        var statistics = try Self.statistics(by: .transport)
        statistics.add(Self.call(.completed, transports: [.sse, .poll]))
        statistics.add(Self.call(nil, transports: [.sse]))
        #expect(statistics.groups.listed.map(\.group) == ["sse", "poll"])
        #expect(statistics.total.calls == 2)
        var reasons = try Self.statistics(by: .endReason)
        reasons.add(Self.call(nil))
        #expect(reasons.groups.listed.map(\.group) == ["live"])
    }
}

/// CSV for spreadsheets.
struct CSVTests {
    @Test(arguments: [
        ("plain", "plain"), ("a,b", "\"a,b\""), ("say \"hi\"", "\"say \"\"hi\"\"\""), ("two\nlines", "\"two\nlines\""),
        ("cr\rlf", "\"cr\rlf\""), ("", ""), ("ünï", "ünï"), ("it's", "\"it's\""), ("a;b", "\"a;b\""),
        ("=1+1", "\"'=1+1\""), ("+62", "\"'+62\""), ("-1", "\"'-1\""), ("@SUM(A1)", "\"'@SUM(A1)\""),
        ("\tx", "\"'\tx\""), ("\rx", "\"'\rx\""), ("＝1", "\"'＝1\""),
        ("=HYPERLINK(\"http://x\",\"y\")", "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\""),
    ])
    func fieldIsQuotedAndNeverAFormula(_ text: String, _ expected: String) {
        #expect(CSV.line([text]) == expected + "\r\n")
    }
}
