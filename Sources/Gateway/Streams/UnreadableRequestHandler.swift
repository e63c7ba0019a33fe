package import NIOCore
import NIOHTTP1

/// Closes a connection whose bytes are no HTTP, a moment after it was answered 400.
///
/// Nothing more is read from it by then, not even its end: a client that goes on sending (a head of 10 MB) or goes away
/// would hold a socket here until the idle timeout.
package final class UnreadableRequestHandler: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = NIOAny

    /// For the answer to arrive: closing with unread bytes resets the connection, and the client may lose it.
    private static let answerTime = TimeAmount.seconds(2)

    package init() {}

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error is HTTPParserError {
            let channel = context.channel
            context.eventLoop.scheduleTask(in: Self.answerTime) { channel.close(promise: nil) }
        }
        context.fireErrorCaught(error)
    }
}
