import Hub
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1

/// One answer of the express lane, from the request's end on. On its connection's event loop.
protocol ExpressExchange: AnyObject {
    /// The request is complete: it is answered by ``RequestSwitch/answer(_:)``, at once or later, or declined.
    func requestEnded()
    /// The server stops; what may go on for long is to end.
    func shouldEnd()
}

/// Sits behind the HTTP/1.1 decoder of a connection and gives each request to the express lane or to the router, whose
/// handlers and task the connection gets with the first request that needs them.
///
/// Own code, as Hummingbird answers every request in a task: that is a third of what a durable message costs, two
/// thirds of a long-poll, and half of the memory of a stream.
final class RequestSwitch: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    typealias RouterChannel = NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>

    private let lane: ExpressLane
    private let idleTimeout: TimeAmount
    /// The router's side of the connection; `nil` when it is gone without having needed one.
    private let router: EventLoopPromise<RouterChannel?>
    private var machine = RequestSwitchStateMachine()
    private(set) var context: ChannelHandlerContext?
    /// Where answers are written, below the encoder.
    let connection: ConnectionHandler

    private var exchange: (any ExpressExchange)?
    /// The express lane's request, should the router have to answer it.
    private var recorded: [HTTPServerRequestPart] = []
    /// What came behind it.
    private var held: CircularBuffer<HTTPServerRequestPart> = []
    private var isReadWanted = false
    private var hasRouter = false
    /// Whether the connection's last request is of HTTP/1.0.
    private var isHTTP10 = false
    private let unreadable = UnreadableRequestHandler()

    private var idleSince = NIODeadline.now()
    private var idleTimer: Scheduled<Void>?

    /// The last request that the router was given and the bytes it came in, if it might be a poll that comes again.
    private var lastPoll: (head: HTTPRequestHead, bytes: ByteBuffer)?
    /// What the connection polls for.
    private var poll: RepeatedPoll?
    /// The repeated poll that is being answered.
    private var polledBytes: ByteBuffer?
    /// As the client last proved who it is.
    var credentials = ExpressCredentials()

    init(
        lane: ExpressLane, connection: ConnectionHandler, idleTimeout: TimeAmount,
        router: EventLoopPromise<RouterChannel?>
    ) {
        self.lane = lane
        self.connection = connection
        self.idleTimeout = idleTimeout
        self.router = router
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        self.connection.takeFirst = { [unowned self] in self.takeRepeatedPoll($0) }
        self.awaitClient(context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        self.connection.takeFirst = nil
        self.idleTimer?.cancel()
        self.idleTimer = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.machine.closed()
        self.idleTimer?.cancel()
        self.idleTimer = nil
        self.letGo()
        self.held.removeAll()
        self.lastPoll = nil
        self.forgetPoll()
        if !self.hasRouter { self.router.succeed(nil) }
        context.fireChannelInactive()
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.take(Self.unwrapInboundIn(data), context)
    }

    private func take(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
        self.idleSince = .now()
        switch part {
        case .head(let head):
            let exchange = self.machine.mayTakeExpress ? self.lane.exchange(for: head, on: self) : nil
            let isLast = exchange == nil && (!head.isKeepAlive || head.version != .http1_1)
            switch self.machine.headReceived(isExpress: exchange != nil, isLast: isLast) {
            case .toExpress:
                self.exchange = exchange
                self.recorded.append(part)
            case .toRouter:
                guard head.namesItsHost else { return self.refuse(context) }
                self.remember(head)
                if head.awaitsContinue, self.machine.continueExpected() { self.askForContent() }
                self.route(isLast ? .head(self.ending(head)) : part, context)
            case .hold: self.held.append(part)
            case .drop: break
            }
        case .body:
            switch self.machine.contentReceived(isEnd: false) {
            case .toExpress:
                self.recorded.append(part)
            case .toRouter: self.route(part, context)
            case .hold: self.held.append(part)
            case .drop: break
            }
        case .end:
            switch self.machine.contentReceived(isEnd: true) {
            case .toExpress:
                self.recorded.append(part)
                self.exchange?.requestEnded()
            case .toRouter: self.route(part, context)
            case .hold: self.held.append(part)
            case .drop: break
            }
        }
    }

    /// Reading goes on while an answer is under way, as most clients wait for it; not when they do not.
    func read(context: ChannelHandlerContext) {
        if self.held.isEmpty { context.read() } else { self.isReadWanted = true }
    }

    // MARK: The express lane's answers

    /// Writes the whole answer.
    func answer(_ bytes: ByteBuffer) {
        guard self.exchange != nil else { return }
        self.connection.send(bytes)
        self.answered()
    }

    /// The answer has been written, to its end.
    func answered() {
        self.letGo()
        let next = self.machine.expressAnswered()
        guard let context else { return }
        self.awaitClient(context)
        switch next {
        case .nothing, .askForContent: break
        case .close: context.close(promise: nil)
        case .read: self.takeHeld(context)
        }
    }

    /// Leaves the request to the router, which answers every case there is.
    func decline() {
        if let bytes = self.polledBytes {
            self.letGo()
            if self.machine.repeatedPollDeclined() { self.connection.read(again: bytes) }
            return
        }
        guard self.machine.expressDeclined(), let context else { return }
        let parts = self.recorded
        self.letGo()
        for part in parts { self.route(part, context) }
        context.fireChannelReadComplete()
        self.takeHeld(context)
    }

    /// The body of the express lane's request. The decoder holds it to its declared length, which is within bounds.
    var recordedBody: ByteBuffer {
        self.recorded.reduce(into: ByteBuffer()) { body, part in
            guard case .body(let bytes) = part else { return }
            if body.readableBytes == 0 { body = bytes } else { body.writeImmutableBuffer(bytes) }
        }
    }

    /// The answer has begun: the router cannot have the request any more.
    func answerBegan() { self.recorded = [] }

    private func letGo() {
        self.exchange = nil
        self.polledBytes = nil
        self.recorded.removeAll(keepingCapacity: true)
    }

    private func takeHeld(_ context: ChannelHandlerContext) {
        guard !self.held.isEmpty else { return }
        // Each may be held again, behind the next answer.
        let parts = self.held
        self.held.removeAll()
        for part in parts { self.take(part, context) }
        context.fireChannelReadComplete()
        if self.held.isEmpty, self.isReadWanted {
            self.isReadWanted = false
            context.read()
        }
    }

    // MARK: The router

    private func route(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
        self.installRouter(context)
        context.fireChannelRead(Self.wrapInboundOut(part))
    }

    private func installRouter(_ context: ChannelHandlerContext) {
        guard !self.hasRouter else { return }
        self.hasRouter = true
        do {
            let pipeline = context.pipeline.syncOperations
            try pipeline.addHandlers([HTTP1ToHTTPServerCodec(secure: false), self.unreadable])
            self.router.succeed(
                try RouterChannel(
                    wrappingChannelSynchronously: context.channel,
                    configuration: .init(isOutboundHalfClosureEnabled: true)))
        } catch {
            self.router.succeed(nil)
            context.close(promise: nil)
        }
    }

    /// The connection's last request, as Hummingbird knows one. After one of HTTP/1.0 it is closed whatever was asked:
    /// only the end of the connection ends a body of unknown length there (RFC 9112, 6.3).
    private func ending(_ head: HTTPRequestHead) -> HTTPRequestHead {
        self.isHTTP10 = head.version != .http1_1
        var head = head
        head.headers.replaceOrAdd(name: "Connection", value: "close")
        return head
    }

    /// The answer to it. The encoder frames a body by the answer's version: in HTTP/1.0 there are no chunks.
    private func ending(_ head: HTTPResponseHead) -> HTTPResponseHead {
        var head = head
        head.headers.replaceOrAdd(name: "Connection", value: "close")
        if self.isHTTP10 {
            head.version = .http1_0
            self.connection.isHTTP10 = true
        }
        return head
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch Self.unwrapOutboundIn(data) {
        case .head(let head) where self.machine.isAnsweringLast && head.status.code >= 200:
            return context.write(Self.wrapOutboundOut(.head(self.ending(head))), promise: promise)
        case .head, .body: return context.write(data, promise: promise)
        case .end: break
        }
        let next = self.machine.routerAnswered()
        switch next {
        case .close:
            context.writeAndFlush(data, promise: promise)
            context.close(promise: nil)
        case .nothing, .read, .askForContent:
            context.write(data, promise: promise)
            if case .askForContent = next { self.askForContent() }
            self.awaitClient(context)
        }
    }

    private func askForContent() { self.connection.send(ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n")) }

    /// Answers a head without a host as what is no HTTP; nothing further is taken from the connection.
    private func refuse(_ context: ChannelHandlerContext) {
        self.machine.closed()
        self.unreadable.detail = "An HTTP/1.1 request has one Host field"
        self.errorCaught(context: context, error: HTTPParserError.invalidHeaderToken)
    }

    // MARK: Polls

    private func remember(_ head: HTTPRequestHead) {
        self.lastPoll =
            if RepeatedPoll.mayBe(head), let bytes = self.connection.reading { (head, bytes) } else { nil }
    }

    /// The router has answered the last poll: when it comes again, it is the express lane's.
    func pollAnswered(_ makePoll: (HTTPRequestHead, ByteBuffer) -> RepeatedPoll?) {
        guard let last = self.lastPoll else { return }
        self.lastPoll = nil
        self.forgetPoll()
        self.poll = makePoll(last.head, last.bytes)
    }

    /// Looks at bytes before the decoder does.
    ///
    /// - returns: whether it took them.
    private func takeRepeatedPoll(_ bytes: ByteBuffer) -> Bool {
        guard let poll, self.machine.mayTakeExpress, let cursor = poll.cursor(in: bytes) else { return false }
        self.machine.repeatedPollReceived()
        let exchange = ExpressPoll(poll, after: cursor, lane: self.lane, requests: self)
        self.exchange = exchange
        self.polledBytes = bytes
        exchange.requestEnded()
        return true
    }

    private func forgetPoll() {
        self.poll?.reader.forget()
        self.poll = nil
    }

    // MARK: The connection's life

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is ChannelShouldQuiesceEvent:
            if self.machine.quiesced() { context.close(promise: nil) } else { self.exchange?.shouldEnd() }
        case ChannelEvent.inputClosed where !self.hasRouter && !self.isReadingExpress:
            if self.machine.quiesced() { context.close(promise: nil) }
        case ChannelEvent.inputClosed:
            // The rest of the request never comes; the router knows what to do then.
            if self.isReadingExpress { self.decline() }
            context.fireUserInboundEventTriggered(event)
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is HTTPParserError else { return context.fireErrorCaught(error) }
        // What is no HTTP is answered by the router, behind what is still to be answered.
        if self.isReadingExpress { self.decline() }
        guard self.exchange == nil else {
            _ = self.machine.quiesced()
            return
        }
        self.installRouter(context)
        context.fireErrorCaught(error)
    }

    private var isReadingExpress: Bool { self.exchange != nil && self.machine.awaitsClient }

    private func awaitClient(_ context: ChannelHandlerContext) {
        self.idleSince = .now()
        if self.idleTimer == nil { self.startIdleTimer(context, in: self.idleTimeout) }
    }

    /// One timer that is looked at when it fires, not one for each request.
    private func startIdleTimer(_ context: ChannelHandlerContext, in time: TimeAmount) {
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        self.idleTimer = context.eventLoop.scheduleTask(in: time) { bound.value.idleTimerFired() }
    }

    private func idleTimerFired() {
        self.idleTimer = nil
        guard let context, self.machine.awaitsClient else { return }
        let idle = NIODeadline.now() - self.idleSince
        if idle < self.idleTimeout {
            self.startIdleTimer(context, in: self.idleTimeout - idle)
        } else {
            context.close(promise: nil)
        }
    }
}
