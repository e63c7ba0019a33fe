import NIOCore
import NIOTLS
import STUNWire

/// Matches answers to requests on one channel. Over UDP a request is repeated until its answer comes (RFC 8489, 6.2.1).
final class STUNHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// The first wait of RFC 8489; each later one is twice as long.
    private static let retransmitAfter = TimeAmount.milliseconds(500)
    /// Data that nobody asked for is dropped beyond this.
    private static let dataKeptMax = 16

    private struct Waiting {
        let promise: EventLoopPromise<STUNMessage>
        var timers: [Scheduled<Void>]
    }

    private let repeatsRequests: Bool
    private var context: ChannelHandlerContext?
    private var waiting: [STUNMessage.TransactionID: Waiting] = [:]
    private var data: [STUNMessage] = []
    private var dataWaiting: EventLoopPromise<STUNMessage>?
    /// Resolved when the channel may be used: with TLS after its handshake.
    private let ready: EventLoopPromise<Void>

    init(repeatsRequests: Bool, ready: EventLoopPromise<Void>) {
        self.repeatsRequests = repeatsRequests
        self.ready = ready
    }

    // MARK: Asking, on the channel's event loop

    /// Sends a request; the future fails with ``STUNFault``.
    func exchange(
        _ bytes: [UInt8], _ id: STUNMessage.TransactionID, within timeout: TimeAmount
    ) -> EventLoopFuture<STUNMessage> {
        guard let context else { return self.ready.futureResult.eventLoop.makeFailedFuture(STUNFault.closed) }
        let promise = context.eventLoop.makePromise(of: STUNMessage.self)
        let this = NIOLoopBound(self, eventLoop: context.eventLoop)
        let deadline = context.eventLoop.scheduleTask(in: timeout) { this.value.fail(id, .noAnswer) }
        self.waiting[id] = Waiting(promise: promise, timers: [deadline])
        self.transmit(bytes, id, waits: Self.retransmitAfter)
        return promise.futureResult
    }

    /// Sends without expecting an answer.
    func send(_ bytes: [UInt8]) {
        guard let context else { return }
        context.writeAndFlush(self.wrapOutboundOut(context.channel.allocator.buffer(bytes: bytes)), promise: nil)
    }

    /// The next indication with data from a peer; fails with ``STUNFault``.
    func nextData(within timeout: TimeAmount) -> EventLoopFuture<STUNMessage> {
        guard let context else { return self.ready.futureResult.eventLoop.makeFailedFuture(STUNFault.closed) }
        guard self.data.isEmpty else { return context.eventLoop.makeSucceededFuture(self.data.removeFirst()) }
        let promise = context.eventLoop.makePromise(of: STUNMessage.self)
        self.dataWaiting?.fail(STUNFault.closed)
        self.dataWaiting = promise
        let this = NIOLoopBound(self, eventLoop: context.eventLoop)
        let timer = context.eventLoop.scheduleTask(in: timeout) {
            this.value.dataWaiting = nil
            promise.fail(STUNFault.noAnswer)
        }
        promise.futureResult.whenComplete { _ in timer.cancel() }
        return promise.futureResult
    }

    private func transmit(_ bytes: [UInt8], _ id: STUNMessage.TransactionID, waits: TimeAmount) {
        guard let context, self.waiting[id] != nil else { return }
        let this = NIOLoopBound(self, eventLoop: context.eventLoop)
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.whenFailure { this.value.fail(id, STUNFault($0)) }
        context.writeAndFlush(
            self.wrapOutboundOut(context.channel.allocator.buffer(bytes: bytes)), promise: written)
        guard self.repeatsRequests else { return }
        let timer = context.eventLoop.scheduleTask(in: waits) {
            this.value.transmit(bytes, id, waits: .nanoseconds(waits.nanoseconds * 2))
        }
        self.waiting[id]?.timers.append(timer)
    }

    private func fail(_ id: STUNMessage.TransactionID, _ fault: STUNFault) { self.end(id)?.fail(fault) }

    private func end(_ id: STUNMessage.TransactionID) -> EventLoopPromise<STUNMessage>? {
        guard let waiting = self.waiting.removeValue(forKey: id) else { return nil }
        for timer in waiting.timers { timer.cancel() }
        return waiting.promise
    }

    private func failAll(_ fault: STUNFault) {
        self.ready.fail(fault)
        for id in Array(self.waiting.keys) { self.fail(id, fault) }
        self.dataWaiting?.fail(fault)
        self.dataWaiting = nil
    }

    // MARK: The channel

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.failAll(.closed)
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) { self.failAll(.closed) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = self.unwrapInboundIn(data)
        guard let message = STUNMessage(parsing: Array(buffer.readableBytesView)) else { return }
        switch message.kind {
        case .success, .failure: self.end(message.id)?.succeed(message)
        case .indication where message.method == .data:
            if let promise = self.dataWaiting {
                self.dataWaiting = nil
                promise.succeed(message)
            } else if self.data.count < Self.dataKeptMax {
                self.data.append(message)
            }
        case .indication, .request: break
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted = event { self.ready.succeed() }
        context.fireUserInboundEventTriggered(event)
    }

    /// A refusal of a datagram comes here, and the channel stays open.
    func errorCaught(context: ChannelHandlerContext, error: any Error) { self.failAll(STUNFault(error)) }
}

/// Cuts a stream into messages by the lengths in them.
struct STUNFrameDecoder: ByteToMessageDecoder {
    typealias InboundOut = ByteBuffer

    mutating func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
        guard let first: UInt8 = buffer.getInteger(at: buffer.readerIndex),
            let length: UInt16 = buffer.getInteger(at: buffer.readerIndex + 2)
        else { return .needMoreData }
        // Data of a channel (RFC 8656, 12.4), which this side never binds, would have a shorter head, and padding.
        let isChannelData = first & 0xC0 == 0x40
        let count = isChannelData ? 4 + (Int(length) + 3) / 4 * 4 : STUNMessage.headerBytes + Int(length)
        guard let message = buffer.readSlice(length: count) else { return .needMoreData }
        context.fireChannelRead(self.wrapInboundOut(message))
        return .continue
    }
}

/// Datagrams of one server as plain bytes.
final class DatagramHandler: ChannelDuplexHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = AddressedEnvelope<ByteBuffer>

    private let server: SocketAddress

    init(_ server: SocketAddress) { self.server = server }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.fireChannelRead(self.wrapInboundOut(self.unwrapInboundIn(data).data))
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let envelope = AddressedEnvelope(remoteAddress: self.server, data: self.unwrapOutboundIn(data))
        context.write(self.wrapOutboundOut(envelope), promise: promise)
    }
}
