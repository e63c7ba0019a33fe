import Bridge
import Core
import Gateway
import Hub
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Webhooks

extension App {
    /// All parts of a server, wired but not running: the only place where they meet.
    struct Server {
        /// HTTP with the services beneath it.
        let application: any Service
        /// First to hear of a graceful shutdown.
        let drain: DrainService
        let readiness: Readiness
    }

    /// Connections that have asked for nothing, or not to the end, are closed after so long.
    private static let idleTimeout = TimeAmount.seconds(60)
    /// Connections that the kernel holds until they are accepted; clients come back by the thousand after a restart.
    private static let backlog = 4096

    /// - parameters:
    ///   - store: open; whoever opened it closes it.
    ///   - onListening: called once, with the port, when requests are taken.
    /// - throws: the store's error; ``TLSProblem`` for a certificate that cannot be used.
    static func buildApplication(
        configuration: Configuration, store: any CopyingStore, tokens: AccessTokens, time: any TimeSource,
        logger: Logger, onListening: @escaping @Sendable (Int) -> Void
    ) async throws -> Server {
        let eventLoops = MultiThreadedEventLoopGroup.singleton
        let ids = IDSource.system
        let readiness = Readiness()
        let hub = try await Hub.following(
            store, on: eventLoops, settings: configuration.hub, time: time, logger: logger)
        let authenticator = try await Authenticator(store: store, tokens: tokens, time: time, logger: logger)
        let signIn = SignIn(
            store: store, passwords: PasswordHasher(), tokens: tokens, time: time, ids: ids,
            registration: configuration.registration)
        let bridges = BridgeStatuses()
        let bridging = BridgeService(
            store: store, hub: hub, statuses: bridges, on: eventLoops, time: time, ids: ids,
            settings: configuration.bridges, logger: logger)
        let backups = Backups(store: store, kept: configuration.backupsKept, time: time, logger: logger)
        let gateway = Gateway(
            store: store, hub: hub, authenticator: authenticator, signIn: signIn, backups: backups,
            time: time, ids: ids, settings: configuration.gateway, readiness: readiness,
            bridges: bridges, logger: logger)
        let sweeps = Self.sweeps(
            store, hub: hub, retention: configuration.retention,
            credentialsLifetime: configuration.gateway.turn?.credentialsLifetime, ids: ids, time: time, logger: logger)
        let certificates = try configuration.tls.map { files in
            try TLSCertificates(certificatePath: files.certificate, keyPath: files.key, logger: logger)
        }
        let webhooks = try await WebhookService(
            store: store, epoch: hub.epoch, networks: configuration.webhookNetworks, time: time, logger: logger)
        var services: [any Service] = [hub, backups, webhooks, bridging] + sweeps
        if let certificates, let files = configuration.tls {
            services.append(CertificateWatch(certificates: certificates, interval: files.reloadEvery))
        }
        let application = Application(
            responder: gateway.buildResponder(),
            server: gateway.serverBuilder(idleTimeout: Self.idleTimeout, certificates: certificates),
            configuration: ApplicationConfiguration(
                address: .hostname(configuration.host, port: configuration.port), backlog: Self.backlog),
            services: services,
            onServerRunning: { channel in
                readiness.becameReady()
                onListening(channel.localAddress?.port ?? configuration.port)
            },
            eventLoopGroupProvider: .shared(eventLoops),
            logger: logger)
        let drain = DrainService(readiness: readiness, hub: hub, spread: configuration.drain, logger: logger)
        return Server(application: application, drain: drain, readiness: readiness)
    }
}

extension IDSource {
    /// From the operating system's random source.
    static let system = IDSource {
        var generator = SystemRandomNumberGenerator()
        return UInt128(generator.next()) << 64 | UInt128(generator.next())
    }
}
