/// The mark in a message's content that tells its readers who posted it, as which, and when: `~`, 36 hexadecimal
/// digits, `~`. Of fixed length and without characters that JSON escapes, so that it is found by its bytes.
struct Marker: Equatable {
    /// The same for all messages of one load test.
    var run: UInt32
    /// Number of the connection that posted it.
    var publisher: UInt16
    /// From 0, by room and publisher.
    var sequence: UInt32
    /// Nanoseconds of this machine's monotonic clock.
    var sentAt: UInt64

    static let byteCount = 38
    static let edge = UInt8(ascii: "~")

    init(run: UInt32, publisher: UInt16, sequence: UInt32, sentAt: UInt64) {
        self.run = run
        self.publisher = publisher
        self.sequence = sequence
        self.sentAt = sentAt
    }

    /// Reads a marker at the start of the bytes; `nil` for anything else.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= Self.byteCount, bytes[0] == Self.edge, bytes[Self.byteCount - 1] == Self.edge,
            let run = Self.number(bytes, 1..<9), let publisher = Self.number(bytes, 9..<13),
            let sequence = Self.number(bytes, 13..<21), let sentAt = Self.number(bytes, 21..<37)
        else { return nil }
        self.init(
            run: UInt32(truncatingIfNeeded: run), publisher: UInt16(truncatingIfNeeded: publisher),
            sequence: UInt32(truncatingIfNeeded: sequence), sentAt: sentAt)
    }

    /// Overwrites the first ``byteCount`` bytes.
    func write(to bytes: UnsafeMutableRawBufferPointer) {
        bytes[0] = Self.edge
        Self.write(UInt64(self.run), to: bytes, 1..<9)
        Self.write(UInt64(self.publisher), to: bytes, 9..<13)
        Self.write(UInt64(self.sequence), to: bytes, 13..<21)
        Self.write(self.sentAt, to: bytes, 21..<37)
        bytes[Self.byteCount - 1] = Self.edge
    }

    /// Without a branch for each digit: this runs for each event of each subscriber, a million times a second.
    private static func number(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> UInt64? {
        var value: UInt64 = 0
        var areDigits = true
        for index in range {
            let byte = bytes[index]
            // Letters have bit 6, and begin at 1 where digits begin at 0.
            value = value << 4 | UInt64((byte & 15) &+ (byte >> 6) &* 9)
            areDigits = areDigits && (byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 6)
        }
        return areDigits ? value : nil
    }

    private static func write(_ value: UInt64, to bytes: UnsafeMutableRawBufferPointer, _ range: Range<Int>) {
        var rest = value
        for index in range.reversed() {
            let digit = UInt8(rest & 15)
            bytes[index] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
            rest >>= 4
        }
    }
}

extension UInt8 {
    /// The value of a hexadecimal digit's ASCII code.
    var hexDigit: UInt8? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self &- UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self &- UInt8(ascii: "a") &+ 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self &- UInt8(ascii: "A") &+ 10
        default: nil
        }
    }
}
