import Core
package import Hub
package import NIOCore
import NIOHTTP1
import NIOSSL

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Sits between an HTTP/1.1 connection's socket and its encoder: whole answers and streams write their bytes here, and
/// hear what becomes of the connection. Installed once, when the first of them comes.
///
/// Bytes go straight to the socket where the channel holds nothing back. A fan-out consists of little else than these
/// calls; the way through the channel costs half as much again as the kernel does, most of it for touching memory that
/// is in no cache. What the kernel does not take, and every error, is the channel's.
package final class ConnectionHandler: ChannelDuplexHandler, RemovableChannelHandler, StreamConnection {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer
    package typealias OutboundIn = IOData
    package typealias OutboundOut = IOData

    // What a write looks at stands together; see ``Subscriber``.

    /// Of the present stream: chunks as the hub framed them, else WebSocket frames.
    package private(set) var isChunked = false
    /// Whether the channel may hold bytes that its socket has not taken yet: the encoder writes to it as well.
    private var channelHoldsBytes = true
    private var isFinished = true
    /// The socket, as long as it is this connection's; -1 for none, or where there is TLS in between.
    private var descriptor: NIOBSDSocket.Handle = -1
    private var writtenBytes = 0
    private(set) var context: ChannelHandlerContext?

    /// Done when the stream has nothing more to write; its response then ends.
    private var finished: EventLoopPromise<Void>?
    /// Counts streams, of which HTTP/1.1 has one at a time.
    private var streamNumber = 0
    private var endedNumber = 0
    /// Why the hub ended the present stream; `nil` if it did not.
    private(set) var endReason: StreamEndReason?

    /// The stream or poll that waits on the connection at the moment.
    private var listener: ConnectionListener?
    private var isPrepared = false
    private var isInputClosed = false
    /// Whether the present answer is one of HTTP/1.0, which has no chunks (RFC 9112, 6.1).
    var isHTTP10 = false

    /// Looks at what was read before the decoder does; returns whether it took it.
    var takeFirst: ((ByteBuffer) -> Bool)?
    /// Whether the decoder was given anything in this round.
    private var hasRead = false
    /// What was read and is being decoded.
    private(set) var reading: ByteBuffer?

    /// Finds or installs the connection's handler. On its event loop.
    ///
    /// - throws: `ChannelPipelineError.notFound` where there is no HTTP/1.1 encoder.
    package static func attach(to channel: any Channel) throws -> ConnectionHandler {
        let pipeline = channel.pipeline.syncOperations
        if let present = try? pipeline.handler(type: ConnectionHandler.self) { return present }
        let encoder = try pipeline.handler(type: HTTPResponseEncoder.self)
        let handler = ConnectionHandler()
        try pipeline.addHandler(handler, position: .before(encoder))
        return handler
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        let pipeline = context.pipeline.syncOperations
        // Under TLS the socket has other bytes than are written here.
        guard (try? pipeline.handler(type: NIOSSLServerHandler.self)) == nil else { return }
        self.descriptor =
            (try? pipeline.withUnsafeTransportIfAvailable { (socket: NIOBSDSocket.Handle) in socket }) ?? -1
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        self.descriptor = -1
    }

    // MARK: Waiting

    func listen(_ listener: ConnectionListener) {
        self.listener = listener
        guard !self.isPrepared, let options = self.context?.channel.syncOptions else { return }
        self.isPrepared = true
        // Hummingbird allows half-closed connections, on which a client that goes away is not noticed.
        try? options.setOption(.allowRemoteHalfClosure, value: false)
        // A dead peer behind a silent network is given up by the kernel after so long without an acknowledgement.
        try? options.setOption(
            ChannelOptions.Types.SocketOption.tcpUserTimeout, value: ChannelOptions.Types.SocketOption.deadPeerTimeout)
        if self.isInputClosed { self.closeSoon() }
    }

    /// A client that has said that it sends nothing more, and is answered by waiting, is taken to be gone. It may have
    /// gone before anybody waited.
    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event {
            self.isInputClosed = true
            if self.listener != nil { self.closeSoon() }
        }
        context.fireUserInboundEventTriggered(event)
    }

    /// Not at once: whoever begins to listen is about to begin something that must be there to be ended.
    private func closeSoon() {
        guard let context else { return }
        let channel = context.channel
        context.eventLoop.execute { channel.close(promise: nil) }
    }

    func stopListening() { self.listener = nil }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = Self.unwrapInboundIn(data)
        if let takeFirst, takeFirst(bytes) { return }
        self.hasRead = true
        self.reading = bytes
        context.fireChannelRead(data)
        self.reading = nil
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        guard self.hasRead else { return }
        self.hasRead = false
        context.fireChannelReadComplete()
    }

    /// Gives the decoder bytes that were taken before it.
    func read(again bytes: ByteBuffer) {
        guard let context else { return }
        self.reading = bytes
        context.fireChannelRead(Self.wrapInboundOut(bytes))
        self.reading = nil
        context.fireChannelReadComplete()
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { self.listener?.becameWritable() }
        context.fireChannelWritabilityChanged()
    }

    package func channelInactive(context: ChannelHandlerContext) {
        // The number of the socket may be another connection's from now on.
        self.descriptor = -1
        self.isFinished = true
        let (listener, finished) = (self.listener, self.finished)
        (self.listener, self.finished) = (nil, nil)
        listener?.closed()
        finished?.succeed()
        context.fireChannelInactive()
    }

    // MARK: Writing

    /// Writes the bytes of a whole answer, or of a stream's head, and flushes them.
    func send(_ bytes: ByteBuffer) {
        var rest = bytes
        if self.descriptor >= 0, self.pendingBytes == 0 {
            let sent = bytes.withUnsafeReadableBytes {
                // A socket that is gone is an error here, not a signal.
                Self.systemSend(self.descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if sent == bytes.readableBytes { return }
            if sent > 0 { rest.moveReaderIndex(forwardBy: sent) }
        }
        self.channelHoldsBytes = true
        self.context?.writeAndFlush(Self.wrapOutboundOut(.byteBuffer(rest)), promise: nil)
    }

    #if canImport(Glibc)
    private static let systemSend = Glibc.send
    #elseif canImport(Darwin)
    private static let systemSend = Darwin.send
    #endif

    /// Bytes that were written and wait for the kernel.
    package var pendingBytes: Int {
        guard self.channelHoldsBytes else { return 0 }
        let pending = (try? self.context?.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
        self.channelHoldsBytes = pending > 0
        return pending
    }

    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        self.channelHoldsBytes = true
        context.write(data, promise: promise)
    }

    // MARK: A stream

    package func beginStream(
        isChunked: Bool, at hub: Hub, _ reservation: Registry.Reservation, on loop: any EventLoop,
        finished: EventLoopPromise<Void>
    ) {
        // Else the kernel takes megabytes for a reader that stalls before the hub can see it.
        try? self.context?.channel.syncOptions?.setOption(.socketOption(.so_sndbuf), value: Self.sendBufferBytes)
        self.streamNumber += 1
        self.isChunked = isChunked && !self.isHTTP10
        self.isFinished = false
        self.endReason = nil
        self.writtenBytes = 0
        self.finished = finished
        self.listen(
            ConnectionListener(
                becameWritable: { hub.becameWritable(reservation, on: loop) },
                closed: { hub.close(reservation, on: loop) }))
    }

    /// `SO_SNDBUF`; the kernel takes twice as much.
    static let sendBufferBytes: SocketOptionValue = 128 * 1024

    /// A channel that was closed keeps its handlers until its loop's next turn, but nobody is told any more.
    package var isOpen: Bool { self.context?.channel.isActive ?? false }

    package var isWritable: Bool { !self.channelHoldsBytes || self.context?.channel.isWritable ?? false }

    package var takenBytes: Int { self.writtenBytes - self.pendingBytes }

    package func write(_ bytes: ByteBuffer) {
        guard !self.isFinished else { return }
        self.writtenBytes += bytes.readableBytes
        self.send(bytes)
    }

    package func finish(_ reason: StreamEndReason, grace: Duration) {
        guard !self.isFinished else { return }
        self.isFinished = true
        self.endReason = reason
        if let context { self.closeUnlessEnded(context, in: grace) }
        self.finished?.succeed()
        self.finished = nil
    }

    /// A reader that takes nothing does not get to keep the connection and what is buffered for it.
    private func closeUnlessEnded(_ context: ChannelHandlerContext, in grace: Duration) {
        let (bound, number) = (NIOLoopBound(self, eventLoop: context.eventLoop), self.streamNumber)
        context.eventLoop.scheduleTask(in: .milliseconds(grace.milliseconds)) {
            let handler = bound.value
            if handler.endedNumber < number { handler.context?.close(promise: nil) }
        }
    }

    func streamEnded() { self.endedNumber = self.streamNumber }

    /// Ends the body of a stream that came in chunks (RFC 9112, 7.1).
    func endChunks() {
        guard let context else { return }
        let (bound, number) = (NIOLoopBound(self, eventLoop: context.eventLoop), self.streamNumber)
        self.channelHoldsBytes = true
        context.writeAndFlush(Self.wrapOutboundOut(.byteBuffer(ByteBuffer(string: "0\r\n\r\n")))).whenSuccess {
            bound.value.endedNumber = max(bound.value.endedNumber, number)
        }
    }
}

extension ChannelOptions.Types.SocketOption {
    /// `TCP_USER_TIMEOUT`, milliseconds; NIO has no name for it.
    static let tcpUserTimeout = ChannelOptions.Types.SocketOption(
        level: .tcp, name: NIOBSDSocket.Option(rawValue: 18))
    static let deadPeerTimeout: SocketOptionValue = 30_000
}
