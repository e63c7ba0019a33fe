import ArgumentParser
import Core
import Foundation
import NIOCore
import NIOPosix
import UnixSignals

extension LoadPlan.Wire: ExpressibleByArgument {}

/// `comblang load-test`: how many, how fast, and whether all of it arrives once and in order.
struct LoadTestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load-test", abstract: "Measure a server, and check what it delivers.",
        discussion: """
            Signs up guests, makes public rooms, lets subscribers listen while messages are posted, and deletes the \
            guests again. Every subscriber checks that each message came once and in order. Latencies are from the \
            moment before a post is written to the moment its event is read; at full rate that is queueing.
            Exit code: 0; 2 when something did not come or did not open; 3 when something was lost in the middle, came \
            twice or out of order.
            Examples: comblang load-test --subscribers 1000 --rate 50 --duration 10
                      comblang load-test --post-only --window 64 --duration 5
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    @Option(help: "How subscribers read: sse, ndjson, long-poll or websocket.")
    var wire = LoadPlan.Wire.sse

    @Option(help: "How many listen.")
    var subscribers = 100

    @Option(help: "How many rooms; subscribers and messages are spread over them.")
    var rooms = 1

    @Option(name: [.long, .customLong("publishers")], help: "Connections that post, each with one request under way.")
    var window = 32

    @Option(help: "Posts a second over all connections; 0 for as many as the server takes.")
    var rate = 0.0

    @Option(help: "How many messages. (default: 1000, or as many as --duration allows)")
    var messages: Int?

    @Option(help: "Post for so many seconds instead.")
    var duration: Double?

    @Option(help: "Bytes of each message.")
    var size = 200

    @Option(help: "Messages before those that are measured.")
    var warmUp = 20

    @Flag(help: "Nobody posts: hold the streams for --duration (5 s).")
    var idle = false

    @Flag(help: "Post the messages first; then all subscribers come at once and each catches up.")
    var storm = false

    @Flag(help: "Nobody listens: measure posts for --duration (5 s).")
    var postOnly = false

    @Flag(help: "Measure reads of message pages for --duration (5 s).")
    var getOnly = false

    @Option(help: "Afterwards cut all streams, post so many messages to each room, and let all come back at once.")
    var messagesAway = 0

    @Option(help: "Let events gather for so many milliseconds before they are read. (default: 20 at full rate, else 0)")
    var gather: Int?

    @Option(help: "Give up when nothing has arrived for so many seconds.")
    var patience = 10.0

    @Option(help: "Process id of the server, if it runs here: measures its CPU and memory too.")
    var serverProcess: Int32?

    /// Access tokens last for 15 minutes, and what is longer is no load test but a soak of tokens.
    private static let durationSecondsMax = 780.0

    func validate() throws {
        let modes = [self.idle, self.storm, self.postOnly, self.getOnly].count { $0 }
        guard modes <= 1 else {
            throw ValidationError("--idle, --storm, --post-only and --get-only exclude each other")
        }
        guard self.messages == nil || self.duration == nil else {
            throw ValidationError("--messages and --duration exclude each other")
        }
        guard (0.1...Self.durationSecondsMax).contains(self.duration ?? 1) else {
            throw ValidationError("--duration must be 0.1 to \(Int(Self.durationSecondsMax))")
        }
        let bounds: [(name: String, value: Int, range: ClosedRange<Int>)] = [
            ("--subscribers", self.subscribers, 1...100_000), ("--rooms", self.rooms, 1...Limits.roomsPerUserMax),
            ("--window", self.window, 1...1000), ("--messages", self.messages ?? 1, 1...10_000_000),
            ("--size", self.size, Marker.byteCount...Limits.messageCharactersMax),
            ("--warm-up", self.warmUp, 0...100_000), ("--messages-away", self.messagesAway, 0...10_000),
            ("--gather", self.gather ?? 0, 0...1000),
        ]
        for bound in bounds where !bound.range.contains(bound.value) {
            throw ValidationError("\(bound.name) must be \(bound.range.lowerBound) to \(bound.range.upperBound)")
        }
        guard (0...1_000_000).contains(self.rate) else { throw ValidationError("--rate must be 0 to 1000000") }
        guard (0.1...3600).contains(self.patience) else { throw ValidationError("--patience must be 0.1 to 3600") }
    }

    func run() async throws {
        let plan = self.plan
        let client = try self.connection.anonymousClient()
        let target = try LoadTarget(url: client.baseURL)
        Self.allowOpenFiles()
        let report = try await Self.untilInterrupted { try await Self.measure(plan, client, target) }
        if self.output.json {
            try Terminal.write(report.json)
        } else {
            try Terminal.write(report.text)
        }
        if report.faults.isFaulty { throw ExitCode(3) }
        if !report.isComplete { throw ExitCode(2) }
    }

    private var plan: LoadPlan {
        var plan = LoadPlan()
        plan.mode = self.idle ? .idle : self.storm ? .storm : self.postOnly ? .post : self.getOnly ? .get : .fanout
        plan.wire = self.wire
        plan.subscribers = self.postOnly || self.getOnly ? 0 : self.subscribers
        plan.rooms = self.rooms
        plan.window = self.window
        plan.rate = self.rate
        plan.size = self.size
        plan.messagesAway = self.messagesAway
        plan.patience = .milliseconds(Int64(self.patience * 1000))
        plan.serverProcess = self.serverProcess
        let time = Duration.milliseconds(Int64((self.duration ?? 5) * 1000))
        plan.hold = time
        let isTimed = self.duration != nil || (plan.subscribers == 0 && self.messages == nil)
        plan.amount = isTimed ? .time(time) : .requests(self.messages ?? 1000)
        plan.warmUp = .requests(plan.subscribers == 0 ? max(self.warmUp, 50 * self.rooms) : self.warmUp)
        plan.gather = .milliseconds(self.gather ?? (self.rate > 0 ? 0 : 20))
        return plan
    }

    private static func measure(
        _ plan: LoadPlan, _ client: APIClient, _ target: LoadTarget
    ) async throws -> LoadReport {
        Terminal.note("making \(plan.users + 1) guests and \(plan.rooms) rooms")
        let world = try await LoadWorld.make(plan, client)
        let loops = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        let result: Result<LoadReport, any Error>
        do {
            let run = try await LoadRun(
                plan, world: world, target: target, start: try await world.cursor(), on: loops,
                progress: LoadProgress(subscribers: plan.subscribers))
            result = .success(try await run.measure())
        } catch {
            result = .failure(error)
        }
        // Not in this task, which may have been cancelled: its requests would fail at once.
        await Task {
            Terminal.note("deleting the guests")
            await world.delete()
            try? await loops.shutdownGracefully()
        }.value
        return try result.get()
    }

    /// Does the work; SIGINT or SIGTERM cancel it, so that it can clean up.
    private static func untilInterrupted(
        _ work: @escaping @Sendable () async throws -> LoadReport
    ) async throws -> LoadReport {
        let interruption = Task { try await work() }
        let signals = await UnixSignalsSequence(trapping: [.sigint, .sigterm])
        let watch = Task {
            for await _ in signals { interruption.cancel() }
        }
        defer { watch.cancel() }
        do {
            return try await interruption.value
        } catch is CancellationError {
            throw CommandFailure("interrupted; the guests of the test were deleted")
        }
    }

    /// Each stream is an open file.
    private static func allowOpenFiles() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
