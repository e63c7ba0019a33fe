package import Crypto
import Foundation

/// One message of STUN (RFC 8489) or TURN (RFC 8656), as values: no socket, no clock.
///
/// Own code, as no package in reach speaks STUN.
package struct STUNMessage: Hashable, Sendable {
    /// What is asked for.
    package enum Method: UInt16, Sendable, CaseIterable {
        case binding = 0x001
        case allocate = 0x003
        case refresh = 0x004
        case send = 0x006
        case data = 0x007
        case createPermission = 0x008
    }

    /// What kind of message it is; the raw value is made of the two class bits.
    package enum Class: UInt16, Sendable, CaseIterable {
        case request = 0
        case indication = 1
        case success = 2
        case failure = 3
    }

    /// One attribute, its value without padding.
    package struct Attribute: Hashable, Sendable {
        package let type: AttributeType
        package let value: [UInt8]

        package init(type: AttributeType, value: [UInt8]) {
            self.type = type
            self.value = value
        }
    }

    /// 96 bits that a request and its answer share.
    package struct TransactionID: Hashable, Sendable {
        package let bytes: [UInt8]

        package init() {
            var generator = SystemRandomNumberGenerator()
            self.bytes = (0..<12).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        }

        /// `nil` unless they are 12.
        package init?(_ bytes: [UInt8]) {
            guard bytes.count == 12 else { return nil }
            self.bytes = bytes
        }
    }

    package var method: Method
    package var kind: Class
    package var id: TransactionID
    /// In their order; those that only prove the message (integrity, fingerprint) are not among them.
    package var attributes: [Attribute]
    /// As received, for ``isAuthentic(by:)``; empty for a message of our own.
    private var received: [UInt8] = []

    static let magicCookie: [UInt8] = [0x21, 0x12, 0xA4, 0x42]
    package static let headerBytes = 20

    package init(
        _ method: Method, _ kind: Class = .request, id: TransactionID = TransactionID(), attributes: [Attribute] = []
    ) {
        self.method = method
        self.kind = kind
        self.id = id
        self.attributes = attributes
    }

    // MARK: Reading

    /// `nil` for what is no whole STUN message, or of a method that nobody asked for.
    package init?(parsing bytes: [UInt8]) {
        guard bytes.count >= Self.headerBytes, Array(bytes[4..<8]) == Self.magicCookie, bytes[0] < 0x40,
            Self.uint16(bytes, at: 2) + Self.headerBytes == bytes.count,
            let id = TransactionID(Array(bytes[8..<20]))
        else { return nil }
        // The two class bits stand in the middle of the method's twelve.
        let type = UInt16(Self.uint16(bytes, at: 0))
        let number = (type & 0x000F) | (type & 0x00E0) >> 1 | (type & 0x3E00) >> 2
        let bits = (type & 0x0010) >> 4 | (type & 0x0100) >> 7
        guard let method = Method(rawValue: number), let kind = Class(rawValue: bits) else { return nil }
        self.method = method
        self.kind = kind
        self.id = id
        self.attributes = []
        self.received = bytes
        var offset = Self.headerBytes
        while offset < bytes.count {
            guard offset + 4 <= bytes.count else { return nil }
            let type = AttributeType(rawValue: UInt16(Self.uint16(bytes, at: offset)))
            let length = Self.uint16(bytes, at: offset + 2)
            guard offset + 4 + length <= bytes.count else { return nil }
            // Nothing behind the proof is covered by it.
            if type == .messageIntegrity || type == .fingerprint { break }
            self.attributes.append(Attribute(type: type, value: Array(bytes[(offset + 4)..<(offset + 4 + length)])))
            offset += 4 + Self.padded(length)
        }
    }

    /// Whether the message carries the proof of somebody who knows the key.
    package func isAuthentic(by key: SymmetricKey) -> Bool {
        var offset = Self.headerBytes
        while offset + 4 <= self.received.count {
            let length = Self.uint16(self.received, at: offset + 2)
            if AttributeType(rawValue: UInt16(Self.uint16(self.received, at: offset))) == .messageIntegrity {
                guard length == 20, offset + 24 <= self.received.count else { return false }
                let covered = Self.covering(Array(self.received[..<offset]), following: 24)
                return HMAC<Insecure.SHA1>.isValidAuthenticationCode(
                    self.received[(offset + 4)..<(offset + 24)], authenticating: covered, using: key)
            }
            offset += 4 + Self.padded(length)
        }
        return false
    }

    // MARK: Writing

    /// The bytes to send.
    ///
    /// - parameter key: proves the message; `nil` sends it without a proof.
    package func encoded(key: SymmetricKey? = nil) -> [UInt8] {
        let number = self.method.rawValue
        let bits = self.kind.rawValue
        let type =
            (number & 0x000F) | (number & 0x0070) << 1 | (number & 0x0F80) << 2 | (bits & 1) << 4 | (bits & 2) << 7
        var bytes = Self.bytes(type) + [0, 0] + Self.magicCookie + self.id.bytes
        for attribute in self.attributes { Self.append(attribute.type, attribute.value, to: &bytes) }
        if let key {
            let code = HMAC<Insecure.SHA1>.authenticationCode(
                for: Self.covering(bytes, following: 24), using: key)
            Self.append(.messageIntegrity, Array(code), to: &bytes)
        }
        let sum = CRC32.sum(of: Self.covering(bytes, following: 8)) ^ 0x5354_554E
        Self.append(.fingerprint, Self.bytes(UInt16(sum >> 16)) + Self.bytes(UInt16(sum & 0xFFFF)), to: &bytes)
        return Array(Self.covering(bytes, following: 0))
    }

    private static func append(_ type: AttributeType, _ value: [UInt8], to bytes: inout [UInt8]) {
        bytes += Self.bytes(type.rawValue) + Self.bytes(UInt16(clamping: value.count)) + value
        bytes += Array(repeating: 0, count: Self.padded(value.count) - value.count)
    }

    /// A proof covers what stands before it, with a length in the header that counts the proof as well.
    private static func covering(_ bytes: [UInt8], following: Int) -> Data {
        var bytes = bytes
        bytes.replaceSubrange(2..<4, with: Self.bytes(UInt16(clamping: bytes.count - Self.headerBytes + following)))
        return Data(bytes)
    }

    static func padded(_ length: Int) -> Int { (length + 3) / 4 * 4 }
    static func bytes(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 0xFF)] }
    static func uint16(_ bytes: [UInt8], at offset: Int) -> Int { Int(bytes[offset]) << 8 | Int(bytes[offset + 1]) }
}

/// The checksum of zlib and Ethernet, which STUN's fingerprint is made of.
enum CRC32 {
    static func sum(of bytes: Data) -> UInt32 {
        var sum = ~UInt32(0)
        for byte in bytes {
            sum ^= UInt32(byte)
            for _ in 0..<8 { sum = sum & 1 == 1 ? (sum >> 1) ^ 0xEDB8_8320 : sum >> 1 }
        }
        return ~sum
    }
}
