import Core
import NIOCore
import NIOPosix

/// The connections that post messages (or read pages of them), on one event loop.
final class Poster {
    /// How far it is.
    struct State: Sendable {
        var connections = 0
        var sent = 0
        var answered = 0
        var underWay = 0
        /// Nothing is under way and nothing more is to be sent.
        var isDone = true
    }

    /// One request a connection has under way.
    private struct Request {
        let room: Int
        let sentAt: UInt64
    }

    /// What is to be sent from ``start(_:rate:)`` on.
    private struct Assignment {
        let startedAt: UInt64
        /// 0: no schedule.
        let rate: Double
        let requestsMax: Int
        let endsAt: UInt64
        var sent = 0
    }

    private let loop: any EventLoop
    private let plan: LoadPlan
    private let target: LoadTarget
    private let run: UInt32
    private let templates: [RequestTemplate]
    private var idle: [PostConnection] = []
    private var connections: [PostConnection] = []
    private var requests: [Request?]
    /// Next sequence number, by room and connection.
    private var sequences: [UInt32]
    /// Messages that the server has taken, by room.
    private(set) var posted: [Int]
    private(set) var tally = PostTally()
    private var assignment: Assignment?
    private var nextRoom = 0
    private var isWaitingForSchedule = false
    private var isClosed = false
    private var reconnections = 0

    /// After so many lost connections for each one that there should be, the server counts as gone.
    private static let reconnectionsMax = 10
    private static let reconnectAfter = TimeAmount.milliseconds(500)

    init(plan: LoadPlan, world: LoadWorld, target: LoadTarget, run: UInt32, on loop: any EventLoop) {
        self.loop = loop
        self.plan = plan
        self.target = target
        self.run = run
        self.templates = world.rooms.map { room in
            plan.mode == .get
                ? RequestTemplate(readingPageOf: room, token: world.publisher.token, target)
                : RequestTemplate(postingTo: room, size: plan.size, token: world.publisher.token, target)
        }
        self.requests = Array(repeating: nil, count: plan.window)
        self.sequences = Array(repeating: 0, count: plan.rooms * plan.window)
        self.posted = Array(repeating: 0, count: plan.rooms)
    }

    var state: State {
        let underWay = self.requests.count { $0 != nil }
        return State(
            connections: self.connections.count { $0.isActive }, sent: self.assignment?.sent ?? 0,
            answered: self.tally.answered, underWay: underWay, isDone: underWay == 0 && self.isExhausted)
    }

    /// Nothing more will be sent: enough was, the time is up, or there is no connection to send on.
    private var isExhausted: Bool {
        guard let assignment else { return true }
        return assignment.sent >= assignment.requestsMax
            || NIODeadline.now().uptimeNanoseconds >= assignment.endsAt
            || self.reconnections > Self.reconnectionsMax * self.plan.window
    }

    // MARK: Connections

    func connect() {
        for number in 0..<self.plan.window {
            let connection = PostConnection(number: number, of: self)
            self.connections.append(connection)
            self.connect(connection)
        }
    }

    func close() {
        self.isClosed = true
        for connection in self.connections { connection.close() }
    }

    private func connect(_ connection: PostConnection) {
        let handler = NIOLoopBound(connection, eventLoop: self.loop)
        ClientBootstrap(group: self.loop)
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(handler.value) }
            }
            .connect(to: self.target.address)
            .assumeIsolated()
            .whenFailure { _ in self.lost(connection) }
    }

    func connected(_ connection: PostConnection) {
        guard !self.isClosed else { return connection.close() }
        self.idle.append(connection)
        self.sendMore()
    }

    func lost(_ connection: PostConnection) {
        self.idle.removeAll { $0 === connection }
        if self.requests[connection.number] != nil {
            self.requests[connection.number] = nil
            self.tally.unknown += 1
        }
        guard !self.isClosed else { return }
        self.tally.errors["connection lost", default: 0] += 1
        self.reconnections += 1
        guard self.reconnections <= Self.reconnectionsMax * self.plan.window else { return }
        self.loop.assumeIsolated().scheduleTask(in: Self.reconnectAfter) {
            if !self.isClosed { self.connect(connection) }
        }
    }

    // MARK: Requests

    /// Sends so much; what was counted until now does not count.
    ///
    /// - parameter rate: requests a second; 0: as many as the server takes.
    func start(_ amount: LoadPlan.Amount, rate: Double) {
        let now = NIODeadline.now().uptimeNanoseconds
        self.tally = PostTally(startedAt: now)
        switch amount {
        case .requests(let count):
            self.assignment = Assignment(startedAt: now, rate: rate, requestsMax: count, endsAt: .max)
        case .time(let time):
            let endsAt = now + UInt64(time.milliseconds) * 1_000_000
            self.assignment = Assignment(startedAt: now, rate: rate, requestsMax: .max, endsAt: endsAt)
        }
        self.sendMore()
    }

    private func sendMore() {
        let now = NIODeadline.now().uptimeNanoseconds
        while let assignment, now < assignment.endsAt, assignment.sent < assignment.requestsMax, !self.idle.isEmpty {
            var dueAt = now
            if assignment.rate > 0 {
                dueAt = assignment.startedAt + UInt64(Double(assignment.sent) / assignment.rate * 1e9)
                guard dueAt <= now else { return self.waitForSchedule(until: dueAt) }
            }
            self.assignment?.sent += 1
            self.tally.lag.record(nanoseconds: now - dueAt)
            self.send(on: self.idle.removeFirst())
        }
    }

    private func waitForSchedule(until time: UInt64) {
        guard !self.isWaitingForSchedule else { return }
        self.isWaitingForSchedule = true
        self.loop.assumeIsolated().scheduleTask(deadline: .uptimeNanoseconds(time)) {
            self.isWaitingForSchedule = false
            self.sendMore()
        }
    }

    private func send(on connection: PostConnection) {
        let room = self.nextRoom
        self.nextRoom = (room + 1) % self.plan.rooms
        let place = room * self.plan.window + connection.number
        let now = NIODeadline.now().uptimeNanoseconds
        let marker = Marker(
            run: self.run, publisher: UInt16(connection.number), sequence: self.sequences[place], sentAt: now)
        self.sequences[place] += 1
        self.requests[connection.number] = Request(room: room, sentAt: now)
        connection.send(self.templates[room].request(marker))
    }

    func answered(_ connection: PostConnection, _ head: ResponseHead) {
        guard let request = self.requests[connection.number] else { return }
        self.requests[connection.number] = nil
        let now = NIODeadline.now().uptimeNanoseconds
        self.tally.lastAnswerAt = now
        if (200..<300).contains(head.status) {
            self.posted[request.room] += 1
            self.tally.answered += 1
            self.tally.latency.record(nanoseconds: now - request.sentAt)
        } else {
            self.tally.errors["status \(head.status)", default: 0] += 1
            // A request that fails leaves nothing behind, so that its number is free.
            self.sequences[request.room * self.plan.window + connection.number] -= 1
            if let seconds = head.retryAfterSeconds, seconds > 0 {
                self.loop.assumeIsolated().scheduleTask(in: .seconds(Int64(seconds))) { self.rest(connection) }
                return
            }
        }
        self.rest(connection)
    }

    private func rest(_ connection: PostConnection) {
        guard connection.isActive, self.requests[connection.number] == nil else { return }
        self.idle.append(connection)
        self.sendMore()
    }
}

/// A request that differs from the next one only in its marker.
struct RequestTemplate: Sendable {
    private let bytes: ByteBuffer
    /// Where the marker is; `nil` for none.
    private let markerAt: Int?

    /// `POST /v1/rooms/{room}/messages`.
    ///
    /// - parameter size: bytes of the content, the marker included.
    init(postingTo room: String, size: Int, token: String, _ target: LoadTarget) {
        let content = String(repeating: "x", count: size)
        let body = "{\"content\":\"\(content)\"}"
        let head = target.head(
            "POST", "/v1/rooms/\(room)/messages", token: token,
            fields: ["Content-Type: application/json", "Content-Length: \(body.utf8.count)"])
        self.bytes = ByteBuffer(string: head + body)
        self.markerAt = head.utf8.count + body.utf8.count - size - 2
    }

    /// `GET /v1/rooms/{room}/messages`, a page of 50.
    init(readingPageOf room: String, token: String, _ target: LoadTarget) {
        self.bytes = ByteBuffer(string: target.head("GET", "/v1/rooms/\(room)/messages?limit=50", token: token))
        self.markerAt = nil
    }

    func request(_ marker: Marker) -> ByteBuffer {
        guard let markerAt else { return self.bytes }
        var request = self.bytes
        request.withUnsafeMutableReadableBytes { bytes in
            marker.write(to: UnsafeMutableRawBufferPointer(rebasing: bytes[markerAt...]))
        }
        return request
    }
}
