import Core
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import NIOWebSocket
import WebSocketWire

/// Why a session could not be opened; its text is for admins and holds no secret.
struct DialFailure: Error, Hashable, CustomStringConvertible {
    let description: String
    /// With which the remote answered in place of the upgrade.
    let status: Int?

    init(_ description: String, status: Int? = nil) {
        self.description = description
        self.status = status
    }

    /// What went wrong, for people.
    static func words(for error: any Error) -> String {
        switch error {
        case let failure as DialFailure: failure.description
        case let error as NIOConnectionError where error.connectionErrors.isEmpty: "nobody knows the name \(error.host)"
        case let error as NIOConnectionError: "nobody answers at \(error.host):\(error.port)"
        case ChannelError.connectTimeout: "no answer in time"
        case let error as NIOSSLExtraError where error == .failedToValidateHostname:
            "TLS failed: the certificate is for another name"
        case is NIOSSLError, is NIOSSLExtraError, is BoringSSLError:
            // Of what went wrong in it the library has only a text, with paths of its own source.
            "\(error)".contains("CERTIFICATE_VERIFY_FAILED")
                ? "TLS failed: the certificate is not trusted" : "TLS failed: there was no handshake"
        case is NIOHTTPClientUpgradeError: "the answer is no upgrade to WebSocket"
        case let problem as Problem: problem.kind.rawValue
        default: "the connection failed"
        }
    }

    /// How a connection ended, for people.
    static func words(for ending: WebSocketEnding) -> String {
        let close = ending.close
        let said = "\(close.code.rawValue)" + (close.reason.isEmpty ? "" : ", \(close.reason)")
        return switch ending.origin {
        case .lost: "the connection was lost"
        case .peer: "the remote closed the connection: \(said)"
        case .local: "the connection was closed: \(said)"
        }
    }

    static func refused(_ status: Int) -> DialFailure {
        DialFailure("the remote answered \(status), not 101", status: status)
    }
}

/// Opens WebSockets to remote rooms: TCP, TLS where the URL says `wss`, and the upgrade.
struct BridgeDialer: Sendable {
    /// What a dialled connection will be: its handler, or the status of the refusal.
    private enum Outcome: Sendable {
        case open(Connection)
        case refused(EventLoopFuture<Int>)
    }

    /// A connection that was upgraded.
    struct Connection: Sendable {
        let handler: NIOLoopBound<WebSocketHandler>
        /// Which Comblang it reached; `nil` for any other remote.
        let instance: String?
    }

    /// Who dials, and who is reached, where both are Comblangs.
    static let (bridgeHeader, instanceHeader) = ("Comblang-Bridge", "Comblang-Instance")

    let url: URL
    let headers: [String: String]
    let tls: NIOSSLContext?
    let timeout: Duration

    /// - parameter tls: as ``tlsContext(_:)`` made it; used for `wss` only.
    init(url: URL, headers: [String: String], tls: NIOSSLContext?, timeout: Duration) {
        self.url = url
        self.headers = headers
        self.tls = tls
        self.timeout = timeout
    }

    /// What `wss` connections to this target trust: the system's authorities, or the given one alone.
    ///
    /// - throws: ``DialFailure`` for a certificate that cannot be read.
    static func tlsContext(_ target: BridgeTarget) throws -> NIOSSLContext? {
        guard target.url.lowercased().hasPrefix("wss:") else { return nil }
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.applicationProtocols = ["http/1.1"]
        if let pem = target.certificateAuthority {
            guard let certificates = try? NIOSSLCertificate.fromPEMBytes(Array(pem.utf8)), !certificates.isEmpty else {
                throw DialFailure("the certificate authority cannot be read")
            }
            configuration.trustRoots = .certificates(certificates)
        }
        return try NIOSSLContext(configuration: configuration)
    }

    /// Dials on `eventLoop`.
    ///
    /// - parameters:
    ///   - makeHandler: called on the event loop when the upgrade was granted; the handler is started before the
    ///     future succeeds.
    ///   - onChannel: called on the event loop with the channel as soon as it is connected, so that dialling can be
    ///     given up.
    /// - returns: the handler on its event loop; fails with ``DialFailure`` or an error of the network or of TLS.
    func dial(
        on eventLoop: any EventLoop, makeHandler: @escaping @Sendable () -> WebSocketHandler,
        onChannel: @escaping @Sendable (any Channel) -> Void
    ) -> EventLoopFuture<Connection> {
        let isSecure = self.url.scheme == "wss"
        guard let host = self.url.host, !isSecure || self.tls != nil else {
            return eventLoop.makeFailedFuture(DialFailure("the URL has no host"))
        }
        let head = self.requestHead(host: host)
        let tls = isSecure ? self.tls : nil
        return ClientBootstrap(group: eventLoop)
            .connectTimeout(.milliseconds(self.timeout.milliseconds))
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls { try Self.addTLS(tls, host: host, to: channel) }
                }
            }
            .connect(host: host.withoutBrackets, port: self.url.port ?? (isSecure ? 443 : 80))
            .flatMap { channel in
                // Only now: of a name with several addresses, others may have been tried in vain.
                onChannel(channel)
                return Self.upgrade(channel, head, makeHandler: makeHandler)
            }
            .flatMap { outcome in
                switch outcome {
                case .open(let connection): eventLoop.makeSucceededFuture(connection)
                case .refused(let status): status.flatMapThrowing { throw DialFailure.refused($0) }
                }
            }
    }

    private func requestHead(host: String) -> HTTPRequestHead {
        var path = self.url.path(percentEncoded: true)
        if path.isEmpty { path = "/" }
        if let query = self.url.query(percentEncoded: true) { path += "?\(query)" }
        var headers = HTTPHeaders()
        headers.add(name: "Host", value: self.url.port.map { "\(host):\($0)" } ?? host)
        for (name, value) in self.headers.sorted(by: { $0.key < $1.key }) { headers.add(name: name, value: value) }
        return HTTPRequestHead(version: .http1_1, method: .GET, uri: path, headers: headers)
    }

    private static func addTLS(_ context: NIOSSLContext, host: String, to channel: any Channel) throws {
        // An address is no server name (RFC 6066, section 3); the certificate is then checked against the address.
        let isAddress = (try? SocketAddress(ipAddress: host.withoutBrackets, port: 0)) != nil
        let handler = try NIOSSLClientHandler(context: context, serverHostname: isAddress ? nil : host)
        try channel.pipeline.syncOperations.addHandler(handler)
    }

    private static func upgrade(
        _ channel: any Channel, _ head: HTTPRequestHead, makeHandler: @escaping @Sendable () -> WebSocketHandler
    ) -> EventLoopFuture<Outcome> {
        let upgrader = Upgrader { channel, head in
            let handler = makeHandler()
            try installWebSocket(handler, on: channel)
            return .open(
                Connection(
                    handler: NIOLoopBound(handler, eventLoop: channel.eventLoop),
                    instance: head.headers.first(name: Self.instanceHeader)))
        }
        let configuration = NIOTypedHTTPClientUpgradeConfiguration<Outcome>(
            upgradeRequestHead: head, upgraders: [upgrader],
            notUpgradingCompletionHandler: { channel in
                // The answer's head comes to whoever is behind the upgrade handler when this is done.
                channel.eventLoop.makeCompletedFuture {
                    let status = channel.eventLoop.makePromise(of: Int.self)
                    try channel.pipeline.syncOperations.addHandler(RefusalHandler(status))
                    return .refused(status.futureResult)
                }
            })
        do {
            var pipeline = NIOUpgradableHTTPClientPipelineConfiguration(upgradeConfiguration: configuration)
            // A welcome may come in one packet with the 101; by default it would be dropped.
            pipeline.leftOverBytesStrategy = .forwardBytes
            return try channel.pipeline.syncOperations.configureUpgradableHTTPClientPipeline(configuration: pipeline)
        } catch {
            return channel.eventLoop.makeFailedFuture(error)
        }
    }

    /// The client's half of the opening handshake. Not NIO's own: that one leaves its frame encoder in the pipeline,
    /// where ``WebSocketHandler`` writes bytes.
    private struct Upgrader: NIOTypedHTTPClientProtocolUpgrader {
        let supportedProtocol = "websocket"
        let requiredUpgradeHeaders: [String] = []
        private let key = NIOWebSocketClientUpgrader.randomRequestKey()
        private let install: @Sendable (any Channel, HTTPResponseHead) throws -> Outcome

        init(install: @escaping @Sendable (any Channel, HTTPResponseHead) throws -> Outcome) {
            self.install = install
        }

        func addCustom(upgradeRequestHeaders headers: inout HTTPHeaders) {
            headers.add(name: "Sec-WebSocket-Key", value: self.key)
            headers.add(name: "Sec-WebSocket-Version", value: WebSocketHandshake.version)
        }

        func shouldAllowUpgrade(upgradeResponse: HTTPResponseHead) -> Bool {
            upgradeResponse.headers["Sec-WebSocket-Accept"] == [WebSocketHandshake.accept(forKey: self.key)]
        }

        func upgrade(channel: any Channel, upgradeResponse: HTTPResponseHead) -> EventLoopFuture<Outcome> {
            channel.eventLoop.makeCompletedFuture { try self.install(channel, upgradeResponse) }
        }
    }
}

/// Reads the status of an answer that is no upgrade, and hangs up.
private final class RefusalHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    private var status: EventLoopPromise<Int>?

    init(_ status: EventLoopPromise<Int>) { self.status = status }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(let head) = Self.unwrapInboundIn(data) else { return }
        self.status?.succeed(Int(head.status.code))
        self.status = nil
        context.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.fail(error)
        context.close(promise: nil)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.fail(DialFailure("the connection was closed"))
    }

    private func fail(_ error: any Error) {
        self.status?.fail(error)
        self.status = nil
    }
}
