import NIOCore
import NIOPosix
import NIOSSL
import STUNWire

/// An open way to one server at one of its addresses.
struct STUNAssociation: Sendable {
    /// By what the server is asked.
    enum Carrier: Hashable, Sendable {
        case udp
        case tcp
        /// TLS over TCP, with a certificate for this name or address.
        ///
        /// - parameter authorities: a PEM file of those that are trusted beside the system's; `nil` for none.
        case tls(serverName: String, authorities: String?)
    }

    private let channel: any Channel
    private let handler: NIOLoopBound<STUNHandler>
    private let timeout: TimeAmount

    /// - throws: ``STUNFault``.
    static func open(
        _ carrier: Carrier, to address: SocketAddress, timeout: Duration
    ) async throws -> STUNAssociation {
        let group = MultiThreadedEventLoopGroup.singleton
        let loop = group.next()
        let timeout = TimeAmount(timeout)
        let ready = loop.makePromise(of: Void.self)
        do {
            // Made here: by the time that connecting returns, a failed handshake may have taken it off its channel.
            let handler = try await loop.submit {
                NIOLoopBound(STUNHandler(repeatsRequests: carrier == .udp, ready: ready), eventLoop: loop)
            }.get()
            let channel: any Channel
            switch carrier {
            case .udp: channel = try await Self.datagrams(on: loop, to: address, handler)
            case .tcp:
                channel = try await Self.stream(on: loop, to: address, timeout: timeout) {
                    try $0.addHandler(handler.value)
                }
            case .tls(let serverName, let authorities):
                let tls = try Self.tls(authorities)
                // An address is verified as such; it is no name to indicate.
                let name = (try? SocketAddress(ipAddress: serverName, port: 0)) == nil ? serverName : nil
                channel = try await Self.stream(on: loop, to: address, timeout: timeout) {
                    try $0.addHandler(handler.value)
                    try $0.addHandler(NIOSSLClientHandler(context: tls, serverHostname: name), position: .first)
                }
                try await Self.handshake(on: channel, ready, timeout: timeout)
            }
            ready.succeed()
            return STUNAssociation(channel: channel, handler: handler, timeout: timeout)
        } catch {
            ready.fail(error)
            throw STUNFault(error)
        }
    }

    private static func datagrams(
        on loop: any EventLoop, to address: SocketAddress, _ handler: NIOLoopBound<STUNHandler>
    ) async throws -> any Channel {
        try await DatagramBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers(DatagramHandler(address), handler.value)
                }
            }
            .connect(to: address).get()
    }

    private static func stream(
        on loop: any EventLoop, to address: SocketAddress, timeout: TimeAmount,
        _ initialize: @escaping @Sendable (ChannelPipeline.SynchronousOperations) throws -> Void
    ) async throws -> any Channel {
        try await ClientBootstrap(group: loop).connectTimeout(timeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(ByteToMessageHandler(STUNFrameDecoder()))
                    try initialize(pipeline)
                }
            }
            .connect(to: address).get()
    }

    private static func tls(_ authorities: String?) throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.additionalTrustRoots = authorities.map { [.file($0)] } ?? []
        return try NIOSSLContext(configuration: configuration)
    }

    private static func handshake(
        on channel: any Channel, _ ready: EventLoopPromise<Void>, timeout: TimeAmount
    ) async throws {
        let deadline = channel.eventLoop.scheduleTask(in: timeout) { ready.fail(STUNFault.noAnswer) }
        defer { deadline.cancel() }
        do {
            try await ready.futureResult.get()
        } catch {
            channel.close(promise: nil)
            throw error
        }
    }

    // MARK: Asking

    /// - parameter bytes: the request with this id, encoded.
    /// - throws: ``STUNFault``.
    func exchange(_ bytes: [UInt8], _ id: STUNMessage.TransactionID) async throws -> STUNMessage {
        do {
            return try await self.channel.eventLoop.flatSubmit { [handler, timeout] in
                handler.value.exchange(bytes, id, within: timeout)
            }.get()
        } catch {
            throw STUNFault(error)
        }
    }

    func send(_ bytes: [UInt8]) {
        self.channel.eventLoop.execute { [handler] in handler.value.send(bytes) }
    }

    /// - throws: ``STUNFault``.
    func nextData(within timeout: Duration) async throws -> STUNMessage {
        do {
            return try await self.channel.eventLoop.flatSubmit { [handler] in
                handler.value.nextData(within: TimeAmount(timeout))
            }.get()
        } catch {
            throw STUNFault(error)
        }
    }

    func close() async { try? await self.channel.close() }
}
