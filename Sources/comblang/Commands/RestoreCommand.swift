import ArgumentParser
import Core
import Foundation
import Logging
import SQLiteStore

/// `comblang restore`: goes on from a backup.
struct RestoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore", abstract: "Put a backup in the place of the database.",
        discussion: """
            Refused while a server uses the data directory. The backup is checked first, and the database that it \
            replaces is kept beside it. All that was written since the backup is gone: clients are told to reload, \
            and calls that were going on end.
            """)

    @Option(help: "A JSON file of settings.")
    var config: String?

    @Option(help: "Where the database is. (default: COMBLANG_DATA_DIR or data)")
    var dataDir: String?

    @Argument(help: "A backup: a path, or its name in the directory backups.")
    var file: String

    func run() async throws {
        let flags = self.dataDir.map { ["dataDir": $0] } ?? [:]
        let settings = try await SettingsReader(
            flags: flags, environment: ProcessInfo.processInfo.environment, file: self.config)
        let configuration = try Configuration(settings)
        let directory = configuration.dataDirectory
        let logger = Logger(label: "comblang") { StreamLogHandler.standardError(label: $0) }
        let restoration: Restoration
        do {
            restoration = try await SQLiteStore.restore(
                from: self.path(in: directory), into: directory, now: SystemTime().now, ids: .system, logger: logger)
        } catch {
            throw CommandFailure(error.description)
        }
        // Its session may be none of the restored database's; the next start makes another.
        try SecretFiles(directory: directory).deleteAdminToken()
        for name in restoration.appliedMigrations { Terminal.note("applied \(name)") }
        if let replaced = restoration.replaced { Terminal.note("the database that was there is \(replaced)") }
        Terminal.note("the next start makes another admin-token")
        let taken = restoration.takenAt.map { ", as of \($0.rfc3339)" } ?? ""
        try Terminal.write("restored \(self.file)\(taken)")
    }

    private func path(in directory: String) -> String {
        let listed = "\(directory)/backups/\(self.file)"
        let isName = !self.file.contains("/") && !FileManager.default.fileExists(atPath: self.file)
        return isName && FileManager.default.fileExists(atPath: listed) ? listed : self.file
    }
}
