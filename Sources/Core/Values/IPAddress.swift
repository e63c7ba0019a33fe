#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// An IPv4 or IPv6 address. One of IPv4 that was written as IPv6 (`::ffff:192.0.2.7`) is the IPv4 address.
package struct IPAddress: Hashable, Sendable, CustomStringConvertible {
    /// As IPv6; those of IPv4 are in `::ffff:0:0/96`.
    package let bits: UInt128

    private static let mapped = UInt128(0xFFFF) << 32

    package init(bits: UInt128) { self.bits = bits }

    /// Reads `192.0.2.7` or `2001:db8::7`; a zone (`%eth0`) is dropped. `nil` for anything else, names included.
    package init?(_ text: some StringProtocol) {
        let text = String(text.prefix { $0 != "%" })
        var four = in_addr()
        var six = in6_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            self.bits = Self.mapped | UInt128(UInt32(bigEndian: four.s_addr))
        } else if inet_pton(AF_INET6, text, &six) == 1 {
            self.bits = withUnsafeBytes(of: &six) { bytes in bytes.reduce(UInt128(0)) { $0 << 8 | UInt128($1) } }
        } else {
            return nil
        }
    }

    package var isIPv4: Bool { self.bits >> 32 == 0xFFFF }

    /// What is taken for one client: an IPv4 address, or an IPv6 network of 64 bits, as every household has one.
    package var client: IPAddress { self.isIPv4 ? self : IPAddress(bits: self.bits & (UInt128.max << 64)) }

    package var description: String {
        if self.isIPv4 {
            return stride(from: 24, through: 0, by: -8).map { String(UInt8(truncatingIfNeeded: self.bits >> $0)) }
                .joined(separator: ".")
        }
        var six = in6_addr()
        withUnsafeMutableBytes(of: &six) { bytes in
            for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: self.bits >> (8 * (15 - index))) }
        }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        inet_ntop(AF_INET6, &six, &text, socklen_t(text.count))
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

extension StringProtocol {
    /// A host as URLs have it, without the brackets of an IPv6 address.
    package var withoutBrackets: String {
        String(self.hasPrefix("[") && self.hasSuffix("]") ? self.dropFirst().dropLast() : self[...])
    }
}

/// A block of addresses: `10.0.0.0/8`, `2001:db8::/32`, or one address.
package struct IPNetwork: Hashable, Sendable, CustomStringConvertible {
    private let base: IPAddress
    /// Of the 128 bits that addresses have here.
    private let prefix: Int

    /// `nil` if it is none. Bits behind the prefix do not count.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let address = IPAddress(parts[0]) else { return nil }
        let width = address.isIPv4 && !parts[0].contains(":") ? 32 : 128
        var prefix = width
        if parts.count == 2 {
            guard let given = Int(parts[1]), (0...width).contains(given) else { return nil }
            prefix = given
        }
        self.prefix = prefix + 128 - width
        self.base = IPAddress(bits: address.bits & Self.mask(self.prefix))
    }

    package func contains(_ address: IPAddress) -> Bool {
        address.bits & Self.mask(self.prefix) == self.base.bits
    }

    private static func mask(_ prefix: Int) -> UInt128 { prefix == 0 ? 0 : UInt128.max << (128 - prefix) }

    package var description: String {
        "\(self.base)/\(self.base.isIPv4 && self.prefix >= 96 ? self.prefix - 96 : self.prefix)"
    }
}

extension IPAddress {
    /// Blocks that are no place in the public Internet (RFC 6890 and its registries): whoever lets a stranger name an
    /// address to connect to lets them reach what is inside.
    private static let special: [IPNetwork] = [
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4", "::/128", "::1/128", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32",
        "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
    ].compactMap { IPNetwork($0) }

    /// Translated addresses of IPv4 (RFC 6052) are as public as what they translate to.
    private static let translated = IPNetwork("64:ff9b::/96")

    /// Whether it is a place in the public Internet.
    package var isPublic: Bool {
        if let translated = Self.translated, translated.contains(self) {
            return IPAddress(bits: Self.mapped | self.bits & 0xFFFF_FFFF).isPublic
        }
        return !Self.special.contains { $0.contains(self) }
    }
}
