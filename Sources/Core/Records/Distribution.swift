/// How whole numbers (milliseconds, seconds) are spread, to within 1.6 %: each power of two has 64 equal steps.
///
/// Own code, as the packages at hand have no histogram. Statistics have hundreds of these, most of them with few
/// numbers: those are kept as they came, and counted by step only when that takes less room.
struct Distribution: Hashable, Sendable {
    private static let stepBits = 6
    private static let steps = 1 << Self.stepBits
    /// Larger numbers count as this: 37 hours of milliseconds, three times as long as a call can be.
    private static let valueMax: Int64 = 1 << 27 - 1
    private static let stepCount = (27 - Self.stepBits + 1) * Self.steps

    /// One for each number, unless ``counts`` has them.
    private var few: [UInt16] = []
    /// By step; empty while they are few.
    private var counts: [UInt32] = []
    private(set) var count = 0

    /// Negative numbers count as 0.
    mutating func record(_ value: Int64) { self.record(step: Self.step(of: value), times: 1) }

    private mutating func record(step: UInt16, times: UInt32) {
        self.count += Int(times)
        if self.counts.isEmpty, times == 1, self.few.count < Self.stepCount {
            return self.few.append(step)
        }
        if self.counts.isEmpty {
            self.counts = [UInt32](repeating: 0, count: Self.stepCount)
            for step in self.few { self.counts[Int(step)] += 1 }
            self.few = []
        }
        self.counts[Int(step)] += times
    }

    mutating func add(_ other: Distribution) {
        for step in other.few { self.record(step: step, times: 1) }
        for (step, times) in other.counts.enumerated() where times > 0 {
            self.record(step: UInt16(step), times: times)
        }
    }

    /// The smallest numbers that these shares (0…1, ascending) of all do not exceed; empty when there are none.
    func values(at shares: [Double]) -> [Int64] {
        guard self.count > 0 else { return [] }
        var counts = self.counts
        if counts.isEmpty {
            counts = [UInt32](repeating: 0, count: Self.stepCount)
            for step in self.few { counts[Int(step)] += 1 }
        }
        var values: [Int64] = []
        var seen = 0
        for (step, times) in counts.enumerated() where times > 0 {
            seen += Int(times)
            while values.count < shares.count, Double(seen) >= (shares[values.count] * Double(self.count)).rounded(.up)
            {
                values.append(Self.upperBound(of: step))
            }
        }
        return values
    }

    private static func step(of value: Int64) -> UInt16 {
        let value = max(0, min(value, self.valueMax))
        let magnitude = Int64.bitWidth - value.leadingZeroBitCount
        guard magnitude > self.stepBits + 1 else { return UInt16(value) }
        // The highest bit is implied by the block, the next six choose the step.
        let shift = magnitude - self.stepBits - 1
        return UInt16(shift * self.steps + Int(value >> Int64(shift)))
    }

    private static func upperBound(of step: Int) -> Int64 {
        guard step >= 2 * self.steps else { return Int64(step) }
        let shift = step / self.steps - 1
        return Int64(step - shift * self.steps + 1) << Int64(shift) - 1
    }
}
