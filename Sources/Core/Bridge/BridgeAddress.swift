package import Foundation

/// Who asks to be let into a remote room.
package struct BridgeVisitor: Hashable, Sendable {
    package let userID: String
    package let username: String
    package let color: String

    package init(userID: String, username: String, color: String) {
        self.userID = userID
        self.username = username
        self.color = color
    }
}

extension BridgeTarget {
    /// Whether it can be dialled at all.
    ///
    /// - throws: ``Problem`` `validation-failed` naming the member.
    package func check() throws(Problem) {
        guard self.url.utf8.count <= Limits.bridgeURLBytesMax else {
            throw .invalid("url", "must be at most \(Limits.bridgeURLBytesMax) bytes")
        }
        try self.checkURL()
        guard (1...Limits.bridgeRemoteRoomCharactersMax).contains(self.remoteRoom.unicodeScalars.count) else {
            throw .invalid("remoteRoom", "must have 1 to \(Limits.bridgeRemoteRoomCharactersMax) characters")
        }
        guard (1...64).contains(self.userIDMember.utf8.count) else {
            throw .invalid("userIdMember", "must have 1 to 64 bytes")
        }
        try self.checkHeaders()
        if let pem = self.certificateAuthority {
            guard pem.utf8.count <= Limits.bridgeCertificateBytesMax, Self.holdsCertificates(pem) else {
                throw .invalid(
                    "certificateAuthority",
                    "must be certificates in PEM of at most \(Limits.bridgeCertificateBytesMax) bytes")
            }
        }
    }

    /// Foundation makes some URL of nearly every text, so that what goes wrong would be seen at the first dial.
    private func checkURL() throws(Problem) {
        guard !self.url.unicodeScalars.contains(where: { $0.properties.isWhitespace || $0.isControl }) else {
            throw .invalid("url", "must not contain spaces or control characters")
        }
        let visitor = BridgeVisitor(userID: "usr", username: "name", color: "#000000")
        guard let url = self.address(for: visitor), ["ws", "wss"].contains(url.scheme), url.host?.isEmpty == false
        else { throw .invalid("url", "must be like wss://host/path/{room}?username={username}&color={color}") }
        // Else whoever chooses a name would choose the server.
        let origin = self.url.prefix { !"?#".contains($0) }.split(separator: "/", maxSplits: 3).prefix(2)
        guard !origin.joined().contains("{") else {
            throw .invalid("url", "must have names in its path and query alone, not in its host or port")
        }
        guard url.user == nil, url.password == nil else {
            throw .invalid("url", "must hold no credentials: headers are the place for secrets")
        }
        guard url.port.map({ (1...65_535).contains($0) }) ?? true else {
            throw .invalid("url", "must have a port from 1 to 65535")
        }
        guard url.fragment == nil else { throw .invalid("url", "must have no fragment: it is not sent") }
    }

    /// Whether the text has PEM's blocks of certificates, each of one whole DER sequence (X.509, RFC 7468). What is in
    /// them is for whoever dials.
    private static func holdsCertificates(_ pem: String) -> Bool {
        let blocks = pem.split(separator: "-----BEGIN CERTIFICATE-----", omittingEmptySubsequences: false).dropFirst()
        return !blocks.isEmpty
            && blocks.allSatisfy { block in
                guard let end = block.range(of: "-----END CERTIFICATE-----"),
                    let der = Data(
                        base64Encoded: String(block[..<end.lowerBound].filter { !$0.isWhitespace }))
                else { return false }
                return der.isSequence
            }
    }

    private func checkHeaders() throws(Problem) {
        guard self.headers.count <= Limits.bridgeHeadersMax else {
            throw .invalid("headers", "must have at most \(Limits.bridgeHeadersMax) members")
        }
        guard Set(self.headers.keys.map { $0.lowercased() }).count == self.headers.count else {
            throw .invalid("headers", "must name each header once, in whatever case")
        }
        for (name, value) in self.headers {
            // RFC 9110, section 5.6.2; what the handshake itself needs is not for sale.
            let isToken = !name.isEmpty && name.utf8.allSatisfy { Self.tokenBytes.contains($0) }
            let isOwn = ["host", "connection", "upgrade", "content-length"].contains(name.lowercased())
            guard isToken, !isOwn, !name.lowercased().hasPrefix("sec-websocket-") else {
                throw .invalid("headers", "must not name \(name.prefix(40))")
            }
            guard value.utf8.count <= Limits.bridgeHeaderBytesMax, value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
            else { throw .invalid("headers.\(name)", "must be a line of at most \(Limits.bridgeHeaderBytesMax) bytes") }
        }
    }

    private static let tokenBytes = Set(
        "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)

    /// The URL for one session; `nil` if the template makes none.
    ///
    /// - parameter resumeToken: of another Comblang's welcome; goes along as `resume`.
    package func address(for visitor: BridgeVisitor, resumeToken: String? = nil) -> URL? {
        var text = self.url
        let values = [
            "room": self.remoteRoom, "userId": visitor.userID, "username": visitor.username, "color": visitor.color,
        ]
        for (name, value) in values { text.replace("{\(name)}", with: Self.escaped(value)) }
        guard !text.contains("{"), !text.contains("}") else { return nil }
        guard let resumeToken else { return URL(string: text) }
        return URL(string: text + (text.contains("?") ? "&" : "?") + "resume=\(Self.escaped(resumeToken))")
    }

    /// For logs and for admins: where it goes, without what may be a secret.
    package var shownURL: String {
        String(self.url.prefix { $0 != "?" && $0 != "#" })
    }

    /// RFC 3986's unreserved bytes stay, so that a name cannot become another part of the URL.
    private static func escaped(_ text: String) -> String {
        text.addingPercentEncoding(withAllowedCharacters: Self.unreserved) ?? ""
    }

    private static let unreserved = CharacterSet(
        charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
}

extension Unicode.Scalar {
    fileprivate var isControl: Bool { self.properties.generalCategory == .control }
}

extension Data {
    /// Whether it is one DER sequence of the length that it says, and nothing else (X.690, 8.1).
    fileprivate var isSequence: Bool {
        let bytes = [UInt8](self)
        guard bytes.count > 2, bytes[0] == 0x30 else { return false }
        guard bytes[1] >= 0x80 else { return bytes.count == 2 + Int(bytes[1]) }
        let width = Int(bytes[1] & 0x7F)
        guard (1...4).contains(width), bytes.count > 2 + width else { return false }
        let length = bytes[2..<2 + width].reduce(0) { $0 << 8 | Int($1) }
        return bytes.count == 2 + width + length
    }
}
