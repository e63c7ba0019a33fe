import Core
import Foundation
import NIOCore

/// One SSE, NDJSON or WebSocket connection of a subscriber.
final class StreamConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private struct Ending {
        var reason: String
        var retryAfter: Duration?
        /// Coming again would not help.
        var isFinal = false
    }

    private let subscriber: Subscriber
    private let crowd: Crowd
    private var responses = ResponseReader()
    /// Behind a 101.
    private var frames: FrameReader?
    private var lines = EventLines()
    private var ending = Ending(reason: "connection lost")

    init(_ subscriber: Subscriber, of crowd: Crowd) {
        self.subscriber = subscriber
        self.crowd = crowd
    }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(self.wrapOutboundOut(ByteBuffer(string: self.request)), promise: nil)
    }

    private var request: String {
        let cursor = String(decoding: self.subscriber.cursor, as: UTF8.self)
        let room = self.subscriber.roomID
        var fields = ["Comblang-Device: \(self.subscriber.device)"]
        var path = "/v1/rooms/\(room)/events/stream"
        if self.crowd.plan.wire == .websocket {
            path = "/v1/ws?room=\(room)" + (cursor.isEmpty ? "" : "&after=\(cursor)")
            let key = Data((0..<16).map { _ in UInt8.random(in: .min ... .max) }).base64EncodedString()
            fields += ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
            fields.append("Sec-WebSocket-Key: \(key)")
        } else {
            fields.append("Accept: \(self.crowd.plan.wire == .sse ? "text/event-stream" : "application/x-ndjson")")
            if !cursor.isEmpty { fields.append("Last-Event-ID: \(cursor)") }
        }
        return self.crowd.target.head("GET", path, token: self.subscriber.token, fields: fields)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = self.unwrapInboundIn(data)
        let now = NIODeadline.now().uptimeNanoseconds
        self.crowd.countBytes(buffer.readableBytes)
        buffer.withUnsafeReadableBytes { bytes in
            do throws(LoadFault) {
                try self.read(bytes, context, now)
            } catch {
                self.ending = Ending(reason: error.text)
                context.close(promise: nil)
            }
        }
    }

    private func read(
        _ bytes: UnsafeRawBufferPointer, _ context: ChannelHandlerContext, _ now: UInt64
    ) throws(LoadFault) {
        var index = 0
        while self.frames == nil {
            switch try self.responses.next(in: bytes, from: &index) {
            case .needsMore: return
            case .head(let head): self.begin(head, context)
            case .body(let range):
                try self.lines.take(UnsafeRawBufferPointer(rebasing: bytes[range])) { self.readLine($0, now) }
            case .end: context.close(promise: nil)
            }
        }
        try self.readFrames(bytes, from: &index, context, now)
    }

    private func begin(_ head: ResponseHead, _ context: ChannelHandlerContext) {
        switch head.status {
        case 200: break
        case 101: self.frames = FrameReader()
        default:
            // 4xx but 429 is about this subscriber, and will be the same next time.
            let isFinal = (400..<500).contains(head.status) && head.status != 429
            let retryAfter = head.retryAfterSeconds.map { Duration.seconds($0) }
            self.ending = Ending(reason: "status \(head.status)", retryAfter: retryAfter, isFinal: isFinal)
            context.close(promise: nil)
        }
    }

    private func readFrames(
        _ bytes: UnsafeRawBufferPointer, from index: inout Int, _ context: ChannelHandlerContext, _ now: UInt64
    ) throws(LoadFault) {
        while let piece = try self.frames?.next(in: bytes, from: &index) {
            switch piece {
            case .needsMore: return
            case .text(let range, isLast: true) where self.lines.isEmpty:
                self.readLine(UnsafeRawBufferPointer(rebasing: bytes[range]), now)
            case .text(let range, let isLast):
                try self.lines.append(UnsafeRawBufferPointer(rebasing: bytes[range]))
                if isLast { self.lines.endLine { self.readLine($0, now) } }
            case .ping(let payload):
                context.writeAndFlush(self.wrapOutboundOut(Self.pong(payload)), promise: nil)
            case .close:
                context.close(promise: nil)
                return
            }
        }
    }

    private static func pong(_ payload: [UInt8]) -> ByteBuffer {
        let mask = (0..<4).map { _ in UInt8.random(in: .min ... .max) }
        var buffer = ByteBuffer(bytes: [0x8A, 0x80 | UInt8(payload.count)] + mask)
        buffer.writeBytes(payload.enumerated().map { $1 ^ mask[$0 & 3] })
        return buffer
    }

    private func readLine(_ line: UnsafeRawBufferPointer, _ now: UInt64) {
        guard let envelope = Envelope(line) else { return }
        switch envelope.kind {
        case .message: self.crowd.receive(line, by: self.subscriber, at: now)
        case .ready: self.crowd.opened(self.subscriber)
        case .gap: self.crowd.countLostPosition()
        case .end: self.ending = Self.ending(line)
        case .other: break
        }
        self.subscriber.cursor.removeAll(keepingCapacity: true)
        self.subscriber.cursor.append(contentsOf: envelope.id)
    }

    /// What `stream.end` says.
    private static func ending(_ line: UnsafeRawBufferPointer) -> Ending {
        let text = String(decoding: line, as: UTF8.self).drop { $0 != "{" }
        guard let event = try? JSON.decode(JSONValue.self, from: String(text)), let data = event["data"] else {
            return Ending(reason: "ended")
        }
        let retryAfter: Duration? =
            if case .integer(let milliseconds)? = data["retryAfterMs"] { .milliseconds(milliseconds) } else { nil }
        let reason = data["reason"]?.stringValue ?? "ended"
        return Ending(reason: reason, retryAfter: retryAfter, isFinal: reason == "revoked" || reason == "expired")
    }

    func channelInactive(context: ChannelHandlerContext) {
        let ending = self.ending
        self.crowd.ended(
            self.subscriber, ending.reason, retryAfter: ending.retryAfter, isFinal: ending.isFinal)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
