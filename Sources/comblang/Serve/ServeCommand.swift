import ArgumentParser
import Core
import Foundation
import Gateway
import Hub
import Logging
import NIOCore
import SQLiteStore
import ServiceLifecycle
import UnixSignals

/// `comblang serve`: the server, until SIGTERM or SIGINT.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Run the server.",
        discussion: """
            Every flag is also an environment variable (--data-dir is COMBLANG_DATA_DIR) and a member of the JSON file \
            of --config (dataDir). See docs/configuration.md.
            """)

    @OptionGroup var flags: ServeFlags

    func run() async throws {
        let settings = try await SettingsReader(
            flags: self.flags.given, environment: ProcessInfo.processInfo.environment, file: self.flags.config)
        let configuration = try Configuration(settings)
        let logger = Self.logger(level: configuration.logLevel)
        let store = try SQLiteStore.open(configuration, logger)
        do {
            try await Self.serve(configuration, store, logger)
        } catch {
            await store.close()
            throw error
        }
        await store.close()
        logger.info("stopped")
    }

    private static func serve(_ configuration: Configuration, _ store: SQLiteStore, _ logger: Logger) async throws {
        let time = SystemTime()
        let secrets = SecretFiles(directory: configuration.dataDirectory)
        let tokens = await AccessTokens(secret: Data(try secrets.tokenSecret()))
        try await FirstStart(store: store, tokens: tokens, secrets: secrets, time: time).ensureAdmin()
        try await Self.applyBridges(configuration, store, time)
        let server = try await App.buildApplication(
            configuration: configuration, store: store, tokens: tokens, time: time, logger: logger
        ) { port in
            // Only now: a start that fails says so in one line and nothing else.
            logger.info("configuration", metadata: configuration.logMetadata)
            Greeting(configuration: configuration, port: port).write()
        }
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [
                    .init(service: server.application, failureTerminationBehavior: .cancelGroup),
                    .init(service: server.drain),
                ],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
        do {
            try await group.run()
        } catch {
            guard server.readiness.state == .draining else {
                throw self.failure(error, configuration)
            }
            logger.warning("the shutdown was not clean", metadata: ["error": "\(error)"])
        }
    }

    /// Makes the bridges of the operator's file be as it says; without a file those of a former one go.
    private static func applyBridges(
        _ configuration: Configuration, _ store: SQLiteStore, _ time: SystemTime
    ) async throws {
        let bridges =
            try configuration.bridgeFile.map { path throws(CommandFailure) in try BridgeFile.read(path) } ?? []
        do {
            let now = time.now
            try await store.write { try $0.applyBridgeFile(bridges, now: now, ids: .system) }
        } catch let problem as Problem {
            throw CommandFailure("bad setting: bridges: \(configuration.bridgeFile ?? ""): \(problem.summary)")
        }
    }

    /// What kept the server from listening, in words.
    private static func failure(_ error: any Error, _ configuration: Configuration) -> CommandFailure {
        let (host, port) = (configuration.host, configuration.port)
        switch error {
        case let error as IOError where error.errnoCode == EADDRINUSE:
            return CommandFailure(
                "port \(port) on \(host) is in use: stop what listens there, or choose another --port")
        case let error as IOError where error.errnoCode == EACCES:
            return CommandFailure("port \(port) needs more rights than this user has: choose a --port from 1024 on")
        case is IOError, is SocketAddressError:
            return CommandFailure("cannot listen on \(host): it is no address of this machine (--host)")
        default:
            return CommandFailure("the server stopped: \(error)")
        }
    }

    private static func logger(level: Logger.Level) -> Logger {
        var logger = Logger(label: "comblang") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = level
        return logger
    }
}

extension SQLiteStore {
    /// Opens the configured data directory.
    ///
    /// - throws: ``CommandFailure`` that names the directory.
    static func open(_ configuration: Configuration, _ logger: Logger) throws(CommandFailure) -> SQLiteStore {
        let directory = configuration.dataDirectory
        do {
            return try SQLiteStore.open(directory: directory, logger: logger)
        } catch {
            let text = error.description
            throw CommandFailure(text.contains(directory) ? text : "\(text) (--data-dir \(directory))")
        }
    }
}
