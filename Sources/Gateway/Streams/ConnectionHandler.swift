import HTTPTypes
import NIOCore
import NIOHTTP1

/// Sits between an HTTP/1.1 connection's socket and its encoder: streams write their bytes here, below the encoder, and
/// hear what becomes of the connection. Installed once, when a connection's first stream or waiting poll comes.
final class ConnectionHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = NIOAny
    typealias OutboundOut = ByteBuffer

    /// The stream or poll that is on the connection at the moment; HTTP/1.1 has one at a time.
    struct Listener {
        var becameWritable: () -> Void = {}
        var closed: () -> Void
    }

    var listener: Listener?
    /// Until the response that it belongs to has been written to its end.
    var sink: ConnectionSink?
    private(set) var context: ChannelHandlerContext?

    /// Finds or installs the connection's handler. On its event loop.
    ///
    /// - throws: `ChannelPipelineError.notFound` where there is no HTTP/1.1 encoder.
    static func attach(to channel: any Channel) throws -> ConnectionHandler {
        let pipeline = channel.pipeline.syncOperations
        if let present = try? pipeline.handler(type: ConnectionHandler.self) { return present }
        let encoder = try pipeline.handler(type: HTTPResponseEncoder.self)
        let handler = ConnectionHandler()
        try pipeline.addHandler(handler, position: .before(encoder))
        // Hummingbird allows half-closed connections, on which a client that goes away is not noticed.
        try channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: false)
        // A dead peer behind a silent network is given up by the kernel after so long without an acknowledgement.
        try? channel.syncOptions?.setOption(ChannelOptions.Types.SocketOption.tcpUserTimeout, value: 30_000)
        return handler
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { context.fireChannelRead(data) }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { self.listener?.becameWritable() }
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        let listener = self.listener
        self.listener = nil
        listener?.closed()
        context.fireChannelInactive()
    }
}

extension ChannelOptions.Types.SocketOption {
    /// `TCP_USER_TIMEOUT`, milliseconds; NIO has no name for it.
    fileprivate static let tcpUserTimeout = ChannelOptions.Types.SocketOption(
        level: .tcp, name: NIOBSDSocket.Option(rawValue: 18))
}
