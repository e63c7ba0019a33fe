import ArgumentParser
import Core
import Foundation
import NIOHTTP1

/// `comblang token key …`: long-lived keys for scripts.
struct KeyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "Create, list and delete your API keys.",
        subcommands: [Create.self, List.self, Delete.self])

    private static let path = "/v1/users/me/api-keys"

    private static func table(_ keys: [JSONValue]) -> Table {
        Table(
            headings: ["id", "name", "scopes", "last used", "expires"],
            rows: keys.map { key in
                var scopes: [String] = []
                if case .array(let items)? = key["scopes"] { scopes = items.compactMap(\.stringValue) }
                return [
                    key.cell("id"), key.cell("name"), scopes.joined(separator: " "), key.cell("lastUsedAt"),
                    key.cell("expiresAt"),
                ]
            })
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a key; it is shown once.",
            discussion: """
                Scopes: \(Scope.allCases.map(\.rawValue).joined(separator: ", ")).
                Prints a line to paste: export COMBLANG_TOKEN=…
                """)

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "What you call it.")
        var name: String

        @Option(name: .customLong("scope"), help: "What it may do; repeat for several.")
        var scopes: [String]

        @Option(help: "It ends after so many days. (default: never)")
        var days: Int?

        func validate() throws {
            guard !self.scopes.isEmpty else { throw ValidationError("give at least one --scope") }
            for scope in self.scopes where Scope(rawValue: scope) == nil {
                throw ValidationError("--scope \(scope) is none: see comblang token key create --help")
            }
            if let days, !(1...3650).contains(days) { throw ValidationError("--days must be 1 to 3650") }
        }

        func run() async throws {
            var body: [String: JSONValue] = [
                "name": .string(self.name), "scopes": .array(self.scopes.map { .string($0) }),
            ]
            if let days {
                let end = Timestamp(Date()).advanced(by: .seconds(days * 24 * 3600))
                body["expiresAt"] = .string(end.rfc3339)
            }
            let key = try await self.connection.client().send(.POST, KeyCommand.path, body: .object(body)).body
            if self.output.json { return try Terminal.write(key) }
            try Terminal.write("# \(key.cell("name")) \(key.cell("id"))")
            try Terminal.write("export COMBLANG_TOKEN=\(key.cell("key"))")
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List your keys, without the keys themselves.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try self.output.write(try await self.connection.client().list(KeyCommand.path), as: KeyCommand.table)
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Revoke a key; its open streams end.")

        @OptionGroup var connection: ConnectionOptions

        @Argument(help: "The key's id, key_…")
        var id: String

        func run() async throws {
            _ = try await self.connection.client().send(.DELETE, "\(KeyCommand.path)/\(APIClient.escape(self.id))")
            Terminal.note("revoked \(self.id)")
        }
    }
}
