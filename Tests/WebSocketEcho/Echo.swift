import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import WebSocketWire

/// Sends back every message that it gets, on the wire code of the gateway and the bridge: what Autobahn's test suite
/// asks of a server. Listens on a free port of 127.0.0.1, which is the first line of its output.
@main
enum Echo {
    static func main() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let server = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.configureHTTPServerPipeline(
                        withPipeliningAssistance: false, withErrorHandling: false)
                    try pipeline.addHandler(Upgrade())
                }
            }.bind(host: "127.0.0.1", port: 0).get()
        let port = server.localAddress?.port ?? 0
        FileHandle.standardOutput.write(Data("\(port)\n".utf8))
        try await server.closeFuture.get()
    }
}

/// Answers the handshake of one connection.
private final class Upgrade: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    /// Autobahn's largest messages have 16 MiB.
    private static let messageBytesMax = 64 * 1024 * 1024

    private var accept: String?

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch Self.unwrapInboundIn(data) {
        case .head(let head): self.accept = try? WebSocketHandshake.accept { head.headers[$0] }
        case .body: break
        case .end: self.answer(context)
        }
    }

    private func answer(_ context: ChannelHandlerContext) {
        guard let accept, let handler = try? Self.install(on: context.channel) else {
            context.close(promise: nil)
            return
        }
        var head = HTTPResponseHead(version: .http1_1, status: .switchingProtocols)
        head.headers = ["Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept]
        context.write(Self.wrapOutboundOut(.head(head)), promise: nil)
        context.writeAndFlush(Self.wrapOutboundOut(.end(nil)), promise: nil)
        handler.start()
    }

    private static func install(on channel: any Channel) throws -> WebSocketHandler {
        var configuration = WebSocketConfiguration(role: .server, incoming: .messages)
        configuration.messageBytesMax = Self.messageBytesMax
        // The handler calls back as long as it is in the pipeline, which ends with it.
        final class Owner { weak var handler: WebSocketHandler? }
        let owner = Owner()
        let handler = WebSocketHandler(
            configuration, on: channel.eventLoop, onText: { owner.handler?.send($0) },
            onBinary: { owner.handler?.send($0) }, onEnded: { _ in })
        owner.handler = handler
        try installWebSocket(handler, on: channel)
        return handler
    }
}
