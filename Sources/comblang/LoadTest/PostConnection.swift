import NIOCore

/// A connection with one request under way at most; keeps open between them.
final class PostConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Number of the publisher in the markers.
    let number: Int
    private unowned let poster: Poster
    private var context: ChannelHandlerContext?
    private var responses = ResponseReader()
    private var head = ResponseHead()

    init(number: Int, of poster: Poster) {
        self.number = number
        self.poster = poster
    }

    var isActive: Bool { self.context != nil }

    func send(_ request: ByteBuffer) {
        guard let context else { return }
        context.writeAndFlush(self.wrapOutboundOut(request), promise: nil)
    }

    func close() { self.context?.close(promise: nil) }

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        self.responses = ResponseReader()
        self.poster.connected(self)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = self.unwrapInboundIn(data)
        buffer.withUnsafeReadableBytes { bytes in
            do throws(LoadFault) {
                var index = 0
                while true {
                    switch try self.responses.next(in: bytes, from: &index) {
                    case .needsMore: return
                    case .head(let head): self.head = head
                    case .body: break
                    case .end: self.poster.answered(self, self.head)
                    }
                }
            } catch {
                context.close(promise: nil)
            }
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        self.poster.lost(self)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
