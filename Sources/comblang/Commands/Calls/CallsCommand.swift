import ArgumentParser
import Core
import Foundation
import NIOHTTP1

/// `comblang calls …`: what admins ask about calls.
struct CallsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "calls", abstract: "Who called whom, how it ended and why it failed (for admins).",
        subcommands: [List.self, Show.self, Export.self, Stats.self])

    static let path = "/v1/admin/calls"

    /// Which calls: all that is given must hold.
    struct Filter: ParsableArguments {
        @Option(help: "Took part or was rung: the id or @username.")
        var user: String?

        @Option(help: "The room's name or id.")
        var room: String?

        @Option(help: "ringing, connecting, active or ended.")
        var state: String?

        @Option(help: "For example missed, failed, lost, completed.")
        var endReason: String?

        @Option(help: "Made at this time or later: RFC 3339, or an age such as 90m, 24h, 7d.")
        var since: String?

        @Option(help: "Made before this time; as --since.")
        var until: String?

        @Option(help: "Lasted so many seconds at least.")
        var minDuration: Int?

        @Option(help: "sse, ndjson, poll, websocket or bridge.")
        var transport: String?

        /// - throws: ``CommandFailure`` for a time that is none.
        func query() throws(CommandFailure) -> [(name: String, value: String?)] {
            [
                ("user", self.user), ("room", self.room), ("state", self.state), ("endReason", self.endReason),
                ("since", try Self.time(self.since, "--since")), ("until", try Self.time(self.until, "--until")),
                ("minDuration", self.minDuration.map { String($0) }), ("transport", self.transport),
            ]
        }

        private static let secondsByUnit: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]

        private static func time(_ text: String?, _ name: String) throws(CommandFailure) -> String? {
            guard let text else { return nil }
            if let time = Timestamp(rfc3339: text) { return time.rfc3339 }
            guard let unit = text.last.flatMap({ self.secondsByUnit[$0] }), let number = Double(text.dropLast()),
                number >= 0, number * unit < 1e10
            else {
                throw CommandFailure("\(name) must be like 2026-11-22T13:24:37Z, or an age like 90m, 24h or 7d")
            }
            return Timestamp(Date(timeIntervalSinceNow: -number * unit)).rfc3339
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List calls, newest first.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup var filter: Filter

        @Option(help: "At most so many.")
        var limit = 50

        func validate() throws {
            guard self.limit > 0 else { throw ValidationError("--limit must be at least 1") }
        }

        func run() async throws {
            let client = try self.connection.client()
            let filter = try self.filter.query()
            let progress = ProgressLine()
            var calls: [JSONValue] = []
            var before: String?
            repeat {
                let limit = min(self.limit - calls.count, Limits.pageItemsMax)
                let position = [(name: "limit", value: String?(String(limit))), (name: "before", value: before)]
                let page = try await client.send(.GET, CallsCommand.path, query: filter + position).body
                guard case .array(let items)? = page["items"] else { throw client.strangeAnswer }
                calls += items
                before = page["next"]?.stringValue
                progress.show("\(calls.count) calls")
            } while before != nil && calls.count < self.limit
            progress.clear()
            try self.output.write(calls, as: CallText.table)
            if before != nil, !self.output.json { Terminal.note("there are more: --limit, or narrow it by filters") }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the record of a call: its legs, its timeline, and why it failed.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The call's id.")
        var call: String

        func run() async throws {
            let path = CallsCommand.path + "/" + APIClient.escape(self.call)
            let record = try await self.connection.client().send(.GET, path).body
            guard !self.output.json else { return try Terminal.write(record) }
            try Terminal.write(CallText.details(record))
        }
    }

    struct Stats: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Counts, rates and percentiles by hour or day, and by group.",
            discussion: "Without --since: the last day by hours, or the last 30 days by days. Times are UTC.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup var filter: Filter

        @Option(help: "hour or day.")
        var bucket = "day"

        @Option(help: "room, initiator, endReason or transport.")
        var groupBy: String?

        func run() async throws {
            let query = try self.filter.query() + [("bucket", self.bucket), ("groupBy", self.groupBy)]
            let answer = try await self.connection.client().send(.GET, CallsCommand.path + "/stats", query: query).body
            guard !self.output.json else { return try Terminal.write(answer) }
            try Terminal.write(CallText.statistics(answer))
        }
    }
}
