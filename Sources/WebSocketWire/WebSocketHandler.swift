package import NIOCore
import NIOHTTP1
package import NIOWebSocket

/// Drives one ``WebSocketConnectionStateMachine`` in a channel: frames in, callbacks out; pings, pongs and the closing
/// handshake by itself.
///
/// Belongs to its event loop: made, called and called back there. Outbound bytes pass it untouched, so whole frames
/// (``WebSocketFraming``) may be written as `ByteBuffer` from its context until `onEnded` was called, and never after.
package final class WebSocketHandler: ChannelDuplexHandler {
    package typealias InboundIn = WebSocketFrame
    package typealias OutboundIn = Never
    package typealias OutboundOut = ByteBuffer

    /// What may come before ``start()``: a few messages of an eager client, read together with its handshake. What
    /// comes later is not read until then.
    private static let heldInputsMax = 16

    let configuration: WebSocketConfiguration
    private let eventLoop: any EventLoop
    private var machine: WebSocketConnectionStateMachine
    private var reader: WebSocketMessageReader
    /// `nil` once `onEnded` was called.
    private var owner: Owner?
    private var context: ChannelHandlerContext?
    private var isStarted = false
    private var heldInputs: [WebSocketInput] = []
    private var alarm: (deadline: NIODeadline, task: Scheduled<Void>)?
    /// Done when our Close frame is with the kernel; `nil` before it was written.
    private var closeFrameWritten: EventLoopFuture<Void>?
    private var isReadingPaused: Bool
    /// Somebody asked for more while reading was paused.
    private var isReadOwed = false

    /// Who hears of the connection; see the initializer.
    private struct Owner {
        let onText: (String) -> Void
        let onBinary: (ByteBuffer) -> Void
        let onWritable: (Bool) -> Void
        let onEnded: (WebSocketEnding) -> Void
    }

    /// - parameters:
    ///   - onText: a message; never called when the configuration allows none.
    ///   - onBinary: as above.
    ///   - onWritable: the socket takes more, or no more; at the start it does.
    ///   - onEnded: called exactly once, also when the socket closes before ``start()``. Nothing may be written from
    ///     then on; the channel closes soon after by itself.
    package init(
        _ configuration: WebSocketConfiguration, on eventLoop: any EventLoop, onText: @escaping (String) -> Void,
        onBinary: @escaping (ByteBuffer) -> Void = { _ in }, onWritable: @escaping (Bool) -> Void = { _ in },
        onEnded: @escaping (WebSocketEnding) -> Void
    ) {
        self.configuration = configuration
        self.isReadingPaused = configuration.role == .server
        self.eventLoop = eventLoop
        self.machine = WebSocketConnectionStateMachine(configuration, at: eventLoop.now)
        self.reader = WebSocketMessageReader(configuration)
        self.owner = Owner(onText: onText, onBinary: onBinary, onWritable: onWritable, onEnded: onEnded)
    }

    /// Whether frames may be written.
    package var isOpen: Bool { self.isStarted && self.owner != nil && self.context != nil }

    /// The 101 has been written: frames may follow it. What came before is taken now.
    package func start() {
        guard !self.isStarted else { return }
        self.isStarted = true
        self.resumeReading()
        let held = self.heldInputs
        self.heldInputs = []
        for input in held { self.take(input) }
        self.setAlarm()
    }

    /// Writes one text frame; does nothing when the connection has ended.
    package func send(_ text: String) {
        guard self.isOpen else { return }
        self.write(.text, Array(text.utf8), promise: nil)
    }

    /// Writes one binary frame; does nothing when the connection has ended.
    package func send(_ data: ByteBuffer) {
        guard self.isOpen else { return }
        self.write(.binary, Array(data.readableBytesView), promise: nil)
    }

    /// Takes nothing more from the socket until ``resumeReading()``: its peer is held back by TCP. What was read
    /// already still comes. Pongs are not seen meanwhile either, so a pause must be shorter than the pong timeout.
    package func pauseReading() { self.isReadingPaused = true }

    /// Ends a pause; without one it does nothing.
    package func resumeReading() {
        guard self.isReadingPaused else { return }
        self.isReadingPaused = false
        guard self.isReadOwed else { return }
        self.isReadOwed = false
        self.context?.read()
    }

    /// Starts the closing handshake; does nothing when the connection has ended. Before ``start()`` the socket closes
    /// without one.
    package func close(_ close: WebSocketClose) {
        guard self.isStarted else { return self.abandon() }
        self.run(self.machine.closeRequested(close, at: self.eventLoop.now))
    }

    /// Carries an action out; the only place that writes, closes or calls back.
    private func run(_ action: WebSocketConnectionStateMachine.Action) {
        switch action {
        case .deliver(let text):
            self.owner?.onText(text)
        case .deliverBinary(let data):
            self.owner?.onBinary(data)
        case .sendPing(let payload):
            self.write(.ping, payload, promise: nil)
        case .sendPong(let payload):
            self.write(.pong, payload, promise: nil)
        case .sendClose(let close, let ending, let thenCloseSocket):
            let promise = self.eventLoop.makePromise(of: Void.self)
            self.closeFrameWritten = promise.futureResult
            self.write(.connectionClose, close.payload, promise: promise)
            self.report(ending)
            if thenCloseSocket { self.closeSocketBehindCloseFrame() }
        case .closeSocket:
            self.closeSocketBehindCloseFrame()
        case .abandonSocket(let ending):
            if let ending { self.report(ending) }
            self.context?.close(promise: nil)
        case .report(let ending):
            self.report(ending)
        case .ignore:
            break
        }
        self.setAlarm()
    }

    private func write(_ opcode: WebSocketOpcode, _ payload: [UInt8], promise: EventLoopPromise<Void>?) {
        guard let context else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        var buffer = context.channel.allocator.buffer(capacity: payload.count + 14)
        let maskKey: WebSocketMaskingKey? = self.configuration.role == .client ? .random() : nil
        WebSocketFraming.encodeFrame(opcode, payload, maskKey: maskKey, into: &buffer)
        context.writeAndFlush(Self.wrapOutboundOut(buffer), promise: promise)
    }

    private func report(_ ending: WebSocketEnding) {
        guard let owner else { return }
        self.owner = nil
        owner.onEnded(ending)
    }

    /// Closing drops what waits to be written, so the Close frame goes first. The machine's deadline is running should
    /// the peer not take it.
    private func closeSocketBehindCloseFrame() {
        guard let closeFrameWritten else { return }
        closeFrameWritten.assumeIsolated().whenComplete { _ in self.context?.close(promise: nil) }
    }

    /// Ends without a closing handshake.
    private func abandon() {
        self.run(self.machine.socketClosed())
        self.context?.close(promise: nil)
    }

    private func take(_ input: WebSocketInput) {
        guard self.isStarted else {
            // A Close frame in front of the 101 would be read as a broken answer.
            guard self.heldInputs.count < Self.heldInputsMax else { return self.abandon() }
            self.heldInputs.append(input)
            return
        }
        self.run(self.machine.received(input, at: self.eventLoop.now))
    }

    /// Makes the one timer follow the machine's deadline.
    private func setAlarm() {
        let deadline = self.isStarted ? self.machine.deadline : nil
        guard deadline != self.alarm?.deadline else { return }
        self.alarm?.task.cancel()
        self.alarm = deadline.map { deadline in
            let task = self.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
                self.alarm = nil
                self.run(self.machine.deadlineReached(at: self.eventLoop.now))
            }
            return (deadline, task)
        }
    }
}

// MARK: What the pipeline tells

extension WebSocketHandler {
    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        self.run(self.machine.socketClosed())
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.take(self.reader.frameReceived(Self.unwrapInboundIn(data)))
    }

    package func read(context: ChannelHandlerContext) {
        if self.isReadingPaused { self.isReadOwed = true } else { context.read() }
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        self.run(self.machine.writabilityChanged(to: context.channel.isWritable))
        self.owner?.onWritable(context.channel.isWritable)
        context.fireChannelWritabilityChanged()
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        context.fireUserInboundEventTriggered(event)
        // An HTTP server may allow half-closed sockets. A WebSocket peer that sends no more does not answer pings.
        if case .some(.inputClosed) = event as? ChannelEvent { self.abandon() }
    }

    package func channelInactive(context: ChannelHandlerContext) {
        self.run(self.machine.socketClosed())
        context.fireChannelInactive()
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case NIOWebSocketError.invalidFrameLength:
            let bytesMax = self.configuration.messageBytesMax
            self.take(.violation(WebSocketClose(.messageTooBig, "a message is at most \(bytesMax) bytes")))
        case is NIOWebSocketError:
            self.take(.violation(WebSocketClose(.protocolError, "a control frame is fragmented or too long")))
        case ByteToMessageDecoderError.dataReceivedInErrorState:
            break  // What the peer sends behind its error, until it has read our Close frame.
        default:
            context.fireErrorCaught(error)
            self.abandon()
        }
    }
}

/// Puts a decoder and `handler` where they take over the channel's bytes; on the channel's event loop.
///
/// A server calls it while the request that asks for the upgrade is answered, *before* it returns status 101, as an
/// early frame is lost otherwise, and ``WebSocketHandler/start()`` after: the handlers sit between the socket and the
/// HTTP encoder, which still encodes the 101. A client calls it when its HTTP handlers are gone.
///
/// - returns: the context from which frames are written as `ByteBuffer`.
/// - throws: `ChannelPipelineError.notFound` when a server's channel has no HTTP/1 encoder (an HTTP/2 stream).
@discardableResult
package func installWebSocket(_ handler: WebSocketHandler, on channel: any Channel) throws -> ChannelHandlerContext {
    let pipeline = channel.pipeline.syncOperations
    let bytesMax = handler.configuration.messageBytesMax
    let decoder = ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: bytesMax))
    switch handler.configuration.role {
    case .server:
        let encoder = try pipeline.handler(type: HTTPResponseEncoder.self)
        try pipeline.addHandlers([decoder, handler], position: .before(encoder))
    case .client:
        try pipeline.addHandlers([decoder, handler], position: .last)
    }
    return try pipeline.context(handler: handler)
}
