import Core
import TestSupport
import Testing

/// When a joined device's place is looked at, and what for. Seconds since the process began.
struct LeaseTests {
    private func outcome(
        asked: Int? = nil, readUntil: Int? = nil, reads: Bool = false, oneWay: Bool = false, at now: Int
    ) -> Lease.Outcome {
        let time = { (seconds: Int) in Timestamp.fixture.advanced(by: .seconds(seconds)) }
        return Lease.outcome(
            DeviceActivity(
                askedAt: asked.map(time), readUntil: readUntil.map(time), isReading: reads, readsOneWay: oneWay),
            startedAt: .fixture, now: time(now))
    }

    private func at(_ seconds: Int) -> Timestamp { Timestamp.fixture.advanced(by: .seconds(seconds)) }

    @Test func deviceThatOnlyAsksHoldsItsPlaceForALeaseAndItsGrace() {
        #expect(self.outcome(asked: 100, at: 130) == .held(checkAt: self.at(175)))
        #expect(self.outcome(asked: 100, at: 174) == .held(checkAt: self.at(175)))
        #expect(self.outcome(asked: 100, at: 175) == .lost)
    }

    @Test func endOfTheLastStreamLeavesTheGraceAtLeast() {
        #expect(self.outcome(asked: 100, readUntil: 500, at: 529) == .held(checkAt: self.at(530)))
        #expect(self.outcome(asked: 100, readUntil: 500, at: 530) == .lost)
        // It asked just before: that counts for longer.
        #expect(self.outcome(asked: 499, readUntil: 500, at: 530) == .held(checkAt: self.at(574)))
    }

    @Test func openStreamHoldsThePlaceHoweverLongNothingIsAsked() {
        #expect(self.outcome(asked: 1, reads: true, at: 100_000) == .held(checkAt: self.at(100_030)))
    }

    @Test func oneWayStreamIsRotatedAfterAMinuteOfSilenceAndNotBefore() {
        #expect(self.outcome(asked: 100, reads: true, oneWay: true, at: 101) == .held(checkAt: self.at(160)))
        #expect(self.outcome(asked: 100, reads: true, oneWay: true, at: 159) == .held(checkAt: self.at(160)))
        #expect(self.outcome(asked: 100, reads: true, oneWay: true, at: 160) == .silent(checkAt: self.at(190)))
        #expect(self.outcome(asked: 150, reads: true, oneWay: true, at: 160) == .held(checkAt: self.at(210)))
    }

    @Test func afterARestartEveryLeaseStartsWhole() {
        #expect(self.outcome(at: 74) == .held(checkAt: self.at(75)))
        #expect(self.outcome(at: 75) == .lost)
        #expect(self.outcome(reads: true, oneWay: true, at: 10) == .held(checkAt: self.at(60)))
    }

    /// Whatever a device does, looking only when the outcome says so finds it lost in time and never too early.
    @Test func looksAreNeverTooLate() {
        let start = UInt64.random(in: 0...UInt64.max / 2)
        for seed in start..<start + 500 {
            var random = SeededGenerator(seed: seed)
            var life = Life(dies: Int.random(in: 1...300, using: &random))
            life.run(&random)
            #expect(life.fault == nil, "seed \(seed)")
        }
    }

    /// A device that reads and asks at random until it dies, second by second.
    private struct Life {
        let dies: Int
        var activity = DeviceActivity(askedAt: .fixture)
        var checkAt = Timestamp.fixture.advanced(by: Limits.streamSilenceMax)
        var lastSign = 0
        var fault: String?

        init(dies: Int) { self.dies = dies }

        mutating func run(_ random: inout SeededGenerator) {
            for second in 1...500 {
                let now = Timestamp.fixture.advanced(by: .seconds(second))
                if second < self.dies {
                    self.live(&random, second, now)
                } else if second == self.dies, self.activity.isReading {
                    self.stopReading(now, second)
                }
                guard now >= self.checkAt else { continue }
                switch Lease.outcome(self.activity, startedAt: .fixture, now: now) {
                case .held(let next): self.checkAt = next
                case .silent(let next):
                    self.checkAt = next
                    self.stopReading(now, second)
                case .lost:
                    if second < self.lastSign + 30 { self.fault = "lost \(second - self.lastSign) s after a sign" }
                    return
                }
                if self.checkAt <= now { self.fault = "looked at for ever" }
            }
            self.fault = "a ghost"
        }

        private mutating func live(_ random: inout SeededGenerator, _ second: Int, _ now: Timestamp) {
            switch Int.random(in: 0..<20, using: &random) {
            case 0:
                self.activity.isReading = true
                self.activity.readsOneWay = Bool.random(using: &random)
                self.activity.askedAt = now
                self.lastSign = second
            case 1 where self.activity.isReading: self.stopReading(now, second)
            case 2:
                self.activity.askedAt = now
                self.lastSign = second
            default: if self.activity.isReading { self.lastSign = second }
            }
        }

        private mutating func stopReading(_ now: Timestamp, _ second: Int) {
            self.activity.isReading = false
            self.activity.readsOneWay = false
            self.activity.readUntil = now
            self.lastSign = second
        }
    }
}
