package import NIOCore
package import NIOWebSocket

/// Frames as bytes, for writers that encode once and send to many.
package enum WebSocketFraming {
    /// RFC 6455, section 5.5.
    package static let controlPayloadBytesMax = 125

    /// Appends one whole text frame, unmasked as servers send them.
    package static func encodeTextFrame(_ text: String, into buffer: inout ByteBuffer) {
        Self.encodeFrame(.text, text.utf8, maskKey: nil, into: &buffer)
    }

    /// Appends one final frame.
    ///
    /// - parameter maskKey: for clients, a fresh random one for each frame; `nil` for servers.
    package static func encodeFrame(
        _ opcode: WebSocketOpcode, _ payload: some Collection<UInt8>, maskKey: WebSocketMaskingKey?,
        into buffer: inout ByteBuffer
    ) {
        let length = payload.count
        let maskBit: UInt8 = maskKey == nil ? 0 : 0x80
        buffer.reserveCapacity(minimumWritableBytes: length + 14)
        buffer.writeInteger(0x80 | UInt8(webSocketOpcode: opcode))
        switch length {
        case ...125:
            buffer.writeInteger(maskBit | UInt8(length))
        case ...Int(UInt16.max):
            buffer.writeInteger(maskBit | 126)
            buffer.writeInteger(UInt16(length))
        default:
            buffer.writeInteger(maskBit | 127)
            buffer.writeInteger(UInt64(length))
        }
        guard let maskKey else {
            buffer.writeBytes(payload)
            return
        }
        buffer.writeBytes(maskKey)
        var masked = ByteBuffer(bytes: payload)
        masked.webSocketMask(maskKey)
        buffer.writeBuffer(&masked)
    }
}
