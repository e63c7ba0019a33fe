import ArgumentParser
import Core
import NIOHTTP1

/// `comblang user …`: sign-up, profiles, deletion, and what admins change.
struct UserCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "user", abstract: "Create, list, show and delete users; suspend them, make them admins.",
        subcommands: [
            Create.self, List.self, Show.self, Delete.self, Suspend.self, Unsuspend.self, Role.self,
        ])

    static func table(_ users: [JSONValue]) -> Table {
        Table(
            headings: ["id", "username", "display name", "role", "kind", "suspended", "online", "created"],
            rows: users.map { user in
                ["id", "username", "displayName", "role", "kind", "suspended", "online", "createdAt"].map(user.cell)
            })
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Sign up a user; without --password a guest.",
            discussion: "Prints a line to paste: export COMBLANG_TOKEN=…")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "2 to 32 of a-z 0-9 _ . -")
        var username: String

        @Option(help: "The name that others see. (default: the username)")
        var displayName: String?

        @Option(help: "The name's colour, #rrggbb.")
        var color: String?

        @Flag(help: "Make an account: asks for a password, or reads a line of standard input.")
        var password = false

        func run() async throws {
            var body: [String: JSONValue] = ["username": .string(self.username)]
            body["displayName"] = self.displayName.map(JSONValue.string)
            body["color"] = self.color.map(JSONValue.string)
            if self.password { body["password"] = .string(try Terminal.readPassword()) }
            let answer = try await self.connection.anonymousClient().send(.POST, "/v1/users", body: .object(body))
            if self.output.json { return try Terminal.write(answer.body) }
            let user = answer.body["user"] ?? .null
            try Terminal.write("# \(user.cell("kind")) \(user.cell("username")) \(user.cell("id"))")
            try TokenCommand.write(answer.body)
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the users you may see.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let users = try await self.connection.client().list("/v1/users")
            try self.output.write(users, as: UserCommand.table)
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show one user.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The id, @username or me.")
        var user: String

        func run() async throws {
            let answer = try await self.connection.client().send(.GET, "/v1/users/\(APIClient.escape(self.user))")
            try self.output.write([answer.body], as: UserCommand.table)
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete a user: the name becomes free, records keep a pseudonym.")

        @OptionGroup var connection: ConnectionOptions

        @Argument(help: "The id, @username or me.")
        var user: String

        func run() async throws {
            _ = try await self.connection.client().send(.DELETE, "/v1/users/\(APIClient.escape(self.user))")
            Terminal.note("deleted \(self.user)")
        }
    }
}
