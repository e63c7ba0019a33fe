extension STUNMessage {
    /// The number that names an attribute; those that are not listed are kept and mean nothing here.
    package struct AttributeType: RawRepresentable, Hashable, Sendable {
        package let rawValue: UInt16
        package init(rawValue: UInt16) { self.rawValue = rawValue }

        static let mappedAddress = Self(rawValue: 0x0001)
        package static let username = Self(rawValue: 0x0006)
        static let messageIntegrity = Self(rawValue: 0x0008)
        static let errorCode = Self(rawValue: 0x0009)
        static let lifetime = Self(rawValue: 0x000D)
        static let peerAddress = Self(rawValue: 0x0012)
        static let data = Self(rawValue: 0x0013)
        package static let realm = Self(rawValue: 0x0014)
        package static let nonce = Self(rawValue: 0x0015)
        static let relayedAddress = Self(rawValue: 0x0016)
        static let requestedTransport = Self(rawValue: 0x0019)
        static let xorMappedAddress = Self(rawValue: 0x0020)
        package static let software = Self(rawValue: 0x8022)
        static let alternateServer = Self(rawValue: 0x8023)
        static let fingerprint = Self(rawValue: 0x8028)
    }

    package func value(_ type: AttributeType) -> [UInt8]? { self.attributes.first { $0.type == type }?.value }

    package func text(_ type: AttributeType) -> String? {
        self.value(type).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The code of an error answer, 300 to 699, and the server's own words for it.
    package var error: (code: Int, reason: String)? {
        guard let value = self.value(.errorCode), value.count >= 4 else { return nil }
        return (Int(value[2] & 7) * 100 + Int(value[3]), String(decoding: value.dropFirst(4), as: UTF8.self))
    }

    /// How the server sees the asker.
    package var mappedAddress: STUNAddress? {
        self.value(.xorMappedAddress).flatMap { STUNAddress($0, of: self.id) }
            ?? self.value(.mappedAddress).flatMap { STUNAddress($0, of: nil) }
    }

    /// Where others reach the allocation.
    package var relayedAddress: STUNAddress? {
        self.value(.relayedAddress).flatMap { STUNAddress($0, of: self.id) }
    }

    /// Whom data came from.
    package var peerAddress: STUNAddress? { self.value(.peerAddress).flatMap { STUNAddress($0, of: self.id) } }

    /// Where the server sends the asker to, of an error answer with code 300.
    package var alternateServer: STUNAddress? {
        self.value(.alternateServer).flatMap { STUNAddress($0, of: nil) }
    }

    /// What came from a peer.
    package var data: [UInt8]? { self.value(.data) }

    /// For how many seconds an allocation holds.
    package var lifetimeSeconds: Int? {
        guard let value = self.value(.lifetime), value.count == 4 else { return nil }
        return value.reduce(0) { $0 << 8 | Int($1) }
    }
}

extension STUNMessage.Attribute {
    static func text(_ type: STUNMessage.AttributeType, _ text: String) -> Self {
        Self(type: type, value: Array(text.utf8))
    }

    /// 17, the number of UDP: what a relay speaks to peers.
    package static let requestedUDP = Self(type: .requestedTransport, value: [17, 0, 0, 0])

    package static func lifetime(seconds: UInt16) -> Self {
        Self(type: .lifetime, value: [0, 0] + STUNMessage.bytes(seconds))
    }

    package static func peer(_ address: STUNAddress, of id: STUNMessage.TransactionID) -> Self {
        Self(type: .peerAddress, value: address.encoded(of: id))
    }

    package static func data(_ bytes: [UInt8]) -> Self { Self(type: .data, value: bytes) }
}

/// An address and a port, as STUN writes them.
package struct STUNAddress: Hashable, Sendable, CustomStringConvertible {
    /// 4 bytes or 16.
    package let host: [UInt8]
    package let port: UInt16

    /// - parameter id: of the message, for those that are masked by it; `nil` for those that stand as they are.
    init?(_ value: [UInt8], of id: STUNMessage.TransactionID?) {
        guard value.count >= 4 else { return nil }
        let mask = id.map { STUNMessage.magicCookie + $0.bytes } ?? Array(repeating: 0, count: 16)
        let host = Array(value.dropFirst(4))
        guard value[1] == 1 && host.count == 4 || value[1] == 2 && host.count == 16 else { return nil }
        self.host = zip(host, mask).map { $0 ^ $1 }
        self.port = UInt16(value[2] ^ mask[0]) << 8 | UInt16(value[3] ^ mask[1])
    }

    /// `nil` unless the host has 4 or 16 bytes.
    package init?(host: [UInt8], port: UInt16) {
        guard host.count == 4 || host.count == 16 else { return nil }
        self.host = host
        self.port = port
    }

    func encoded(of id: STUNMessage.TransactionID) -> [UInt8] {
        let mask = STUNMessage.magicCookie + id.bytes
        let port = zip(STUNMessage.bytes(self.port), mask).map { $0 ^ $1 }
        return [0, self.host.count == 4 ? 1 : 2] + port + zip(self.host, mask).map { $0 ^ $1 }
    }

    package var hostText: String {
        guard self.host.count == 16 else { return self.host.map(String.init).joined(separator: ".") }
        return stride(from: 0, to: 16, by: 2).map { index in
            String(UInt16(self.host[index]) << 8 | UInt16(self.host[index + 1]), radix: 16)
        }.joined(separator: ":")
    }

    package var description: String {
        self.host.count == 4 ? "\(self.hostText):\(self.port)" : "[\(self.hostText)]:\(self.port)"
    }

    /// Whether nobody outside of this machine or its own network reaches it (RFC 1918, RFC 6598, RFC 4193, loopback,
    /// link-local, unspecified).
    package var isPrivate: Bool {
        guard self.host.count == 4 else {
            let isLow = self.host.dropLast().allSatisfy { $0 == 0 }
            return isLow || self.host[0] & 0xFE == 0xFC || (self.host[0] == 0xFE && self.host[1] & 0xC0 == 0x80)
        }
        switch (self.host[0], self.host[1]) {
        case (0, _), (10, _), (127, _), (192, 168), (169, 254): return true
        case (172, 16...31), (100, 64...127): return true
        default: return false
        }
    }
}
