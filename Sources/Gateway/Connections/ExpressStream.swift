import Core
import Hub
import NIOCore

/// `GET …/events/stream` of the express lane: SSE or NDJSON that holds a connection and no task.
final class ExpressStream: ExpressExchange {
    private let head: ExpressHead
    private let identity: Identity
    private let lane: ExpressLane
    private let connection: RequestSwitch

    init(_ head: ExpressHead, identity: Identity, lane: ExpressLane, connection: RequestSwitch) {
        self.head = head
        self.identity = identity
        self.lane = lane
        self.connection = connection
    }

    func contentReceived(_ bytes: ByteBuffer) {}

    func requestEnded() {
        guard let loop = self.connection.context?.eventLoop, let opening = try? StreamOpening(self.head) else {
            return self.connection.decline()
        }
        let (identity, exchange) = (self.identity, NIOLoopBound(self, eventLoop: loop))
        self.lane.gateway.store.read { store in
            try opening.events.admission(of: identity, transport: opening.wire.transport, in: store)
        } completion: { result in
            loop.execute { exchange.value.admitted(result, opening) }
        }
    }

    private func admitted(_ result: Result<Admission, any Error>, _ opening: StreamOpening) {
        let gateway = self.lane.gateway
        // The client may have gone while the database was asked.
        guard let context = self.connection.context, let handler = try? ConnectionHandler.attach(to: context.channel),
            handler.isOpen
        else { return self.connection.decline() }
        let rate = gateway.limiter.take(.events, of: .user(self.identity.user.id))
        guard rate?.isAllowed ?? true else { return self.connection.decline() }
        guard case .success(let admission) = result, self.lane.isServing,
            let reservation = try? gateway.hub.reserve(
                admission.subscription, from: context.channel.remoteAddress, on: context.eventLoop)
        else {
            // The router counts it once more.
            gateway.limiter.giveBack(.events, of: .user(self.identity.user.id))
            return self.connection.decline()
        }
        self.connection.answerBegan()
        var head = ResponseBytes(
            streaming: EventStream.headers(for: opening.wire, admission), origin: self.head.origin, rate: rate,
            gateway: gateway
        ).bytes
        if opening.isPadded, let padding = opening.wire.padding {
            head.writeImmutableBuffer(ByteBuffer(joining: [ByteBuffer(string: padding)], isChunked: true))
        }
        handler.send(head)
        self.run(admission, reservation, opening.wire, handler, on: context.eventLoop)
    }

    private func run(
        _ admission: Admission, _ reservation: Registry.Reservation, _ wire: Wire, _ handler: ConnectionHandler,
        on loop: any EventLoop
    ) {
        let gateway = self.lane.gateway
        let finished = loop.makePromise(of: Void.self)
        handler.beginStream(isChunked: true, at: gateway.hub, reservation, on: loop, finished: finished)
        finished.futureResult.assumeIsolated().whenComplete { [connection] _ in
            gateway.hub.close(reservation, on: loop)
            handler.stopListening()
            handler.endChunks()
            connection.answered()
        }
        // Too much happened since the admission: the client comes again at once with the same cursor.
        if !gateway.hub.begin(admission, reservation, wire: wire, sink: handler, on: loop) {
            handler.finish(.rotate, grace: .zero)
        }
    }

    func shouldEnd() { self.lane.gateway.hub.drain() }
}
