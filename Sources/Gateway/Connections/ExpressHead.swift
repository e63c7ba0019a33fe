import Core
import NIOHTTP1

/// What the express lane needs of a request's head, found in one walk over its fields.
struct ExpressHead {
    let method: HTTPMethod
    let path: Substring
    let query: String?
    private(set) var token: Substring?
    private(set) var contentType: String?
    private(set) var contentLength: Int?
    private(set) var idempotencyKey: String?
    private(set) var device: String?
    private(set) var origin: String?
    private(set) var accept: String?
    private(set) var lastEventID: String?
    private var host: String?

    /// `nil` for what only the router takes: HTTP/1.0, bodies in chunks, upgrades, expectations, a connection that is
    /// to be closed, a field that counts and comes twice, no host.
    init?(_ head: HTTPRequestHead) {
        guard head.version == .http1_1, head.uri.utf8.first == UInt8(ascii: "/") else { return nil }
        self.method = head.method
        let parts = head.uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        self.path = parts[0]
        self.query = parts.count == 2 ? String(parts[1]) : nil
        for (name, value) in head.headers {
            guard self.take(name, value) else { return nil }
        }
        guard self.host != nil else { return nil }
    }

    /// - returns: `false` if the request is the router's.
    private mutating func take(_ name: String, _ value: String) -> Bool {
        // Most fields are told apart by their length alone.
        switch name.utf8.count {
        case 4: return name.isField("host") ? Self.set(&self.host, value) : true
        case 6:
            if name.isField("accept") { return Self.set(&self.accept, value) }
            if name.isField("origin") { return Self.set(&self.origin, value) }
            return !name.isField("expect")
        case 7: return !name.isField("upgrade")
        case 10: return !name.isField("connection") || value.isField("keep-alive")
        case 12: return name.isField("content-type") ? Self.set(&self.contentType, value) : true
        case 13:
            if name.isField("authorization") { return self.setToken(value) }
            return name.isField("last-event-id") ? Self.set(&self.lastEventID, value) : true
        case 14: return name.isField("content-length") ? Self.set(&self.contentLength, Int(value)) : true
        case 15:
            if name.isField("idempotency-key") { return Self.set(&self.idempotencyKey, value) }
            return name.isField("comblang-device") ? Self.set(&self.device, value) : true
        case 17: return !name.isField("transfer-encoding")
        default: return true
        }
    }

    private static func set<Value>(_ field: inout Value?, _ value: Value?) -> Bool {
        guard field == nil, let value else { return false }
        field = value
        return true
    }

    private mutating func setToken(_ value: String) -> Bool {
        guard value.hasPrefix("Bearer "), self.token == nil else { return false }
        self.token = value.dropFirst("Bearer ".utf8.count)
        return true
    }

    /// The path's segments behind `/v1/rooms/`, if it begins so and none of them is encoded.
    var segmentsOfRoom: [Substring]? {
        guard self.path.hasPrefix("/v1/rooms/"), !self.path.utf8.contains(UInt8(ascii: "%")) else { return nil }
        return self.path.dropFirst("/v1/rooms/".utf8.count).split(
            separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
    }
}

extension HTTPRequestHead {
    /// Whether it has the one `Host` that HTTP/1.1 asks for (RFC 9112, 3.2); HTTP/1.0 knew none.
    var namesItsHost: Bool {
        let count = self.headers["host"].count
        return count == 1 || (count == 0 && self.version == .http1_0)
    }

    /// Whether the client waits to be asked for its body (RFC 9110, 10.1.1). Not if that is too large: it is refused
    /// unread.
    var awaitsContinue: Bool {
        guard self.version == .http1_1,
            self.headers[canonicalForm: "expect"].contains(where: { String($0).isField("100-continue") })
        else { return false }
        guard let length = self.headers.first(name: "content-length") else {
            return self.headers.contains(name: "transfer-encoding")
        }
        return Int(length).map { (1...Limits.bodyBytesMax).contains($0) } ?? false
    }
}

extension String {
    /// Whether it is this field name, or value, in any case (RFC 9110, 5.1).
    fileprivate func isField(_ lowercase: StaticString) -> Bool {
        guard self.utf8.count == lowercase.utf8CodeUnitCount else { return false }
        return lowercase.withUTF8Buffer { wanted in
            zip(self.utf8, wanted).allSatisfy { ($0 >= 0x41 && $0 <= 0x5A ? $0 | 0x20 : $0) == $1 }
        }
    }
}

/// What a connection's client last proved itself with: it mostly sends the same again.
struct ExpressCredentials {
    private var token = ""
    private var claims: AccessClaims?

    /// What the token says; looked up again only when another one comes.
    mutating func claims(in token: Substring, _ tokens: AccessTokens) -> AccessClaims? {
        if token != self.token || self.claims == nil {
            self.token = String(token)
            self.claims = tokens.knownClaims(in: self.token)
        }
        return self.claims
    }
}
