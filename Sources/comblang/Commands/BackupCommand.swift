import ArgumentParser
import Core
import Foundation
import NIOHTTP1

/// `comblang backup`: copies the database of a running server.
struct BackupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup", abstract: "Copy the database while the server serves.",
        discussion: """
            The copy stays on the server's machine, in the directory backups of its data directory: it holds \
            everybody's messages, and who may sign in as admin may not read those. Copy it elsewhere from there, \
            together with token-secret if tokens are to stay good. `comblang restore` goes on from it.
            """,
        subcommands: [Create.self, List.self], defaultSubcommand: Create.self)

    static func table(_ backups: [JSONValue]) -> Table {
        Table(
            headings: ["id", "state", "file", "bytes", "created", "finished"],
            rows: backups.map { backup in
                ["id", "state", "file", "bytes", "createdAt", "finishedAt"].map(backup.cell)
            })
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Make a backup and wait until it is done.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        /// Between two looks at how far it is.
        private static let pollInterval = Duration.milliseconds(300)

        func run() async throws {
            let client = try self.connection.client()
            let made = try await client.send(.POST, "/v1/admin/backups", idempotencyKey: UUID().uuidString).body
            let backup = try await self.finished(made, client)
            guard backup["state"] == .string("done") else {
                throw CommandFailure("the backup failed: \(Table.printable(backup.cell("failure")))")
            }
            if self.output.json { return try Terminal.write(backup) }
            try Terminal.write("backups/\(Table.printable(backup.cell("file")))  \(backup.cell("bytes")) bytes")
        }

        /// The backup when it is over.
        private func finished(_ made: JSONValue, _ client: APIClient) async throws -> JSONValue {
            guard let id = made["id"]?.stringValue else { throw client.strangeAnswer }
            let progress = ProgressLine()
            defer { progress.clear() }
            var backup = made
            while backup["state"] == .string("running") {
                if case .number(let share)? = backup["progress"] {
                    progress.show("copying, \((share * 100).text(digits: 0)) %")
                }
                try await Task.sleep(for: Self.pollInterval)
                backup = try await client.send(.GET, "/v1/admin/backups/\(APIClient.escape(id))").body
            }
            return backup
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the backups, newest first.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let backups = try await self.connection.client().list("/v1/admin/backups", position: "before")
            try self.output.write(backups, as: BackupCommand.table)
        }
    }
}
