package import Core
import Synchronization

/// Random numbers that a seed repeats (SplitMix64). A test that uses one prints its seed when it fails.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { self.state = seed }

    package mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

extension IDSource {
    /// Identifiers that a seed repeats, from any thread.
    package static func seeded(_ seed: UInt64) -> IDSource {
        let shared = SharedGenerator(seed: seed)
        return IDSource { shared.next80Bits() }
    }
}

/// One generator for many threads.
private final class SharedGenerator: Sendable {
    private let generator: Mutex<SeededGenerator>

    init(seed: UInt64) { self.generator = Mutex(SeededGenerator(seed: seed)) }

    func next80Bits() -> UInt128 {
        self.generator.withLock { UInt128($0.next()) << 16 | UInt128($0.next() & 0xFFFF) }
    }
}
