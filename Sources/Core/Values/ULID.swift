/// 128 bits that sort by their time of making: 48 bits of milliseconds since 1970, then 80 random bits.
///
/// Own code, as no package that can be had here makes ULIDs. Source: github.com/ulid/spec.
package struct ULID: Hashable, Sendable {
    package static let characterCount = 26
    private static let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)

    package let bits: UInt128

    /// - parameter random: 80 bits; higher ones are dropped.
    package init(at time: Timestamp, random: UInt128) {
        let milliseconds = UInt128(UInt64(clamping: time.milliseconds) & 0xFFFF_FFFF_FFFF)
        self.bits = milliseconds << 80 | (random & (UInt128(1) << 80 - 1))
    }

    /// 26 characters, the first of which holds the top 3 bits.
    package var text: String {
        String(unsafeUninitializedCapacity: Self.characterCount) { buffer in
            var rest = self.bits
            for index in stride(from: Self.characterCount - 1, through: 0, by: -1) {
                buffer[index] = Self.alphabet[Int(truncatingIfNeeded: rest & 31)]
                rest >>= 5
            }
            return Self.characterCount
        }
    }

    static func isAlphabetByte(_ byte: UInt8) -> Bool { self.alphabet.contains(byte) }
}

/// Where new identifiers come from. Core reads no random source, so the caller hands one in.
package struct IDSource: Sendable {
    private let nextRandom: @Sendable () -> UInt128

    /// - parameter nextRandom: 80 random bits each time it is called, from any thread.
    package init(nextRandom: @escaping @Sendable () -> UInt128) { self.nextRandom = nextRandom }

    package func next<ID: Identifier>(_ type: ID.Type = ID.self, at time: Timestamp) -> ID {
        ID(ULID(at: time, random: self.nextRandom()))
    }
}
