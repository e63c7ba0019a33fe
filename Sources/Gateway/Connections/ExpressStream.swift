import Core
import Hub
import NIOCore

/// `GET …/events/stream` of the express lane: SSE or NDJSON that holds a connection and no task.
final class ExpressStream: ExpressExchange {
    private let head: ExpressHead
    private let identity: Identity
    private let lane: ExpressLane
    private let requests: RequestSwitch

    init(_ head: ExpressHead, identity: Identity, lane: ExpressLane, requests: RequestSwitch) {
        self.head = head
        self.identity = identity
        self.lane = lane
        self.requests = requests
    }

    func requestEnded() {
        guard let loop = self.requests.context?.eventLoop, let opening = try? StreamOpening(self.head) else {
            return self.requests.decline()
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
        let connection = self.requests.connection
        guard let context = self.requests.context, connection.isOpen else { return self.requests.decline() }
        let rate = gateway.limiter.take(.events, of: .user(self.identity.user.id))
        guard rate?.isAllowed ?? true else { return self.requests.decline() }
        guard case .success(let admission) = result, self.lane.isServing,
            let reservation = try? gateway.hub.reserve(
                admission.subscription, from: context.channel.remoteAddress, on: context.eventLoop)
        else {
            // The router counts it once more.
            gateway.limiter.giveBack(.events, of: .user(self.identity.user.id))
            return self.requests.decline()
        }
        self.requests.answerBegan()
        var head = ResponseBytes(
            streaming: EventStream.headers(for: opening.wire, admission), origin: self.head.origin, rate: rate,
            gateway: gateway
        ).bytes
        if opening.isPadded, let padding = opening.wire.padding {
            head.writeImmutableBuffer(ByteBuffer(joining: [ByteBuffer(string: padding)], isChunked: true))
        }
        connection.send(head)
        // A client that has reset its connection is noticed by the first write, which closes it at once.
        guard connection.isOpen else { return }
        self.run(admission, reservation, opening.wire, connection, on: context.eventLoop)
    }

    private func run(
        _ admission: Admission, _ reservation: Registry.Reservation, _ wire: Wire, _ connection: ConnectionHandler,
        on loop: any EventLoop
    ) {
        let gateway = self.lane.gateway
        let finished = loop.makePromise(of: Void.self)
        connection.beginStream(isChunked: true, at: gateway.hub, reservation, on: loop, finished: finished)
        finished.futureResult.assumeIsolated().whenComplete { [requests] _ in
            gateway.hub.close(reservation, on: loop)
            connection.stopListening()
            connection.endChunks()
            requests.answered()
        }
        // Too much happened since the admission: the client comes again at once with the same cursor.
        if !gateway.hub.begin(admission, reservation, wire: wire, sink: connection, on: loop) {
            connection.finish(.rotate, grace: .zero)
        }
    }

    func shouldEnd() { self.lane.gateway.hub.drain() }
}
