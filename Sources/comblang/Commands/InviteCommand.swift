import ArgumentParser
import Core
import Foundation
import NIOHTTP1

/// `comblang user invite …`: codes that let people sign up, for admins.
struct InviteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "invite", abstract: "Create, list and delete invites to sign up (admins only).",
        subcommands: [Create.self, List.self, Delete.self])

    private static let path = "/v1/admin/invites"

    private static func table(_ invites: [JSONValue]) -> Table {
        Table(
            headings: ["id", "note", "uses left", "of", "expires"],
            rows: invites.map { invite in ["id", "note", "usesLeft", "uses", "expiresAt"].map(invite.cell) })
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Make an invite; its code is shown once.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        @Option(help: "How many people it lets sign up.")
        var uses = 1

        @Option(help: "It expires after so many days.")
        var days = 7

        @Option(help: "What it is for.")
        var note: String?

        func validate() throws {
            guard (1...90).contains(self.days) else { throw ValidationError("--days must be 1 to 90") }
        }

        func run() async throws {
            let end = Timestamp(Date()).advanced(by: .seconds(self.days * 24 * 3600))
            var body: [String: JSONValue] = [
                "uses": .integer(Int64(self.uses)), "expiresAt": .string(end.rfc3339),
            ]
            body["note"] = self.note.map { .string($0) }
            let invite = try await self.connection.client().send(.POST, InviteCommand.path, body: .object(body)).body
            if self.output.json { return try Terminal.write(invite) }
            try Terminal.write(invite.cell("code"))
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List invites, without their codes.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try self.output.write(
                try await self.connection.client().list(InviteCommand.path), as: InviteCommand.table)
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Delete an invite; who signed up with it stays.")

        @OptionGroup var connection: ConnectionOptions

        @Argument(help: "The invite's id, inv_…")
        var id: String

        func run() async throws {
            _ = try await self.connection.client().send(.DELETE, "\(InviteCommand.path)/\(APIClient.escape(self.id))")
            Terminal.note("deleted \(self.id)")
        }
    }
}
