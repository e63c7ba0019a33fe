import Core
import HTTPTypes
import Hub
import Hummingbird
import NIOCore
import ServiceLifecycle
import WebSocketWire

/// The log on four wires: long-poll, SSE, NDJSON, WebSocket; for a user, a room or a call.
struct EventController {
    let gateway: Gateway

    /// A HEAD would open a stream that nobody reads.
    static let pathsWithoutHead: Set = [
        "/v1/events/stream", "/v1/rooms/{room}/events/stream", "/v1/calls/{call}/events/stream", "/v1/ws",
        "/ws/{room}",
    ]

    func addRoutes(open: RouterGroup<GatewayContext>, signedIn: RouterGroup<GatewayContext>) {
        signedIn.get("/v1/events") { try await self.poll($0, $1, scope: .user) }
        signedIn.get("/v1/rooms/:room/events") { request, context in
            try await self.poll(request, context, scope: .room(RoomReference(try context.segment("room"))))
        }
        signedIn.get("/v1/calls/:call/events") { request, context in
            try await self.poll(request, context, scope: .call(try context.identifier("call")))
        }
        // These also take a ticket, so they authenticate by themselves.
        open.get("/v1/events/stream") { try await self.stream($0, $1, scope: .user) }
        open.get("/v1/rooms/:room/events/stream") { request, context in
            try await self.stream(request, context, scope: .room(RoomReference(try context.segment("room"))))
        }
        open.get("/v1/calls/:call/events/stream") { request, context in
            try await self.stream(request, context, scope: .call(try context.identifier("call")))
        }
        open.get("/v1/ws") { try await self.webSocket($0, $1) }
    }

    // MARK: Long-poll

    private func poll(_ request: Request, _ context: GatewayContext, scope: EventRequest.Scope) async throws -> Response
    {
        let identity = try context.requireIdentity()
        let query = try Query(request)
        let limit = try query.integer("limit", in: 1...Limits.pollEventsMax, default: Limits.pollEventsDefault)
        let wait = try query.integer("wait", in: 0...Limits.pollWaitSecondsMax, default: Limits.pollWaitSecondsDefault)
        let events = try EventRequest(request, query, scope: scope)
        let deadline = ContinuousClock.now.advanced(by: .seconds(wait))
        while true {
            let found = try await self.gateway.store.read { store in
                let admission = try events.admission(of: identity, transport: .poll, in: store)
                return try (admission, Self.missed(admission, limit: limit, in: store))
            }
            let (admission, missed) = found
            self.gateway.hub.registry.polled(admission.subscription)
            let remaining = ContinuousClock.now.duration(to: deadline)
            let mayWait = remaining > .zero && self.isServing
            var page = try self.immediatePage(admission, missed, mayWait: mayWait)
            self.gateway.hub.deliveries.note(missed.events)
            if page == nil { page = try await self.wait(admission, limit: limit, timeout: remaining, context) }
            guard let page else { continue }
            if self.isServing { await self.keep(admission, limit: limit, wait: wait, on: context.channel) }
            return Answer(page).response()
        }
    }

    private var isServing: Bool { self.gateway.readiness.state != .draining }

    private static func missed(
        _ admission: Admission, limit: Int, in store: any StoreReader
    ) throws -> (events: [Event], considered: Int64) {
        try store.events(
            after: admission.position, through: admission.bounds.tail, visibility: admission.visibility,
            scope: admission.subscription.scope, filter: admission.subscription.filter, limit: limit,
            bytesMax: Limits.pollAnswerBytesMax)
    }

    /// The answer that needs no waiting; `nil` if there is nothing to say yet.
    ///
    /// - throws: ``Problem`` `cursor-expired`.
    private func immediatePage(
        _ admission: Admission, _ missed: (events: [Event], considered: Int64), mayWait: Bool
    ) throws -> PollPage? {
        let epoch = admission.bounds.epoch
        switch admission.start {
        case .fresh:
            return PollPage([], cursor: admission.bounds.tailCursor, hasMore: false)
        case .gap:
            let cursor = admission.bounds.tailCursor
            throw Problem(
                .cursorExpired, "Reload snapshots, then follow from \(cursor)",
                members: ["cursor": .string(cursor.description)])
        case .resumed:
            guard missed.events.isEmpty, mayWait else {
                return PollPage(
                    missed.events.map { LoggedEvent($0, epoch: epoch) },
                    cursor: Cursor(epoch: epoch, seq: missed.considered),
                    hasMore: missed.considered < admission.bounds.tail)
            }
            return nil
        }
    }

    /// Waits at the hub; `nil` if the database must be asked again.
    private func wait(
        _ admission: Admission, limit: Int, timeout: Duration, _ context: GatewayContext
    ) async throws -> PollPage? {
        let loop = context.channel.eventLoop
        let reservation = try self.gateway.hub.reserve(
            admission.subscription, from: context.channel.remoteAddress, on: loop)
        // Nothing was missed up to the snapshot's tail: waiting begins there.
        let future = self.gateway.hub.wait(
            admission.advancedToTail(), reservation, limit: limit, timeout: timeout, on: loop)
        let watch = try? await loop.submit {
            let connection = try attachStreamConnection(to: context.channel)
            guard connection.isOpen else { throw ChannelError.ioOnClosedChannel }
            connection.listen(ConnectionListener(closed: { self.gateway.hub.cancelWait(reservation, on: loop) }))
            return NIOLoopBound(connection, eventLoop: loop)
        }.get()
        // It went while the database was asked, and nobody will tell.
        if watch == nil { self.gateway.hub.cancelWait(reservation, on: loop) }
        let result = try await withGracefulShutdownHandler {
            try await future.get()
        } onGracefulShutdown: {
            self.gateway.hub.drain()
        }
        if let watch { try? await loop.submit { watch.value.stopListening() }.get() }
        switch result {
        case .events(let page):
            return page
        case .ended(_, let cursor):
            // What ended the wait (a revoked token, a lost room) is told to the next request.
            return PollPage([], cursor: cursor, hasMore: false)
        case .reread:
            return nil
        }
    }

    /// Lets the connection keep what this poll was admitted with, as most clients poll again.
    private func keep(_ admission: Admission, limit: Int, wait: Int, on channel: any Channel) async {
        try? await channel.eventLoop.submit {
            try channel.pipeline.syncOperations.handler(type: RequestSwitch.self).pollAnswered { head, bytes in
                guard
                    let reader = self.gateway.hub.rest(
                        admission, from: channel.remoteAddress, on: channel.eventLoop)
                else { return nil }
                return RepeatedPoll(head, bytes: bytes, reader: reader, limit: limit, wait: wait)
            }
        }.get()
    }

    // MARK: Streams

    private func stream(
        _ request: Request, _ context: GatewayContext, scope: EventRequest.Scope
    ) async throws -> Response {
        let query = try Query(request)
        let opening = try StreamOpening(request, query, scope: scope)
        let wire = opening.wire
        let use = TicketUse.stream(isResuming: EventRequest.isResuming(request))
        let (identity, ticket) = try await self.identity(request, query, use, context)
        // Counted where a refusal can be told in the stream.
        var tooOften: Problem?
        do { try self.gateway.count(.events, of: .user(identity.user.id), context) } catch { tooOften = error }
        if let tooOften, wire.transport != .sse { throw tooOften }
        let admission = try await self.gateway.store.read { store in
            try opening.events.admission(of: identity, transport: wire.transport, ticket: ticket, in: store)
        }
        if let tooOften { return try self.refusal(.limit, tooOften, admission, wire) }
        guard self.isServing else { return try self.refusal(.drain, Problem(.unavailable), admission, wire) }
        let reservation: Registry.Reservation
        do throws(Problem) {
            reservation = try self.gateway.hub.reserve(
                admission.subscription, from: context.channel.remoteAddress, on: context.channel.eventLoop)
        } catch {
            return try self.refusal(.limit, error, admission, wire)
        }
        return EventStream(
            gateway: self.gateway, admission: admission, reservation: reservation, wire: wire,
            channel: context.channel, isPadded: opening.isPadded
        ).response()
    }

    /// A refusal that will pass. A browser's `EventSource` stops for good at any status but 200, so SSE is told inside
    /// the stream; it comes again with the cursor it is given and has lost nothing.
    private func refusal(
        _ reason: StreamEndReason, _ problem: Problem, _ admission: Admission, _ wire: Wire
    ) throws -> Response {
        guard wire.transport == .sse else { throw problem }
        let cursor: Cursor =
            if case .gap(let requested) = admission.start {
                requested
            } else {
                Cursor(epoch: admission.bounds.epoch, seq: admission.position)
            }
        let frame = self.gateway.hub.refusal(reason, cursor: cursor, wire: wire)
        return Response(status: .ok, headers: EventStream.headers(for: wire), body: ResponseBody(byteBuffer: frame))
    }

    private func webSocket(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let query = try Query(request)
        let scope: EventRequest.Scope =
            if let call = try query.identifier("call", as: CallID.self) { .call(call) } else { .user }
        let events = try EventRequest(request, query, scope: scope)
        _ = try request.deviceLabel()
        let accept = try request.webSocketAccept()
        try self.gateway.requireAllowedOrigin(of: request)
        let (identity, _) = try await self.identity(request, query, .webSocket, context)
        try self.gateway.count(.events, of: .user(identity.user.id), context)
        let admission = try await self.gateway.store.read { store in
            try events.admission(of: identity, transport: .websocket, in: store)
        }
        guard self.isServing else { throw Problem(.unavailable) }
        let reservation = try self.gateway.hub.reserve(
            admission.subscription, from: context.channel.remoteAddress, on: context.channel.eventLoop)
        return try await EventStream(
            gateway: self.gateway, admission: admission, reservation: reservation, wire: .webSocket,
            channel: context.channel, isPadded: false
        ).webSocketResponse(accept: accept)
    }

    /// By token or key, else by ticket; with the ticket's hash, under which a newer stream replaces an older one.
    ///
    /// - throws: ``Problem`` `unauthorized`, `insufficient-scope`, `validation-failed`, `rate-limited`.
    private func identity(
        _ request: Request, _ query: Query, _ use: TicketUse, _ context: GatewayContext
    ) async throws -> (Identity, ticket: String?) {
        if request.bearerToken != nil {
            let identity = try await self.gateway.identity(request, context)
            try identity.require(.readEvents)
            return (identity, nil)
        }
        let identity = try await self.gateway.countingRefusals(request, context) {
            guard let ticket = query["ticket"] else { throw Problem(.unauthorized) }
            let label = try request.deviceLabel()
            return try await self.gateway.authenticator.identity(ticket: ticket, deviceLabel: label, for: use).identity
        }
        try identity.require(.readEvents)
        self.gateway.hub.registry.asked(identity.device)
        return (identity, query["ticket"].map { SecretToken.hash(of: $0) })
    }
}
