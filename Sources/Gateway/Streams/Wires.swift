import Core
package import Hub
import NIOCore
import WebSocketWire

extension Wire {
    /// Server-Sent Events (WHATWG HTML, 9.2): `id`, `event`, `retry`, `data`. An envelope is one line.
    package static let sse = Wire(slot: 0, transport: .sse) { frame, buffer in
        buffer.writeSSE(frame, isNamed: true)
    }

    /// As ``sse`` without `event:` lines (`names=0`), so that `onmessage` sees all types.
    package static let sseUnnamed = Wire(slot: 1, transport: .sse) { frame, buffer in
        buffer.writeSSE(frame, isNamed: false)
    }

    /// One envelope a line.
    package static let ndjson = Wire(slot: 2, transport: .ndjson) { frame, buffer in
        buffer.writeString(frame.envelope)
        buffer.writeInteger(UInt8(ascii: "\n"))
    }

    /// One envelope a text frame (RFC 6455), unmasked.
    package static let webSocket = Wire(slot: 3, transport: .websocket) { frame, buffer in
        WebSocketFraming.encodeTextFrame(frame.envelope, into: &buffer)
    }

    /// The room protocol's frames, of one room's events; see ``WebSocketWire/RoomFrame/frames(of:)``. The seed's
    /// clients come back as somebody else, so it does not rotate.
    package static let room = Wire(slot: 4, transport: .websocket, rotates: false, echoesTyping: false) {
        frame, buffer in
        guard let event = frame.event else {
            if frame.type == "stream.gap" {
                WebSocketFraming.encodeTextFrame(RoomFrame.cursorExpired.text, into: &buffer)
            }
            return
        }
        for frame in RoomFrame.frames(of: event) { WebSocketFraming.encodeTextFrame(frame.text, into: &buffer) }
    }

    /// What `pad=1` sends first: a comment for SSE, an empty line of spaces for NDJSON.
    var padding: String? {
        switch self.transport {
        case .sse: ":" + String(repeating: " ", count: Limits.paddingBytes - 3) + "\n\n"
        case .ndjson: String(repeating: " ", count: Limits.paddingBytes - 1) + "\n"
        case .poll, .websocket, .bridge: nil
        }
    }
}

extension ByteBuffer {
    fileprivate mutating func writeSSE(_ frame: WireFrame, isNamed: Bool) {
        if let id = frame.id { self.writeString("id: \(id)\n") }
        if isNamed { self.writeString("event: \(frame.type)\n") }
        if let retry = frame.retryMilliseconds { self.writeString("retry: \(retry)\n") }
        self.writeString("data: ")
        self.writeString(frame.envelope)
        self.writeString("\n\n")
    }
}
