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
        let visitor = BridgeVisitor(userID: "usr", username: "name", color: "#000000")
        guard let url = self.address(for: visitor), ["ws", "wss"].contains(url.scheme), url.host?.isEmpty == false
        else { throw .invalid("url", "must be like wss://host/path/{room}?username={username}&color={color}") }
        guard url.user == nil, url.password == nil else {
            throw .invalid("url", "must hold no credentials: headers are the place for secrets")
        }
        guard (1...Limits.bridgeRemoteRoomCharactersMax).contains(self.remoteRoom.unicodeScalars.count) else {
            throw .invalid("remoteRoom", "must have 1 to \(Limits.bridgeRemoteRoomCharactersMax) characters")
        }
        guard (1...64).contains(self.userIDMember.utf8.count) else {
            throw .invalid("userIdMember", "must have 1 to 64 bytes")
        }
        try self.checkHeaders()
        if let pem = self.certificateAuthority {
            guard pem.utf8.count <= Limits.bridgeCertificateBytesMax, pem.contains("-----BEGIN CERTIFICATE-----")
            else {
                throw .invalid(
                    "certificateAuthority", "must be PEM of at most \(Limits.bridgeCertificateBytesMax) bytes")
            }
        }
    }

    private func checkHeaders() throws(Problem) {
        guard self.headers.count <= Limits.bridgeHeadersMax else {
            throw .invalid("headers", "must have at most \(Limits.bridgeHeadersMax) members")
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
