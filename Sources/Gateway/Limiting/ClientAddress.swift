package import Core
package import HTTPTypes
import Hummingbird
import NIOCore

/// Which proxies are believed when they say whom they ask for.
package struct TrustedProxies: Sendable {
    /// What a proxy writes. Only one is read: a proxy passes on the other as its client sent it.
    package enum Field: String, CaseIterable, Sendable {
        case forwardedFor = "x-forwarded-for"
        case forwarded
    }

    package var networks: [IPNetwork]
    package var field: Field

    package init(networks: [IPNetwork] = [], field: Field = .forwardedFor) {
        self.networks = networks
        self.field = field
    }

    func trusts(_ address: IPAddress) -> Bool { self.networks.contains { $0.contains(address) } }

    /// Who asks: the peer, or, as long as a trusted proxy says so, whom it names; the nearest is named last.
    ///
    /// - parameter fields: of the request.
    package func client(of peer: IPAddress, _ fields: HTTPFields) -> IPAddress {
        var client = peer
        guard self.trusts(client) else { return client }
        for text in self.hops(fields).reversed() {
            // What is no address (`unknown`, `_hidden`, a name) ends what can be known.
            guard let hop = Self.address(text) else { return client }
            client = hop
            guard self.trusts(client) else { return client }
        }
        return client
    }

    private func hops(_ fields: HTTPFields) -> [Substring] {
        switch self.field {
        case .forwardedFor:
            return fields[values: .forwardedFor].flatMap { $0.split(separator: ",", omittingEmptySubsequences: false) }
        case .forwarded:
            // RFC 7239, 4. No address contains a comma or a semicolon, quoted or not.
            let elements = fields[values: .forwarded].flatMap {
                $0.split(separator: ",", omittingEmptySubsequences: false)
            }
            return elements.map { element in
                let pairs = element.split(separator: ";").map { $0.drop { $0 == " " || $0 == "\t" } }
                return pairs.first { $0.lowercased().hasPrefix("for=") }?.dropFirst("for=".count) ?? ""
            }
        }
    }

    /// `192.0.2.7`, `192.0.2.7:4711`, `2001:db8::7`, `[2001:db8::7]`, `"[2001:db8::7]:4711"`.
    private static func address(_ text: Substring) -> IPAddress? {
        let text = text.filter { $0 != " " && $0 != "\t" && $0 != "\"" }
        if text.hasPrefix("[") {
            return text.firstIndex(of: "]").flatMap { IPAddress(text[text.index(after: text.startIndex)..<$0]) }
        }
        if text.count(where: { $0 == ":" }) == 1 { return IPAddress(text.prefix { $0 != ":" }) }
        return IPAddress(text)
    }
}

extension Gateway {
    /// Who asks, behind the proxies that are trusted; `nil` where the connection has no address.
    func clientAddress(_ request: Request, _ context: GatewayContext) -> IPAddress? {
        guard let peer = context.channel.remoteAddress?.ipAddress.flatMap({ IPAddress($0) }) else { return nil }
        return self.settings.trustedProxies.client(of: peer, request.headers)
    }
}

extension HTTPField.Name {
    static let forwarded = known("Forwarded")
    static let forwardedFor = known("X-Forwarded-For")
    static let rateLimit = known("RateLimit")
    static let rateLimitPolicy = known("RateLimit-Policy")
}
