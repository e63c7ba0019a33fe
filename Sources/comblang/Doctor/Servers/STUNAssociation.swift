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
        case tls(serverName: String)
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
            let made: (any Channel, NIOLoopBound<STUNHandler>)
            switch carrier {
            case .udp: made = try await Self.datagrams(on: loop, to: address, ready: ready)
            case .tcp, .tls:
                made = try await Self.stream(carrier, on: loop, to: address, timeout: timeout, ready: ready)
            }
            if case .tls = carrier {
                let deadline = loop.scheduleTask(in: timeout) { ready.fail(STUNFault.noAnswer) }
                defer { deadline.cancel() }
                do {
                    try await ready.futureResult.get()
                } catch {
                    made.0.close(promise: nil)
                    throw error
                }
            } else {
                ready.succeed()
            }
            return STUNAssociation(channel: made.0, handler: made.1, timeout: timeout)
        } catch {
            ready.fail(error)
            throw STUNFault(error)
        }
    }

    private static func datagrams(
        on loop: any EventLoop, to address: SocketAddress, ready: EventLoopPromise<Void>
    ) async throws -> (any Channel, NIOLoopBound<STUNHandler>) {
        let channel = try await DatagramBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers(
                        DatagramHandler(address), STUNHandler(repeatsRequests: true, ready: ready))
                }
            }
            .connect(to: address).get()
        return (channel, try await Self.handler(of: channel))
    }

    private static func stream(
        _ carrier: Carrier, on loop: any EventLoop, to address: SocketAddress, timeout: TimeAmount,
        ready: EventLoopPromise<Void>
    ) async throws -> (any Channel, NIOLoopBound<STUNHandler>) {
        var tls: NIOSSLContext?
        var serverName: String?
        if case .tls(let name) = carrier {
            tls = try NIOSSLContext(configuration: .makeClientConfiguration())
            // An address is verified as such; it is no name to indicate.
            serverName = (try? SocketAddress(ipAddress: name, port: 0)) == nil ? name : nil
        }
        let channel = try await ClientBootstrap(group: loop).connectTimeout(timeout)
            .channelInitializer { [tls, serverName] channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls {
                        try pipeline.addHandler(NIOSSLClientHandler(context: tls, serverHostname: serverName))
                    }
                    try pipeline.addHandler(ByteToMessageHandler(STUNFrameDecoder()))
                    try pipeline.addHandler(STUNHandler(repeatsRequests: false, ready: ready))
                }
            }
            .connect(to: address).get()
        return (channel, try await Self.handler(of: channel))
    }

    private static func handler(of channel: any Channel) async throws -> NIOLoopBound<STUNHandler> {
        try await channel.eventLoop.submit {
            NIOLoopBound(
                try channel.pipeline.syncOperations.handler(type: STUNHandler.self), eventLoop: channel.eventLoop)
        }.get()
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
