/// Where a STUN or TURN server is, as browsers are told (RFC 7064, RFC 7065): `stun:stun.example.org`,
/// `turns:[2001:db8::1]:5349?transport=tcp`.
package struct ServerURI: Hashable, Sendable, CustomStringConvertible {
    /// What is asked for, and whether TLS is under it.
    package enum Scheme: String, Sendable, CaseIterable { case stun, stuns, turn, turns }
    /// What carries it.
    package enum Transport: String, Sendable, CaseIterable { case udp, tcp }

    package let scheme: Scheme
    /// A name, an IPv4 address, or an IPv6 address without its brackets.
    package let host: String
    package let port: Int
    package let transport: Transport

    /// Whether the server relays (TURN).
    package var isRelay: Bool { self.scheme == .turn || self.scheme == .turns }
    /// Whether TLS is spoken; over UDP it would be DTLS.
    package var isSecure: Bool { self.scheme == .stuns || self.scheme == .turns }

    /// `nil` for what browsers would refuse. A scheme is lower case; `?transport=` is TURN's alone.
    package init?(_ text: String) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let scheme = Scheme(rawValue: String(parts[0])) else { return nil }
        self.scheme = scheme
        let address = parts[1].split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let isSecure = scheme == .stuns || scheme == .turns
        var transport = isSecure ? Transport.tcp : .udp
        if address.count == 2 {
            let option = address[1].split(separator: "=", omittingEmptySubsequences: false)
            guard scheme == .turn || scheme == .turns, option.count == 2, option[0] == "transport",
                let named = Transport(rawValue: String(option[1]))
            else { return nil }
            transport = named
        }
        self.transport = transport
        guard let (host, port) = Self.hostAndPort(address[0]) else { return nil }
        self.host = host
        self.port = port ?? (isSecure ? 5349 : 3478)
    }

    private static func hostAndPort(_ text: Substring) -> (host: String, port: Int?)? {
        let host: Substring
        var rest: Substring
        if text.first == "[" {
            guard let end = text.firstIndex(of: "]") else { return nil }
            host = text[text.index(after: text.startIndex)..<end]
            rest = text[text.index(after: end)...]
            guard host.contains(":"), host.allSatisfy({ $0.isHexDigit || $0 == ":" || $0 == "." }) else { return nil }
        } else {
            host = text.prefix { $0 != ":" }
            rest = text[host.endIndex...]
            let isName = host.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
            guard !host.isEmpty, host.utf8.count <= 253, isName else { return nil }
        }
        guard !rest.isEmpty else { return (String(host), nil) }
        guard rest.removeFirst() == ":", let port = Int(rest), (1...65_535).contains(port),
            rest.allSatisfy(\.isNumber)
        else { return nil }
        return (String(host), port)
    }

    /// As it is written, with port and transport in any case.
    package var description: String {
        let host = self.host.contains(":") ? "[\(self.host)]" : self.host
        return "\(self.scheme.rawValue):\(host):\(self.port)" + (self.isRelay ? "?transport=\(self.transport)" : "")
    }
}
