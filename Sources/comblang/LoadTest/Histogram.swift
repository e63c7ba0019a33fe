/// How often which duration was seen, to within 1 %: each power of two of nanoseconds has 128 equal steps.
struct Histogram: Sendable {
    private static let stepBits = 7
    private static let steps = 1 << Self.stepBits

    private var counts = [UInt64](repeating: 0, count: (64 - Self.stepBits + 1) * Self.steps)
    private(set) var count: UInt64 = 0
    private(set) var max: UInt64 = 0

    mutating func record(nanoseconds: UInt64) {
        self.counts[Self.index(of: nanoseconds)] += 1
        self.count += 1
        self.max = Swift.max(self.max, nanoseconds)
    }

    /// The smallest recorded value that this share of all does not exceed, in milliseconds; 0 for an empty histogram.
    ///
    /// - parameter share: 0…1.
    func milliseconds(at share: Double) -> Double {
        guard self.count > 0 else { return 0 }
        let rank = UInt64((share * Double(self.count)).rounded(.up))
        var seen: UInt64 = 0
        for (index, count) in self.counts.enumerated() where count > 0 {
            seen += count
            if seen >= rank { return Double(min(Self.upperBound(of: index), self.max)) / 1e6 }
        }
        return Double(self.max) / 1e6
    }

    private static func index(of value: UInt64) -> Int {
        let magnitude = UInt64.bitWidth - value.leadingZeroBitCount
        guard magnitude > Self.stepBits + 1 else { return Int(value) }
        // The highest bit is implied by the block, the next seven choose the step.
        let shift = magnitude - Self.stepBits - 1
        return shift * Self.steps + Int(value >> UInt64(shift))
    }

    private static func upperBound(of index: Int) -> UInt64 {
        guard index >= 2 * Self.steps else { return UInt64(index) }
        let shift = index / Self.steps - 1
        let step = UInt64(index - shift * Self.steps)
        return (step + 1) << UInt64(shift) - 1
    }
}
