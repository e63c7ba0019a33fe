import Hub
import NIOCore
import NIOHTTP1

/// Sits between an HTTP/1.1 connection's socket and its encoder: streams write their bytes here, below the encoder, and
/// hear what becomes of the connection. Installed once, when a connection's first stream or waiting poll comes.
final class ConnectionHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = NIOAny
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    /// The stream or poll that is on the connection at the moment; HTTP/1.1 has one at a time.
    struct Listener {
        var becameWritable: () -> Void = {}
        var closed: () -> Void
    }

    private(set) var listener: Listener?
    private var isPrepared = false
    /// Until the response that it belongs to has been written to its end.
    private(set) var sink: ConnectionSink?
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
        return handler
    }

    /// Begins to wait for what happens, so that a client that goes away must be noticed.
    func listen(_ listener: Listener) {
        self.listener = listener
        guard !self.isPrepared, let options = self.context?.channel.syncOptions else { return }
        self.isPrepared = true
        // Hummingbird allows half-closed connections, on which a client that goes away is not noticed.
        try? options.setOption(.allowRemoteHalfClosure, value: false)
        // A dead peer behind a silent network is given up by the kernel after so long without an acknowledgement.
        try? options.setOption(ChannelOptions.Types.SocketOption.tcpUserTimeout, value: 30_000)
    }

    /// Hands the connection to a stream of the hub.
    func listen(_ sink: ConnectionSink, at hub: Hub, _ reservation: Registry.Reservation, on loop: any EventLoop) {
        // Else the kernel takes megabytes for a reader that stalls before the hub can see it.
        try? self.context?.channel.syncOptions?.setOption(.socketOption(.so_sndbuf), value: Self.sendBufferBytes)
        self.sink = sink
        self.listen(
            Listener(
                becameWritable: { hub.becameWritable(reservation, on: loop) },
                closed: { hub.close(reservation, on: loop) }))
    }

    /// `SO_SNDBUF`; the kernel takes twice as much.
    private static let sendBufferBytes: SocketOptionValue = 128 * 1024

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    // MARK: Writing

    /// Writes bytes of a whole answer, or of a stream's head.
    func writeAndFlush(_ bytes: ByteBuffer) {
        self.sink?.channelHoldsBytes = true
        self.context?.writeAndFlush(Self.wrapOutboundOut(.byteBuffer(bytes)), promise: nil)
    }

    /// Ends the body of a stream, which came in chunks (RFC 9112, 7.1).
    func finish(_ sink: ConnectionSink) {
        guard let context else { return }
        let bound = NIOLoopBound((self, sink), eventLoop: context.eventLoop)
        context.writeAndFlush(Self.wrapOutboundOut(.byteBuffer(ByteBuffer(string: "0\r\n\r\n")))).whenComplete { _ in
            let (handler, sink) = bound.value
            handler.responseEnded(of: sink)
        }
    }

    /// The sink's response has been written to its end.
    func responseEnded(of sink: ConnectionSink) {
        sink.isResponseComplete = true
        if self.sink === sink { self.sink = nil }
    }

    func stopListening() { self.listener = nil }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        self.sink?.channelHoldsBytes = true
        context.write(data, promise: promise)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { context.fireChannelRead(data) }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { self.listener?.becameWritable() }
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.sink?.closed()
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
