import ArgumentParser
import Core
import NIOHTTP1

/// `comblang token …`: signing in, renewing, revoking; keys for scripts.
struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "Create and revoke tokens and API keys.",
        subcommands: [Create.self, Revoke.self, KeyCommand.self])

    /// The tokens of an answer, as lines that a shell can evaluate.
    static func write(_ answer: JSONValue) throws {
        try Terminal.write("export COMBLANG_TOKEN=\(answer.cell("accessToken"))")
        try Terminal.write("export COMBLANG_REFRESH_TOKEN=\(answer.cell("refreshToken"))")
        try Terminal.write("# the first expires \(answer.cell("expiresAt"))")
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Get an access token.", discussion: "Use it as: eval \"$(comblang token create password alice)\"",
            subcommands: [Password.self, Refresh.self])
    }

    struct Password: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Sign in: asks for the password, or reads a line of standard input.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        @Argument var username: String

        func run() async throws {
            let answer = try await self.connection.anonymousClient().send(
                .POST, "/v1/tokens",
                body: .object([
                    "grant": .string("password"), "username": .string(self.username),
                    "password": .string(try Terminal.readPassword()),
                ]))
            if self.output.json { try Terminal.write(answer.body) } else { try TokenCommand.write(answer.body) }
        }
    }

    struct Refresh: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Trade COMBLANG_REFRESH_TOKEN for a new pair; the old one is spent.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            guard let token = ConnectionOptions.environment("COMBLANG_REFRESH_TOKEN") else {
                throw CommandFailure(
                    "set COMBLANG_REFRESH_TOKEN; tokens are not taken from the command line, where others see them")
            }
            let answer = try await self.connection.anonymousClient().send(
                .POST, "/v1/tokens", body: .object(["grant": .string("refresh"), "refreshToken": .string(token)]))
            if self.output.json { try Terminal.write(answer.body) } else { try TokenCommand.write(answer.body) }
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Revoke COMBLANG_TOKEN and its whole family; its open streams end.")

        @OptionGroup var connection: ConnectionOptions

        func run() async throws {
            // Never the admin token of the data directory: that would lock everybody out.
            guard let token = ConnectionOptions.environment("COMBLANG_TOKEN") else {
                throw CommandFailure("set COMBLANG_TOKEN to the token to revoke")
            }
            _ = try await self.connection.client(token: token).send(.DELETE, "/v1/tokens/current")
            Terminal.note("revoked")
        }
    }
}
