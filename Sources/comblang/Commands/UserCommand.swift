import ArgumentParser
import Core
import NIOHTTP1

/// `comblang user …`: sign-up, profiles, deletion, and what admins change.
struct UserCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "user", abstract: "Create, list, show and delete users; suspend them, make them admins.",
        subcommands: [
            Create.self, List.self, Show.self, Password.self, Delete.self, Suspend.self, Unsuspend.self, Role.self,
            InviteCommand.self,
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

        @Option(help: "The code of an invite, where signing up takes one.")
        var invite: String?

        @Flag(help: "As the admin whose token is at hand, where nobody else may sign up.")
        var asAdmin = false

        func run() async throws {
            var body: [String: JSONValue] = ["username": .string(self.username)]
            body["invite"] = self.invite.map(JSONValue.string)
            body["displayName"] = self.displayName.map(JSONValue.string)
            body["color"] = self.color.map(JSONValue.string)
            if self.password { body["password"] = .string(try Terminal.readPassword()) }
            let client = self.asAdmin ? try self.connection.client() : try self.connection.anonymousClient()
            let answer = try await client.send(.POST, "/v1/users", body: .object(body))
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

    struct Password: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Change the password of whoever's COMBLANG_TOKEN it is, which ends their other sessions.",
            discussion: """
                Asks for the present one, which is empty where there is none, and for the new one; or reads two lines \
                of standard input.
                """
        )

        @OptionGroup var connection: ConnectionOptions

        func run() async throws {
            let client = try self.connection.client()
            let current = try Terminal.readPassword("Present password", canBeEmpty: true)
            var body = ["password": JSONValue.string(try Terminal.readPassword("New password"))]
            if !current.isEmpty { body["currentPassword"] = .string(current) }
            _ = try await client.send(.PATCH, "/v1/users/me", body: .object(body))
            Terminal.note("changed")
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
