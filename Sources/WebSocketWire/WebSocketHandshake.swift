import Crypto
import Foundation

/// The server's half of the opening handshake (RFC 6455, section 4.2).
package enum WebSocketHandshake {
    /// Why a request is not a WebSocket handshake.
    package enum Refusal: Error, Hashable, Sendable {
        /// No `Upgrade: websocket` with `Connection: Upgrade`: an ordinary request; 426.
        case notAnUpgrade
        /// `Sec-WebSocket-Version` is not 13; 426, and the answer says `Sec-WebSocket-Version: 13`.
        case unsupportedVersion
        /// `Sec-WebSocket-Key` is missing, repeated or not the base64 of 16 bytes; 400.
        case invalidKey
    }

    /// The only version there is, for `Sec-WebSocket-Version` in a refusal.
    package static let version = "13"

    /// Decides on a GET request's headers; returns the value for `Sec-WebSocket-Accept`.
    ///
    /// - parameter values: all values of the header of that lowercase name, in order.
    /// - throws: ``Refusal``, the first that applies in the order of its cases.
    package static func accept(_ values: (_ name: String) -> [String]) throws(Refusal) -> String {
        guard Self.hasToken("websocket", in: values("upgrade")), Self.hasToken("upgrade", in: values("connection"))
        else { throw .notAnUpgrade }
        guard values("sec-websocket-version").map(Self.trimmed) == [Self.version] else { throw .unsupportedVersion }
        let keys = values("sec-websocket-key").map(Self.trimmed)
        guard keys.count == 1, Data(base64Encoded: keys[0])?.count == 16 else { throw .invalidKey }
        return Self.accept(forKey: keys[0])
    }

    /// `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key`; what a client compares the server's answer with.
    package static func accept(forKey key: String) -> String {
        // The RFC's constant, which no server that does not speak WebSocket would append by accident.
        let digest = Insecure.SHA1.hash(data: Data((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8))
        return Data(digest).base64EncodedString()
    }

    /// Whether one of the comma-separated lists contains the token, whatever its case.
    private static func hasToken(_ token: String, in lists: [String]) -> Bool {
        lists.contains { list in
            list.split(separator: ",").contains { Self.trimmed($0).lowercased() == token }
        }
    }

    private static func trimmed(_ text: some StringProtocol) -> String { text.trimmingCharacters(in: .whitespaces) }
}
