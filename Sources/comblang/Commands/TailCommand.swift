import ArgumentParser

/// `comblang tail`: follows the log and prints it.
struct TailCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tail", abstract: "Print events as they come, one JSON object per line.",
        discussion: """
            Comes back after a lost connection and goes on from the last event printed. Remarks go to standard error.
            With --cursor-file the next run goes on where this one stopped.
            """)

    @OptionGroup var connection: ConnectionOptions

    @Option(help: "Only this room (name or id); may be repeated.")
    var room: [String] = []

    @Option(help: "Only this call.")
    var call: String?

    @Option(help: "Only these types, for example message.*,signal")
    var types: String?

    @Option(help: "Begin behind this cursor; 'earliest' for all that is kept. (default: now)")
    var after: String?

    @Option(help: "Remember in this file how far was printed.")
    var cursorFile: String?

    @Flag(help: "Also print stream.* events: ready, heartbeats, gap, end.")
    var all = false

    func validate() throws {
        if self.call != nil && !self.room.isEmpty { throw ValidationError("--call and --room exclude each other") }
    }

    func run() async throws {
        let file = self.cursorFile.map(CursorFile.init(path:))
        let remembered = try file?.load()
        try await EventTail(
            client: try self.connection.client(), request: self.request, cursorFile: file,
            cursor: self.after ?? remembered
        ).run()
    }

    private var request: EventTail.Request {
        let all = self.all
        if let call {
            let path = "/v1/calls/\(APIClient.escape(call))/events/stream"
            return EventTail.Request(path: path, types: self.types, printsControlEvents: all)
        }
        if self.room.count == 1 {
            let path = RoomCommand.path(self.room[0]) + "/events/stream"
            return EventTail.Request(path: path, types: self.types, printsControlEvents: all)
        }
        return EventTail.Request(
            path: "/v1/events/stream", types: self.types, rooms: self.room, printsControlEvents: all)
    }
}
