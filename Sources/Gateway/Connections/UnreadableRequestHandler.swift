import Core
import HTTPTypes
import Hummingbird
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import NIOHTTPTypes

/// Sees to connections whose bytes are no HTTP: Hummingbird answers them with a bare 400, which becomes a problem like
/// any other here, and a moment later the connection is closed.
///
/// Nothing more is read from it by then, not even its end: a client that goes on sending (a head of 10 MB) or goes away
/// would hold a socket here until the idle timeout.
final class UnreadableRequestHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    /// For the answer to arrive: closing with unread bytes resets the connection, and the client may lose it.
    private static let answerTime = TimeAmount.seconds(2)

    private var isUnreadable = false
    /// Of the problem.
    var detail = "The request is not HTTP/1.1, or its head is too large"

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error is HTTPParserError {
            self.isUnreadable = true
            let channel = context.channel
            context.eventLoop.scheduleTask(in: Self.answerTime) { channel.close(promise: nil) }
        }
        context.fireErrorCaught(error)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard self.isUnreadable, case .head(let bare) = Self.unwrapOutboundIn(data), bare.status == .badRequest,
            let (head, body) = try? self.answer()
        else {
            return context.write(data, promise: promise)
        }
        context.write(Self.wrapOutboundOut(.head(head)), promise: promise)
        context.write(Self.wrapOutboundOut(.body(body)), promise: nil)
    }

    private func answer() throws -> (HTTPResponse, ByteBuffer) {
        let requestID = RequestID().description
        let problem = Problem(.invalidRequest, self.detail)
        let body = ByteBuffer(data: try JSON.encode(problem.body(instance: requestID)))
        let fields: HTTPFields = [
            .contentType: "application/problem+json", .contentLength: String(body.readableBytes),
            .requestID: requestID, .connection: "close",
        ]
        return (HTTPResponse(status: .badRequest, headerFields: fields), body)
    }
}
