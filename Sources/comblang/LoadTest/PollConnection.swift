import NIOCore

/// One connection on which a subscriber polls: each answer's cursor is the next request's.
final class PollConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let subscriber: Subscriber
    private let crowd: Crowd
    private var responses = ResponseReader()
    private var head = ResponseHead()
    private var body: [UInt8] = []
    private var ending = "connection lost"
    private var retryAfter: Duration?

    init(_ subscriber: Subscriber, of crowd: Crowd) {
        self.subscriber = subscriber
        self.crowd = crowd
    }

    func channelActive(context: ChannelHandlerContext) {
        // The first request does not wait: its answer says that the server serves this subscriber.
        self.ask(context, waitSeconds: 0)
    }

    private func ask(_ context: ChannelHandlerContext, waitSeconds: Int) {
        var path = "/v1/rooms/\(self.subscriber.roomID)/events?wait=\(waitSeconds)&limit=1000"
        let cursor = String(decoding: self.subscriber.cursor, as: UTF8.self)
        if !cursor.isEmpty { path += "&after=\(cursor)" }
        let head = self.crowd.target.head(
            "GET", path, token: self.subscriber.token, fields: ["Comblang-Device: \(self.subscriber.device)"])
        context.writeAndFlush(self.wrapOutboundOut(ByteBuffer(string: head)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = self.unwrapInboundIn(data)
        let now = NIODeadline.now().uptimeNanoseconds
        self.crowd.countBytes(buffer.readableBytes)
        buffer.withUnsafeReadableBytes { bytes in
            do throws(LoadFault) {
                try self.read(bytes, context, now)
            } catch {
                self.ending = error.text
                context.close(promise: nil)
            }
        }
    }

    private func read(
        _ bytes: UnsafeRawBufferPointer, _ context: ChannelHandlerContext, _ now: UInt64
    ) throws(LoadFault) {
        var index = 0
        while true {
            switch try self.responses.next(in: bytes, from: &index) {
            case .needsMore:
                return
            case .head(let head):
                self.head = head
                self.body.removeAll(keepingCapacity: true)
            case .body(let range):
                self.body.append(contentsOf: bytes[range])
                guard self.body.count <= EventLines.lineBytesMax else { throw LoadFault("an answer without end") }
            case .end:
                self.answered(context, now)
            }
        }
    }

    private func answered(_ context: ChannelHandlerContext, _ now: UInt64) {
        switch self.head.status {
        case 200:
            self.body.withUnsafeBytes { self.crowd.receive($0, by: self.subscriber, at: now) }
            self.subscriber.cursor = self.head.eventCursor
            self.crowd.opened(self.subscriber)
            self.ask(context, waitSeconds: 25)
        case 410:
            self.crowd.countLostPosition()
            self.subscriber.cursor.removeAll()
            self.ask(context, waitSeconds: 0)
        case let status:
            self.ending = "status \(status)"
            self.retryAfter = self.head.retryAfterSeconds.map { Duration.seconds($0) }
            context.close(promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        let isRefused = (400..<500).contains(self.head.status) && self.head.status != 429 && self.head.status != 410
        self.crowd.ended(self.subscriber, self.ending, retryAfter: self.retryAfter, isFinal: isRefused)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
