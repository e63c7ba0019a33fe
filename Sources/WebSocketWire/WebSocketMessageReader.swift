package import NIOCore
package import NIOWebSocket

/// What a frame meant, with fragments put together.
package enum WebSocketInput: Hashable, Sendable {
    case text(String)
    case binary(ByteBuffer)
    case ping([UInt8])
    case pong([UInt8])
    /// `noCode` and an empty reason for an empty Close frame.
    case close(WebSocketClose)
    /// A rule of the protocol or a bound was broken; what to close with.
    case violation(WebSocketClose)
    /// A fragment; the message goes on.
    case incomplete
}

/// Turns the frames of one connection into messages, and checks each by the rules that the decoder leaves open.
///
/// Not NIO's aggregator: that one forgets whether fragments were masked, and keeps each fragment's receive buffer,
/// so that a peer of one-byte fragments holds a thousand times what it sent. Here fragments are copied into one buffer
/// of at most `messageBytesMax` bytes.
package struct WebSocketMessageReader {
    private let role: WebSocketConfiguration.Role
    private let messageBytesMax: Int
    /// The message whose final fragment has not come: its opcode and what there is of it, unmasked.
    private var fragments: (opcode: WebSocketOpcode, data: ByteBuffer)?

    package init(_ configuration: WebSocketConfiguration) {
        self.role = configuration.role
        self.messageBytesMax = configuration.messageBytesMax
    }

    /// Takes the next frame as the decoder gave it. After a violation, nothing else that comes is of meaning.
    package mutating func frameReceived(_ frame: WebSocketFrame) -> WebSocketInput {
        guard !frame.rsv1, !frame.rsv2, !frame.rsv3 else { return Self.broken("a reserved bit is set") }
        switch self.role {
        case .server: guard frame.maskKey != nil else { return Self.broken("a client's frames must be masked") }
        case .client: guard frame.maskKey == nil else { return Self.broken("a server's frames must not be masked") }
        }
        switch frame.opcode {
        case .text, .binary, .continuation: return self.dataFrameReceived(frame)
        case .ping, .pong, .connectionClose: return Self.controlFrameReceived(frame)
        default: return Self.broken("the opcode is not known")
        }
    }

    private mutating func dataFrameReceived(_ frame: WebSocketFrame) -> WebSocketInput {
        var message: (opcode: WebSocketOpcode, data: ByteBuffer)
        if let begun = self.fragments {
            guard frame.opcode == .continuation else { return Self.broken("the message before is unfinished") }
            guard begun.data.readableBytes + frame.length <= self.messageBytesMax else { return self.tooBig }
            message = begun
            // Let go of it here, else appending copies the whole message each time.
            self.fragments = nil
            message.data.writeImmutableBuffer(frame.unmaskedData)
        } else {
            guard frame.opcode != .continuation else { return Self.broken("there is no message to continue") }
            guard frame.length <= self.messageBytesMax else { return self.tooBig }
            message = (frame.opcode, frame.unmaskedData)
            // A slice of its own would keep the whole receive buffer alive while the rest is awaited.
            if !frame.fin { message.data = ByteBuffer(bytes: message.data.readableBytesView) }
        }
        guard frame.fin else {
            self.fragments = message
            return .incomplete
        }
        guard message.opcode == .text else { return .binary(message.data) }
        guard let text = try? message.data.readUTF8ValidatedString(length: message.data.readableBytes) else {
            return .violation(WebSocketClose(.invalidData, "the text is not UTF-8"))
        }
        return .text(text)
    }

    private static func controlFrameReceived(_ frame: WebSocketFrame) -> WebSocketInput {
        // The decoder checks both too; here for whoever feeds frames from elsewhere.
        guard frame.fin, frame.length <= WebSocketFraming.controlPayloadBytesMax else {
            return Self.broken("a control frame is fragmented or too long")
        }
        var data = frame.unmaskedData
        if frame.opcode == .ping { return .ping(Array(data.readableBytesView)) }
        if frame.opcode == .pong { return .pong(Array(data.readableBytesView)) }
        guard data.readableBytes > 0 else { return .close(WebSocketClose(.noCode)) }
        guard let number = data.readInteger(as: UInt16.self), WebSocketCloseCode(rawValue: number).isSendable else {
            return Self.broken("the close code is not valid")
        }
        guard let reason = try? data.readUTF8ValidatedString(length: data.readableBytes) else {
            return .violation(WebSocketClose(.invalidData, "the close reason is not UTF-8"))
        }
        return .close(WebSocketClose(WebSocketCloseCode(rawValue: number), reason))
    }

    private static func broken(_ reason: String) -> WebSocketInput {
        .violation(WebSocketClose(.protocolError, reason))
    }

    private var tooBig: WebSocketInput {
        .violation(WebSocketClose(.messageTooBig, "a message is at most \(self.messageBytesMax) bytes"))
    }
}
