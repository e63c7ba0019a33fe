import ArgumentParser
import Core
import NIOHTTP1

/// `comblang room …`: rooms and their members.
struct RoomCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "room", abstract: "Create, list, show, join, leave and archive rooms.",
        subcommands: [
            Create.self, List.self, Show.self, Join.self, Leave.self, Members.self, Archive.self,
        ])

    static func path(_ room: String) -> String { "/v1/rooms/\(APIClient.escape(room))" }

    static func table(_ rooms: [JSONValue]) -> Table {
        Table(
            headings: ["id", "name", "title", "visibility", "role", "members", "unread", "archived"],
            rows: rooms.map { room in
                ["id", "name", "title", "visibility", "role", "memberCount", "unreadCount", "archived"].map(room.cell)
            })
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Create a room; you become its owner.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "A public room's unique name (2 to 32 of a-z 0-9 _ . -), or a private room's title.")
        var name: String

        @Option(help: "What people read. (default: the name)")
        var title: String?

        @Flag(help: "Only members know of the room, and only by its id.")
        var `private` = false

        func run() async throws {
            var body: [String: JSONValue] = ["title": .string(self.title ?? self.name)]
            body["visibility"] = .string(self.private ? "private" : "public")
            if !self.private { body["name"] = .string(self.name) }
            let answer = try await self.connection.client().send(.POST, "/v1/rooms", body: .object(body))
            try self.output.write([answer.body], as: RoomCommand.table)
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List public rooms and your own.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let rooms = try await self.connection.client().list("/v1/rooms")
            try self.output.write(rooms, as: RoomCommand.table)
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show one room.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The room's name or id.")
        var room: String

        func run() async throws {
            let answer = try await self.connection.client().send(.GET, RoomCommand.path(self.room))
            try self.output.write([answer.body], as: RoomCommand.table)
        }
    }

    struct Join: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Join a public room, or add another user to a room.")

        @OptionGroup var connection: ConnectionOptions

        @Argument(help: "The room's name or id.")
        var room: String

        @Argument(help: "Whom to add: the id, @username or me.")
        var user = "me"

        @Option(help: "owner, moderator or member; for others only.")
        var role: String?

        func run() async throws {
            let body = JSONValue.object(self.role.map { ["role": .string($0)] } ?? [:])
            _ = try await self.connection.client().send(
                .PUT, RoomCommand.path(self.room) + "/members/\(APIClient.escape(self.user))", body: body)
            Terminal.note("\(self.user) joined \(self.room)")
        }
    }

    struct Leave: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Leave a room, or remove another user from it.")

        @OptionGroup var connection: ConnectionOptions

        @Argument(help: "The room's name or id.")
        var room: String

        @Argument(help: "Who leaves: the id, @username or me.")
        var user = "me"

        func run() async throws {
            _ = try await self.connection.client().send(
                .DELETE, RoomCommand.path(self.room) + "/members/\(APIClient.escape(self.user))")
            Terminal.note("\(self.user) left \(self.room)")
        }
    }

    struct Members: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List a room's members.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The room's name or id.")
        var room: String

        func run() async throws {
            let members = try await self.connection.client().list(RoomCommand.path(self.room) + "/members")
            try self.output.write(members) { members in
                Table(
                    headings: ["user", "username", "display name", "role", "online", "joined"],
                    rows: members.map { member in
                        ["user", "username", "displayName", "role", "online", "joinedAt"].map(member.cell)
                    })
            }
        }
    }

    struct Archive: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Archive a room: it can be read but not written to.")

        @OptionGroup var connection: ConnectionOptions

        @Argument(help: "The room's name or id.")
        var room: String

        @Flag(help: "Take the room out of the archive again.")
        var undo = false

        func run() async throws {
            _ = try await self.connection.client().send(
                .PATCH, RoomCommand.path(self.room), body: .object(["archived": .bool(!self.undo)]))
            Terminal.note("\(self.room) is \(self.undo ? "in use again" : "archived")")
        }
    }
}
