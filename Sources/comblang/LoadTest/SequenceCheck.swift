/// What one subscriber has received, held against what was posted: each publisher numbers its messages to a room from
/// 0, and posts one after the other, so that their order is fixed.
struct SequenceCheck {
    /// Holes beyond so many are counted, but not told apart from late ones.
    private static let holesMax = 10_000

    /// Next number of each publisher.
    private var expected: [UInt32]
    /// Numbers that were passed over, as publisher and sequence.
    private var holes: Set<UInt64> = []
    private var uncountedHoles = 0
    private(set) var received = 0
    private(set) var duplicates = 0
    /// Messages that came after a later one of the same publisher.
    private(set) var disorder = 0
    /// A digest of the order over all publishers: the same for all subscribers of a room that saw the same.
    private(set) var order: UInt64 = 0

    init(publishers: Int) { self.expected = Array(repeating: 0, count: publishers) }

    /// Messages that a later one overtook and that never came.
    var gaps: Int { self.holes.count + self.uncountedHoles }

    /// Takes a message's number; returns whether it is new.
    mutating func note(publisher: Int, sequence: UInt32) -> Bool {
        guard publisher < self.expected.count else { return false }
        let next = self.expected[publisher]
        let key = UInt64(publisher) << 32 | UInt64(sequence)
        if sequence < next {
            guard self.holes.remove(key) != nil else {
                self.duplicates += 1
                return false
            }
            self.disorder += 1
        } else {
            if sequence > next { self.noteHoles(publisher, next..<sequence) }
            self.expected[publisher] = sequence &+ 1
        }
        self.received += 1
        // FNV-1a's prime: every later step depends on every earlier one.
        self.order = (self.order ^ key) &* 0x100_0000_01b3
        return true
    }

    private mutating func noteHoles(_ publisher: Int, _ range: Range<UInt32>) {
        for sequence in range {
            guard self.holes.count < Self.holesMax else {
                self.uncountedHoles += Int(range.upperBound - sequence)
                return
            }
            self.holes.insert(UInt64(publisher) << 32 | UInt64(sequence))
        }
    }
}
