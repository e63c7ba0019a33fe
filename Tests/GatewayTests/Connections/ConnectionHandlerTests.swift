import Core
import Gateway
import Hub
import NIOCore
import NIOEmbedded
import NIOHTTP1
import TestSupport
import Testing

/// What becomes of streams whose client goes away before they begin.
struct ConnectionHandlerTests {
    /// A connection that has just been closed: its handlers are there until its loop's next turn.
    private static func closedConnection() throws -> (EmbeddedChannel, ConnectionHandler) {
        let channel = EmbeddedChannel()
        try channel.pipeline.syncOperations.addHandler(HTTPResponseEncoder())
        let handler = try ConnectionHandler.attach(to: channel)
        channel.connect(to: try SocketAddress(ipAddress: "192.0.2.1", port: 1), promise: nil)
        #expect(handler.isOpen)
        channel.close(promise: nil)
        return (channel, handler)
    }

    @Test func aClosedConnectionIsNotOpenAlthoughItsHandlersAreThere() throws {
        let (channel, handler) = try Self.closedConnection()
        #expect(!handler.isOpen)
        channel.embeddedEventLoop.run()
        #expect(!handler.isOpen)
    }

    @Test(arguments: [false, true]) func aStreamThatBeganTooLateIsFinishedAllTheSame(isRemoved: Bool) async throws {
        try await TestServer.run { server in
            let hub = server.gateway.hub
            let subscription = Subscription(
                user: UserID(known: "usr_a"), device: DeviceID(known: "ses_a"), scope: .user, filter: .everything,
                transport: .sse)
            let reservation = try hub.reserve(subscription, on: EmbeddedEventLoop())
            try Self.finishLate(isRemoved: isRemoved, hub, reservation)
        }
    }

    private static func finishLate(isRemoved: Bool, _ hub: Hub, _ reservation: Registry.Reservation) throws {
        let (channel, handler) = try Self.closedConnection()
        if isRemoved { channel.embeddedEventLoop.run() }
        let finished = channel.embeddedEventLoop.makePromise(of: Void.self)
        var isFinished = false
        finished.futureResult.assumeIsolated().whenComplete { _ in isFinished = true }
        handler.beginStream(
            isChunked: true, at: hub, reservation, on: channel.embeddedEventLoop, finished: finished)
        #expect(!isFinished)
        handler.finish(.rotate, grace: .zero)
        #expect(isFinished)
    }
}
