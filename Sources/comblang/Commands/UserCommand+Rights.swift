import ArgumentParser
import Core
import NIOHTTP1

extension UserCommand {
    struct Suspend: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Suspend a user, as an admin: ends their sessions, streams and calls, and keeps them out.")

        @OptionGroup var rights: RightsOptions

        func run() async throws { try await self.rights.change(["suspended": .bool(true)]) }
    }

    struct Unsuspend: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let a suspended user sign in again, as an admin.")

        @OptionGroup var rights: RightsOptions

        func run() async throws { try await self.rights.change(["suspended": .bool(false)]) }
    }

    struct Role: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make an account an admin, or take that away, as an admin.")

        @OptionGroup var rights: RightsOptions

        @Argument(help: "user or admin.")
        var role: UserRole

        func run() async throws { try await self.rights.change(["role": .string(self.role.rawValue)]) }
    }
}

extension UserRole: ExpressibleByArgument {}

/// Whose rights change.
struct RightsOptions: ParsableArguments {
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "The id, @username or me.")
    var user: String

    /// Changes them and shows the user as they are then.
    func change(_ rights: [String: JSONValue]) async throws {
        let answer = try await self.connection.client().send(
            .PATCH, "/v1/admin/users/\(APIClient.escape(self.user))", body: .object(rights))
        try self.output.write([answer.body], as: UserCommand.table)
    }
}
