/// Why a WebSocket ends, as a number (RFC 6455, section 7.4).
package struct WebSocketCloseCode: RawRepresentable, Hashable, Sendable {
    package let rawValue: UInt16

    package init(rawValue: UInt16) { self.rawValue = rawValue }

    package static let normal = Self(rawValue: 1000)
    package static let goingAway = Self(rawValue: 1001)
    package static let protocolError = Self(rawValue: 1002)
    package static let unacceptableData = Self(rawValue: 1003)
    /// The peer's Close frame carried no code; never sent.
    package static let noCode = Self(rawValue: 1005)
    /// The connection ended without a Close frame; never sent.
    package static let abnormal = Self(rawValue: 1006)
    package static let invalidData = Self(rawValue: 1007)
    package static let policyViolation = Self(rawValue: 1008)
    package static let messageTooBig = Self(rawValue: 1009)
    package static let internalError = Self(rawValue: 1011)
    package static let serviceRestart = Self(rawValue: 1012)
    package static let tryAgainLater = Self(rawValue: 1013)

    /// Whether a Close frame may carry it: what RFC 6455 and IANA's registry define, and the ranges for libraries
    /// (3000 to 3999) and applications (4000 to 4999).
    package var isSendable: Bool {
        switch self.rawValue {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }
}

/// What a Close frame says.
package struct WebSocketClose: Hashable, Sendable {
    package let code: WebSocketCloseCode
    /// For humans and logs; at most 123 bytes of UTF-8 get through.
    package let reason: String

    package init(_ code: WebSocketCloseCode, _ reason: String = "") {
        self.code = code
        self.reason = reason
    }

    /// The frame's payload: the code in network order, then the reason, cut between two scalars where it is too long;
    /// empty for a code that no frame may carry.
    var payload: [UInt8] {
        guard self.code.isSendable else { return [] }
        var bytes = [UInt8(self.code.rawValue >> 8), UInt8(self.code.rawValue & 0xFF)]
        for scalar in self.reason.unicodeScalars {
            let encoded = Array(String(scalar).utf8)
            guard bytes.count + encoded.count <= WebSocketFraming.controlPayloadBytesMax else { break }
            bytes += encoded
        }
        return bytes
    }
}

/// How a connection ended, told to its owner once.
package struct WebSocketEnding: Hashable, Sendable {
    /// Which side closed.
    package enum Origin: Hashable, Sendable {
        /// A Close frame came from the peer.
        case peer
        /// This side sent the first Close frame, asked to or because the peer broke a rule.
        case local
        /// No Close frame came: the socket closed, failed, or the peer stopped answering pings.
        case lost
    }

    package let origin: Origin
    package let close: WebSocketClose

    package init(_ origin: Origin, _ close: WebSocketClose) {
        self.origin = origin
        self.close = close
    }

    /// Whether the peer said goodbye (1000 or 1001), so that it leaves its call at once instead of by lease.
    package var isGoodbye: Bool { self.origin == .peer && [.normal, .goingAway].contains(self.close.code) }

    /// As ``isGoodbye``, or closed without a code, as a browser's `close()` does when it is given none.
    package var isDeliberate: Bool { self.isGoodbye || (self.origin == .peer && self.close.code == .noCode) }

    static let lost = Self(.lost, WebSocketClose(.abnormal))
}
