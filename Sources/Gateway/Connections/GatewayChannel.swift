package import Hummingbird
package import HummingbirdCore
package import Logging
package import NIOCore
import NIOHTTP1
import NIOHTTPTypes

/// How connections are served: HTTP/1.1, with an express lane beside Hummingbird's router.
package struct GatewayChannel: ServerChildChannel, HTTPChannelHandler {
    package let responder: Responder
    private let lane: ExpressLane
    private let idleTimeout: TimeAmount

    /// A connection and, once a request has needed it, the router's side of it.
    package struct Value: ServerChildChannelValue {
        package let channel: any Channel
        fileprivate let router: EventLoopFuture<RequestSwitch.RouterChannel?>
    }

    package func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
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
            return Value(channel: channel, router: router.futureResult)
        }
    }

    package func handle(value: Value, logger: Logger) async {
        let router = await withTaskCancellationHandler {
            try? await value.router.get()
        } onCancel: {
            value.channel.close(promise: nil)
        }
        if let router = router ?? nil { await self.handleHTTP(asyncChannel: router, logger: logger) }
    }

    /// As Hummingbird's own.
    private static let headBytesMax = 80 * 1024
    private static let headFieldsMax = 1000

    fileprivate init(responder: @escaping Responder, lane: ExpressLane, idleTimeout: TimeAmount) {
        self.responder = responder
        self.lane = lane
        self.idleTimeout = idleTimeout
    }
}

extension Gateway {
    /// - parameter idleTimeout: connections that have asked for nothing, or not to the end, are closed after so long.
    package func serverBuilder(idleTimeout: TimeAmount) -> HTTPServerBuilder {
        let lane = ExpressLane(gateway: self)
        return HTTPServerBuilder { responder in
            GatewayChannel(responder: responder, lane: lane, idleTimeout: idleTimeout)
        }
    }
}
