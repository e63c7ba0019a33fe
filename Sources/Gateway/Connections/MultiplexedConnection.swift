import Core
import Hub
import NIOCore
import NIOHTTP2
import NIOHTTPTypesHTTP2

/// The connection under a stream or a waiting poll, whichever HTTP it speaks. On its event loop.
protocol StreamConnection: StreamSink {
    /// Whether whoever begins to listen now will be told of its end.
    var isOpen: Bool { get }
    /// Begins to wait for what happens, so that a client that goes away must be noticed.
    func listen(_ listener: ConnectionListener)
    func stopListening()
    /// Hands the connection to a stream of the hub.
    ///
    /// - parameter finished: succeeds when the hub has nothing more to write, or the connection is gone.
    func beginStream(
        isChunked: Bool, at hub: Hub, _ reservation: Registry.Reservation, on loop: any EventLoop,
        finished: EventLoopPromise<Void>)
    /// The present stream's response was written to its end: what is pending from now on is somebody else's.
    func streamEnded()
}

/// What a stream or poll that waits is told.
struct ConnectionListener {
    var becameWritable: () -> Void = {}
    var closed: () -> Void
}

/// Finds or installs what streams and polls of a connection write to.
///
/// - throws: `ChannelPipelineError.notFound` where there is no HTTP.
func attachStreamConnection(to channel: any Channel) throws -> any StreamConnection {
    if let multiplexed = try MultiplexedConnection.attach(to: channel) { return multiplexed }
    return try ConnectionHandler.attach(to: channel)
}

extension Channel {
    /// Whether it is one of several streams of a connection (HTTP/2).
    var isMultiplexed: Bool { self.parent?.parent != nil }
}

/// A stream of an HTTP/2 connection, below its encoder: the hub's bytes go out as DATA frames, within the windows of
/// stream and connection; what does not fit waits here, and the channel says that it is not writable.
final class MultiplexedConnection: ChannelDuplexHandler, RemovableChannelHandler, StreamConnection {
    typealias InboundIn = HTTP2Frame.FramePayload
    typealias InboundOut = HTTP2Frame.FramePayload
    typealias OutboundIn = HTTP2Frame.FramePayload
    typealias OutboundOut = HTTP2Frame.FramePayload

    private var context: ChannelHandlerContext?
    private var listener: ConnectionListener?
    private var finished: EventLoopPromise<Void>?
    private var isFinished = true
    private var hasEnded = false
    /// What was written, and what of it the connection's socket took.
    private var writtenBytes = 0
    private(set) var takenBytes = 0

    /// - returns: `nil` if the channel is no HTTP/2 stream's.
    static func attach(to channel: any Channel) throws -> MultiplexedConnection? {
        let pipeline = channel.pipeline.syncOperations
        if let present = try? pipeline.handler(type: MultiplexedConnection.self) { return present }
        guard let codec = try? pipeline.handler(type: HTTP2FramePayloadToHTTPServerCodec.self) else { return nil }
        let handler = MultiplexedConnection()
        try pipeline.addHandler(handler, position: .before(codec))
        return handler
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    var isOpen: Bool { self.context?.channel.isActive ?? false }
    var isChunked: Bool { false }
    var isWritable: Bool { self.context?.channel.isWritable ?? false }
    var pendingBytes: Int { self.writtenBytes - self.takenBytes }

    func listen(_ listener: ConnectionListener) { self.listener = listener }
    func stopListening() { self.listener = nil }

    func beginStream(
        isChunked: Bool, at hub: Hub, _ reservation: Registry.Reservation, on loop: any EventLoop,
        finished: EventLoopPromise<Void>
    ) {
        self.isFinished = false
        self.finished = finished
        self.listen(
            ConnectionListener(
                becameWritable: { hub.becameWritable(reservation, on: loop) },
                closed: { hub.close(reservation, on: loop) }))
    }

    func write(_ bytes: ByteBuffer) {
        guard !self.isFinished, let context else { return }
        let count = bytes.readableBytes
        self.writtenBytes += count
        let taken = context.eventLoop.makePromise(of: Void.self)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        taken.futureResult.whenSuccess { bound.value.takenBytes += count }
        context.writeAndFlush(
            Self.wrapOutboundOut(.data(HTTP2Frame.FramePayload.Data(data: .byteBuffer(bytes)))), promise: taken)
    }

    func finish(_: StreamEndReason, grace: Duration) {
        guard !self.isFinished else { return }
        self.isFinished = true
        if let context { self.closeUnlessEnded(context, in: grace) }
        self.finished?.succeed()
        self.finished = nil
    }

    /// A reader that takes nothing does not get to keep the stream and what is buffered for it.
    private func closeUnlessEnded(_ context: ChannelHandlerContext, in grace: Duration) {
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: .milliseconds(grace.milliseconds)) {
            let handler = bound.value
            if !handler.hasEnded || handler.pendingBytes > 0 { handler.context?.close(promise: nil) }
        }
    }

    func streamEnded() { self.hasEnded = true }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { self.listener?.becameWritable() }
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.isFinished = true
        let (listener, finished) = (self.listener, self.finished)
        (self.listener, self.finished) = (nil, nil)
        listener?.closed()
        finished?.succeed()
        context.fireChannelInactive()
    }
}
