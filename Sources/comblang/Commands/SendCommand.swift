import ArgumentParser
import Core
import NIOHTTP1

/// `comblang send ROOM TEXT`: posts one chat message.
struct SendCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "send", abstract: "Post a chat message.",
        discussion: "Prints the message's id. Example: comblang send lobby \"Hello\"")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "The room's name or id.")
    var room: String

    @Argument(help: "The message; several words are joined by spaces.")
    var text: [String]

    @Option(help: "Sends the message once, however often the command is repeated with this key.")
    var idempotencyKey: String?

    func run() async throws {
        let client = try self.connection.client()
        let answer = try await client.send(
            .POST, "/v1/rooms/\(APIClient.escape(self.room))/messages",
            body: .object(["content": .string(self.text.joined(separator: " "))]),
            idempotencyKey: self.idempotencyKey)
        if self.output.json {
            try Terminal.write(answer.body)
        } else {
            try Terminal.write(answer.body.cell("id"))
        }
    }
}
