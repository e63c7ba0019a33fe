import ArgumentParser
import Foundation
import Logging
import SQLiteStore

/// `comblang migrate`: brings the database up to date without serving, which `serve` also does.
struct MigrateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate", abstract: "Bring the database up to date without serving it.",
        discussion: "Refused while a server uses the data directory. `serve` migrates too, on its start.")

    @Option(help: "A JSON file of settings.")
    var config: String?

    @Option(help: "Where the database is. (default: COMBLANG_DATA_DIR or data)")
    var dataDir: String?

    func run() async throws {
        let flags = self.dataDir.map { ["dataDir": $0] } ?? [:]
        let settings = try await SettingsReader(
            flags: flags, environment: ProcessInfo.processInfo.environment, file: self.config)
        let configuration = try Configuration(settings)
        let logger = Logger(label: "comblang") { StreamLogHandler.standardError(label: $0) }
        let store = try SQLiteStore.open(configuration, logger)
        let applied = store.appliedMigrations
        await store.close()
        for name in applied { try Terminal.write("applied \(name)") }
        if applied.isEmpty { try Terminal.write("the database in \(configuration.dataDirectory) is up to date") }
    }
}
