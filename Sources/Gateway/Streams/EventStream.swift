import Core
import HTTPTypes
import Hub
import Hummingbird
import Logging
import NIOCore
import ServiceLifecycle
import WebSocketWire

/// One open stream as a response: it holds a place at the hub, hands the connection to it and waits for the end.
struct EventStream: Sendable {
    let gateway: Gateway
    let admission: Admission
    let reservation: Registry.Reservation
    let wire: Wire
    let channel: any Channel
    let isPadded: Bool

    static func headers(for wire: Wire) -> HTTPFields {
        [
            .contentType: wire.transport == .ndjson ? "application/x-ndjson" : "text/event-stream",
            .cacheControl: "no-cache, no-transform",
            .accelBuffering: "no",
        ]
    }

    /// As above, of a stream that begins where it was admitted.
    static func headers(for wire: Wire, _ admission: Admission) -> HTTPFields {
        var headers = Self.headers(for: wire)
        headers[.eventCursor] = Cursor(epoch: admission.bounds.epoch, seq: admission.position).description
        return headers
    }

    /// The response of an SSE or NDJSON stream.
    func response() -> Response {
        Response(
            status: .ok, headers: Self.headers(for: self.wire, self.admission),
            body: ResponseBody { writer in
                if self.isPadded, let padding = self.wire.padding {
                    try await writer.write(ByteBuffer(string: padding))
                }
                await self.run { finished in
                    let connection = try attachStreamConnection(to: self.channel)
                    guard connection.isOpen else { throw ChannelError.ioOnClosedChannel }
                    connection.beginStream(
                        isChunked: true, at: self.gateway.hub, self.reservation, on: self.channel.eventLoop,
                        finished: finished)
                    return connection
                }
                try await writer.finish(nil)
                try? await self.channel.eventLoop.submit {
                    try attachStreamConnection(to: self.channel).streamEnded()
                }.get()
            })
    }

    /// The response of a WebSocket: 101, then frames.
    ///
    /// - parameters:
    ///   - accept: the value for `Sec-WebSocket-Accept`.
    ///   - room: for a client that may speak; `nil`: for one that only reads.
    func webSocketResponse(accept: String, room: RoomSession.Place? = nil) async throws -> Response {
        let loop = self.channel.eventLoop
        let finished = loop.makePromise(of: Void.self)
        // Before the 101 is written, as an early frame would be lost otherwise.
        let attached = loop.submit {
            let connection = try ConnectionHandler.attach(to: self.channel)
            let session = room.map { RoomSession($0, self.admission.subscription, on: loop) }
            let handler = WebSocketHandler(
                WebSocketConfiguration(role: .server, incoming: session == nil ? .nothing : .messages), on: loop,
                onText: { session?.textReceived($0) }, onBinary: { _ in session?.binaryReceived() },
                onWritable: { session?.writabilityChanged(to: $0) },
                onEnded: { ending in
                    session?.ended()
                    if room == nil ? ending.isGoodbye : ending.isDeliberate {
                        self.gateway.saidGoodbye(self.reservation, self.admission.subscription)
                    }
                    self.gateway.hub.close(self.reservation, on: loop)
                    finished.succeed()
                })
            try installWebSocket(handler, on: self.channel)
            guard connection.isOpen else { throw ChannelError.ioOnClosedChannel }
            connection.beginStream(
                isChunked: false, at: self.gateway.hub, self.reservation, on: self.channel.eventLoop, finished: finished
            )
            session?.began(handler)
            return NIOLoopBound((handler, connection), eventLoop: loop)
        }
        attached.whenFailure { _ in
            // The client has gone meanwhile.
            self.gateway.hub.close(self.reservation, on: loop)
            finished.succeed()
        }
        let handler = try await attached.get()
        return Response(
            status: .switchingProtocols,
            headers: [.upgrade: "websocket", .connection: "Upgrade", .secWebSocketAccept: accept],
            body: ResponseBody { _ in
                await self.run(finished: finished) { _ in
                    if let room { handler.value.1.write(room.welcome) }
                    handler.value.0.start()
                    // An early frame may have ended it already; nothing is written behind a Close frame.
                    guard handler.value.0.isOpen else { throw ChannelError.ioOnClosedChannel }
                    return handler.value.1
                }
                try? await loop.submit {
                    let reason = room == nil ? nil : handler.value.1.endReason
                    handler.value.0.close(WebSocketClose(reason))
                }.get()
                // The closing handshake belongs to the handler; the HTTP side never speaks on this connection again.
                try? await self.channel.closeFuture.get()
            })
    }

    /// Begins the stream on its loop and returns when it has ended, by either side.
    private func run(
        finished: EventLoopPromise<Void>? = nil,
        makeSink: @escaping @Sendable (EventLoopPromise<Void>) throws -> any StreamConnection
    ) async {
        let loop = self.channel.eventLoop
        let finished = finished ?? loop.makePromise(of: Void.self)
        await withGracefulShutdownHandler {
            await withTaskCancellationHandler {
                do {
                    try await loop.submit {
                        let sink = try makeSink(finished)
                        let began = self.gateway.hub.begin(
                            self.admission, self.reservation, wire: self.wire, sink: sink, on: loop)
                        // Too much happened since the admission: the client comes again at once with the same cursor.
                        if !began { sink.finish(.rotate, grace: .zero) }
                    }.get()
                } catch {
                    finished.succeed()
                }
                try? await finished.futureResult.get()
            } onCancel: {
                self.channel.close(promise: nil)
            }
        } onGracefulShutdown: {
            self.gateway.hub.drain()
        }
        try? await loop.submit {
            self.gateway.hub.close(self.reservation, on: loop)
            (try? attachStreamConnection(to: self.channel))?.stopListening()
        }.get()
    }
}

extension ConnectionHandler {
    fileprivate func write(_ frame: RoomFrame) {
        var buffer = ByteBuffer()
        WebSocketFraming.encodeTextFrame(frame.text, into: &buffer)
        self.write(buffer)
    }
}
