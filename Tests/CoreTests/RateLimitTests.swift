import Core
import TestSupport
import Testing

/// Buckets of requests, by a clock that is moved by hand.
struct RateLimitTests {
    private static let quota = RateQuota(5, in: .seconds(10))

    private static func take(
        _ buckets: inout RateBuckets<String>, _ key: String = "a", after seconds: Double = 0
    ) -> RateVerdict {
        buckets.take(
            key, of: Self.quota, for: .reads, now: Timestamp.fixture.advanced(by: .milliseconds(Int(seconds * 1000))))
    }

    @Test func allAreAllowedAtOnceAndThenAsTheyComeBack() {
        var buckets = RateBuckets<String>(countMax: 10)
        #expect((0..<5).map { _ in Self.take(&buckets).remaining } == [4, 3, 2, 1, 0])
        let refused = Self.take(&buckets)
        #expect(!refused.isAllowed && refused.remaining == 0)
        #expect(refused.retryAfterSeconds == 2 && refused.resetSeconds == 10)
        #expect(!Self.take(&buckets, after: 1.9).isAllowed)
        #expect(Self.take(&buckets, after: 2).isAllowed)
        #expect(!Self.take(&buckets, after: 2).isAllowed)
        #expect(Self.take(&buckets, after: 60).remaining == 4)
    }

    @Test func keysDoNotShare() {
        var buckets = RateBuckets<String>(countMax: 10)
        for _ in 0..<6 { _ = Self.take(&buckets) }
        #expect(Self.take(&buckets, "b").isAllowed)
    }

    @Test func whatIsGivenBackIsThereAgain() {
        var buckets = RateBuckets<String>(countMax: 10)
        for _ in 0..<5 { _ = Self.take(&buckets) }
        buckets.giveBack("a", of: Self.quota)
        buckets.giveBack("unknown", of: Self.quota)
        #expect(Self.take(&buckets).isAllowed)
        #expect(!Self.take(&buckets).isAllowed)
    }

    @Test func aBucketThatIsFullAgainIsForgottenFirst() {
        var buckets = RateBuckets<String>(countMax: 100)
        for number in 0..<100 { _ = Self.take(&buckets, "idle \(number)") }
        for _ in 0..<5 { _ = Self.take(&buckets, "busy", after: 8) }
        // All but the busy one are full again.
        _ = Self.take(&buckets, "new", after: 11)
        #expect(buckets.count <= 2)
        #expect(!Self.take(&buckets, "busy", after: 8.1).isAllowed)
    }

    @Test func beyondItsBoundThoseThatOweLeastAreForgotten() {
        var buckets = RateBuckets<String>(countMax: 100)
        for _ in 0..<5 { _ = Self.take(&buckets, "guesser") }
        for number in 0..<1000 {
            _ = Self.take(&buckets, "stranger \(number)")
            #expect(buckets.count <= 100)
        }
        #expect(!Self.take(&buckets, "guesser").isAllowed)
    }

    /// In any window no more than twice the quota passes, and as many as the quota over a long time.
    @Test func neverMoreThanTheQuotaPasses() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        var buckets = RateBuckets<String>(countMax: 10)
        var passed: [Double] = []
        var time = 0.0
        for _ in 0..<5000 {
            time += Double.random(in: 0...0.5, using: &generator)
            let verdict = Self.take(&buckets, after: time)
            if verdict.isAllowed { passed.append(time) }
            #expect((verdict.retryAfterSeconds == 0) == verdict.isAllowed)
            #expect((0...5).contains(verdict.remaining))
        }
        #expect(Double(passed.count) <= 5 + time / 2 + 1, "seed \(seed)")
        for (index, start) in passed.enumerated() {
            let inWindow = passed[index...].prefix { $0 < start + 10 }.count
            #expect(inWindow <= 10, "seed \(seed)")
        }
    }

    @Test(arguments: ["600/60", "1/1", "1000000000/604800"]) func quotasAreRead(_ text: String) {
        #expect(RateQuota(text).map { "\($0.count)/\($0.windowSeconds)" } == text)
    }

    @Test(arguments: ["", "off", "600", "600/", "/60", "0/60", "600/0", "-1/60", "6/6/6", "6 / 6", "1000000001/60"])
    func otherTextsAreNoQuotas(_ text: String) {
        #expect(RateQuota(text) == nil)
    }
}
