import Core
import NIOCore
import NIOPosix

/// A load test from its first connection to its figures.
struct LoadRun: Sendable {
    private let plan: LoadPlan
    private let crowd: OnLoop<Crowd>
    private let poster: OnLoop<Poster>
    private let server: ServerProcess?
    /// The cursor before anything was posted.
    private let start: String
    private let progress: LoadProgress

    /// Connections that open at the same time, unless all shall.
    private static let openingMax = 64
    private static let tick = Duration.milliseconds(20)
    /// Readers and writers of the server need a moment after so many streams: presence is told to all.
    private static let settling = Duration.milliseconds(500)

    /// - parameters:
    ///   - start: a cursor from before the test.
    ///   - loops: two; subscribers and publishers do not share one.
    init(
        _ plan: LoadPlan, world: LoadWorld, target: LoadTarget, start: String, on loops: any EventLoopGroup,
        progress: LoadProgress
    ) async throws {
        let run = UInt32.random(in: .min ... .max)
        let (readingLoop, postingLoop) = (loops.next(), loops.next())
        self.plan = plan
        self.start = start
        self.progress = progress
        self.server = plan.serverProcess.map { ServerProcess(identifier: $0) }
        self.crowd = try await OnLoop(readingLoop) {
            Crowd(plan: plan, world: world, target: target, run: run, on: readingLoop)
        }
        self.poster = try await OnLoop(postingLoop) {
            Poster(plan: plan, world: world, target: target, run: run, on: postingLoop)
        }
    }

    /// - throws: `CancellationError`.
    func measure() async throws -> LoadReport {
        var report = LoadReport(plan: self.plan)
        report.memoryBefore = self.server?.memoryKibibytes()
        switch self.plan.mode {
        case .fanout: try await self.measureFanout(&report)
        case .idle: try await self.measureIdle(&report)
        case .storm: try await self.measureStorm(&report)
        case .post, .get: try await self.measureRequests(&report)
        }
        report.faults = try await self.faults()
        report.isComplete = report.isComplete && report.faults.missing == 0 && report.posts.unknown == 0
        try await self.crowd { $0.cut() }
        try await self.poster { $0.close() }
        return report
    }

    // MARK: Modes

    private func measureFanout(_ report: inout LoadReport) async throws {
        guard try await self.openStreams(&report) else { return }
        let opening = try await self.crowd { $0.tally.opening }
        try await self.connectPoster()
        let gather = self.plan.gather
        try await self.crowd { $0.gather(for: gather) }
        _ = try await self.post(self.plan.warmUp)
        _ = try await self.awaitDelivery()
        try await self.crowd { $0.resetTally() }
        let mark = self.mark()
        report.posts = try await self.post(self.plan.amount, rate: self.plan.rate)
        report.isComplete = try await self.awaitDelivery() && report.posts.isComplete
        report.cost = self.cost(since: mark)
        report.tally = try await self.crowd { $0.tally }
        report.tally.opening = opening
        report.seconds = Self.seconds(from: report.posts.startedAt, to: report.tally.lastEventAt)
        if self.plan.messagesAway > 0 { try await self.measureReturn(&report) }
    }

    /// Cuts all streams, posts, and lets all come back at once.
    private func measureReturn(_ report: inout LoadReport) async throws {
        try await self.crowd { $0.cut() }
        let everybody = self.plan.subscribers
        _ = try await self.wait("cutting") { $0.crowd.away == everybody }
        let posts = try await self.post(.requests(self.plan.messagesAway * self.plan.rooms))
        report.posts.unknown += posts.unknown
        report.isComplete = report.isComplete && posts.isComplete
        let goals = try await self.poster { $0.posted }
        let startedAt = NIODeadline.now().uptimeNanoseconds
        try await self.crowd {
            $0.resetTally()
            $0.expect(goals)
            $0.open(window: everybody)
        }
        report.isComplete = try await self.wait("returning") { $0.crowd.complete == everybody } && report.isComplete
        let tally = try await self.crowd { $0.tally }
        report.tally.catchUp = tally.catchUp
        report.tally.lostPositions += tally.lostPositions
        report.tally.endings.merge(tally.endings, uniquingKeysWith: +)
        report.secondsUntilBack = Self.seconds(from: startedAt, to: tally.lastEventAt)
    }

    private func measureIdle(_ report: inout LoadReport) async throws {
        guard try await self.openStreams(&report) else { return }
        let mark = self.mark()
        let startedAt = ContinuousClock.now
        _ = try await self.wait("holding", atMost: self.plan.hold) { _ in false }
        report.seconds = startedAt.duration(to: .now).seconds
        report.cost = self.cost(since: mark)
        report.tally = try await self.crowd { $0.tally }
        report.memoryOpen = self.server?.memoryKibibytes()
        report.isComplete = try await self.crowd { $0.state.open } == self.plan.subscribers
    }

    private func measureStorm(_ report: inout LoadReport) async throws {
        try await self.connectPoster()
        report.posts = try await self.post(self.plan.amount)
        let goals = try await self.poster { $0.posted }
        let (everybody, start) = (self.plan.subscribers, self.start)
        let mark = self.mark()
        let startedAt = NIODeadline.now().uptimeNanoseconds
        try await self.crowd {
            $0.expect(goals)
            $0.open(window: everybody, from: start)
        }
        let isCaughtUp = try await self.wait("catching up") { $0.crowd.complete == everybody }
        report.isComplete = isCaughtUp && report.posts.isComplete
        report.cost = self.cost(since: mark)
        report.tally = try await self.crowd { $0.tally }
        report.opened = Int(report.tally.opening.count)
        report.memoryOpen = self.server?.memoryKibibytes()
        report.seconds = Self.seconds(from: startedAt, to: report.tally.lastEventAt)
    }

    private func measureRequests(_ report: inout LoadReport) async throws {
        try await self.connectPoster()
        _ = try await self.post(self.plan.warmUp)
        let mark = self.mark()
        report.posts = try await self.post(self.plan.amount, rate: self.plan.rate)
        report.cost = self.cost(since: mark)
        report.seconds = Self.seconds(from: report.posts.startedAt, to: report.posts.lastAnswerAt)
        report.isComplete = report.posts.answered > 0 && report.posts.isComplete
    }

    // MARK: Steps

    /// Opens all streams; returns whether it could.
    private func openStreams(_ report: inout LoadReport) async throws -> Bool {
        try await self.crowd { $0.open(window: Self.openingMax) }
        let everybody = self.plan.subscribers
        _ = try await self.wait("opening") { $0.crowd.open + $0.crowd.refused == everybody }
        report.opened = try await self.crowd { $0.state.open }
        report.tally = try await self.crowd { $0.tally }
        report.isComplete = report.opened == everybody
        guard report.isComplete else { return false }
        try await Task.sleep(for: Self.settling)
        report.memoryOpen = self.server?.memoryKibibytes()
        return true
    }

    private func connectPoster() async throws {
        try await self.poster { $0.connect() }
        let window = self.plan.window
        _ = try await self.wait("connecting") { $0.poster.connections == window }
    }

    /// Returns when all requests have been answered, or given up.
    private func post(_ amount: LoadPlan.Amount, rate: Double = 0) async throws -> PostTally {
        try await self.crowd { $0.expect(nil) }
        try await self.poster { $0.start(amount, rate: rate) }
        let isDone = try await self.wait("posting") { $0.poster.isDone }
        var tally = try await self.poster { $0.tally }
        tally.isComplete = isDone && tally.errors.isEmpty
        return tally
    }

    private func awaitDelivery() async throws -> Bool {
        let goals = try await self.poster { $0.posted }
        try await self.crowd { $0.expect(goals) }
        let everybody = self.plan.subscribers
        return try await self.wait("delivering") { $0.crowd.complete == everybody }
    }

    /// Waits until the condition holds; `false` when nothing has moved for ``LoadPlan/patience``, or the time is over.
    private func wait(
        _ what: String, atMost limit: Duration? = nil, until condition: (LoadProgress.State) -> Bool
    ) async throws -> Bool {
        let startedAt = ContinuousClock.now
        var movedAt = startedAt
        var last: LoadProgress.State?
        while true {
            let state = LoadProgress.State(
                crowd: try await self.crowd { $0.state }, poster: try await self.poster { $0.state })
            guard !condition(state) else { return true }
            let now = ContinuousClock.now
            if last?.movement != state.movement { movedAt = now }
            last = state
            self.progress.tell(what, state)
            guard now - startedAt < limit ?? .seconds(24 * 3600) else { return false }
            guard limit != nil || now - movedAt < self.plan.patience else { return false }
            try await Task.sleep(for: Self.tick)
        }
    }

    private func faults() async throws -> Faults {
        let posted = try await self.poster { $0.posted }
        return try await self.crowd { $0.faults(posted: posted) }
    }

    // MARK: Costs

    private func mark() -> LoadReport.Cost {
        LoadReport.Cost(
            clientMicroseconds: ServerProcess.ownCPUMicroseconds(),
            serverMicroseconds: self.server?.cpuMicroseconds())
    }

    private func cost(since mark: LoadReport.Cost) -> LoadReport.Cost {
        let now = self.mark()
        return LoadReport.Cost(
            clientMicroseconds: now.clientMicroseconds - mark.clientMicroseconds,
            serverMicroseconds: now.serverMicroseconds.flatMap { end in mark.serverMicroseconds.map { end - $0 } })
    }

    private static func seconds(from start: UInt64, to end: UInt64) -> Double {
        end > start ? Double(end - start) / 1e9 : 0
    }
}

extension Duration {
    /// As a number.
    fileprivate var seconds: Double { Double(self.milliseconds) / 1000 }
}
