import Hummingbird
package import HummingbirdCore
import HummingbirdHTTP2
package import Logging
package import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOSSL
import NIOTLS

/// How connections are served: HTTP/1.1, with an express lane beside Hummingbird's router, or, where TLS lets the
/// client choose it, HTTP/2, all of which is the router's.
package struct GatewayChannel: ServerChildChannel, HTTPChannelHandler {
    package let responder: Responder
    private let lane: ExpressLane
    private let idleTimeout: TimeAmount
    /// `nil`: clear text.
    private let certificates: TLSCertificates?
    private let http2: HTTP2Channel

    /// What a connection turned out to speak.
    fileprivate enum Spoken: Sendable {
        /// With the router's side of it, once a request has needed one.
        case http1(EventLoopFuture<RequestSwitch.RouterChannel?>)
        case http2(HTTP2Channel.Value)
    }

    /// A connection and, once it is known, what it speaks.
    package struct Value: ServerChildChannelValue {
        package let channel: any Channel
        fileprivate let spoken: EventLoopFuture<Spoken>
    }

    package func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            guard let certificates else {
                let spoken = Spoken.http1(try self.setUpHTTP1(channel))
                return Value(channel: channel, spoken: channel.eventLoop.makeSucceededFuture(spoken))
            }
            let negotiation = NIOTypedApplicationProtocolNegotiationHandler<Spoken> { result, channel in
                self.setUp(channel, for: result, logger)
            }
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandlers([NIOSSLServerHandler(context: certificates.context), negotiation])
            let spoken = negotiation.protocolNegotiationResult
            let deadline = channel.eventLoop.scheduleTask(in: Self.handshakeTimeout) { channel.close(promise: nil) }
            spoken.whenComplete { _ in deadline.cancel() }
            return Value(channel: channel, spoken: spoken)
        }
    }

    private func setUp(_ channel: any Channel, for result: ALPNResult, _ logger: Logger) -> EventLoopFuture<Spoken> {
        guard result == .negotiated("h2") else {
            return channel.eventLoop.makeCompletedFuture { .http1(try self.setUpHTTP1(channel)) }
        }
        // Streams share the socket, so what they wait for is seen to for all of them.
        try? channel.syncOptions?.setOption(
            ChannelOptions.Types.SocketOption.tcpUserTimeout, value: ChannelOptions.Types.SocketOption.deadPeerTimeout)
        try? channel.syncOptions?.setOption(
            .socketOption(.so_sndbuf), value: ConnectionHandler.sendBufferBytes)
        return self.http2.setup(channel: channel, logger: logger).map { .http2($0) }
    }

    private func setUpHTTP1(_ channel: any Channel) throws -> EventLoopFuture<RequestSwitch.RouterChannel?> {
        let router = channel.eventLoop.makePromise(of: RequestSwitch.RouterChannel?.self)
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = Self.headBytesMax
        limits.maxHeaderListSize = Self.headBytesMax
        limits.maxHeaderFieldCount = Self.headFieldsMax
        do {
            let pipeline = channel.pipeline.syncOperations
            // Hummingbird takes pipelined requests in turn, and writes no header fields that need a look.
            try pipeline.configureHTTPServerPipeline(
                withPipeliningAssistance: false, withErrorHandling: false, withOutboundHeaderValidation: false,
                withEncoderConfiguration: .init(), withDecoderLimitConfiguration: limits)
            try pipeline.addHandler(
                RequestSwitch(
                    lane: self.lane, connection: try ConnectionHandler.attach(to: channel),
                    idleTimeout: self.idleTimeout, router: router))
        } catch {
            router.succeed(nil)
            throw error
        }
        return router.futureResult
    }

    package func handle(value: Value, logger: Logger) async {
        let spoken = await withTaskCancellationHandler {
            try? await value.spoken.get()
        } onCancel: {
            value.channel.close(promise: nil)
        }
        switch spoken {
        case .http1(let future):
            let router = await withTaskCancellationHandler {
                try? await future.get()
            } onCancel: {
                value.channel.close(promise: nil)
            }
            if let router = router ?? nil { await self.handleHTTP(asyncChannel: router, logger: logger) }
        case .http2(let connection):
            await self.http2.handle(value: connection, logger: logger)
        case nil:
            // No handshake, or one that failed.
            break
        }
    }

    /// As Hummingbird's own.
    private static let headBytesMax = 80 * 1024
    private static let headFieldsMax = 1000
    /// A client that does not finish its handshake must not hold a socket.
    private static let handshakeTimeout = TimeAmount.seconds(10)
    /// From the server's goodbye on, streams have so long to end.
    private static let goodbyeTimeout = Duration.seconds(10)

    fileprivate init(
        responder: @escaping Responder, lane: ExpressLane, idleTimeout: TimeAmount, certificates: TLSCertificates?
    ) {
        self.responder = responder
        self.lane = lane
        self.idleTimeout = idleTimeout
        self.certificates = certificates
        let idle = Duration.nanoseconds(idleTimeout.nanoseconds)
        self.http2 = HTTP2Channel(
            responder: responder,
            configuration: HTTP2ChannelConfiguration(
                idleTimeout: idle, gracefulCloseTimeout: Self.goodbyeTimeout,
                streamConfiguration: HTTP1Channel.Configuration(idleTimeout: idleTimeout)))
    }
}

extension Gateway {
    /// - parameters:
    ///   - idleTimeout: connections that have asked for nothing, or not to the end, are closed after so long.
    ///   - certificates: with them connections are TLS and may speak HTTP/2; `nil`: clear text and HTTP/1.1.
    package func serverBuilder(idleTimeout: TimeAmount, certificates: TLSCertificates? = nil) -> HTTPServerBuilder {
        let lane = ExpressLane(gateway: self)
        return HTTPServerBuilder { responder in
            GatewayChannel(responder: responder, lane: lane, idleTimeout: idleTimeout, certificates: certificates)
        }
    }
}
