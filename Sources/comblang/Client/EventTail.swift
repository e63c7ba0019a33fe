import AsyncHTTPClient
import Core
import Foundation
import NIOCore
import NIOHTTP1

/// Follows an event stream (NDJSON) for ever: prints events, remembers the cursor, and comes back after whatever cuts
/// it off. What was printed is not printed again, and nothing is left out unless the server says so.
actor EventTail {
    /// What to follow and what to print of it.
    struct Request: Sendable {
        /// `/v1/events/stream`, or a room's or a call's.
        var path: String
        var types: String?
        var rooms: [String] = []
        /// Also prints `stream.*`.
        var printsControlEvents = false
    }

    /// Why a connection ended, and when to come back; `nil`: by backoff.
    private struct Ending: Sendable {
        let reason: String
        var retryAfter: Duration?
    }

    private let client: APIClient
    private let request: Request
    private let cursorFile: CursorFile?
    /// The last event printed, or where to begin; `nil`: from now on.
    private var cursor: String?
    private var savedCursor: String?
    private var backoff = Backoff()
    private let watch = SilenceWatch()

    /// - parameter cursor: where to begin; `earliest` for all that is kept; `nil`: from now on.
    init(client: APIClient, request: Request, cursorFile: CursorFile?, cursor: String?) {
        self.client = client
        self.request = request
        self.cursorFile = cursorFile
        self.cursor = cursor
        self.savedCursor = cursor
    }

    /// Returns only by throwing.
    ///
    /// - throws: ``CommandFailure`` for what trying again cannot mend: credentials, an unknown room, a closed stdout.
    func run() async throws -> Never {
        while true {
            let ending: Ending
            do {
                ending = try await self.readOneConnection()
            } catch let failure as CommandFailure {
                throw failure
            } catch is CancellationError where Task.isCancelled {
                throw CancellationError()
            } catch is SilenceWatch.ConnectionIsMute {
                ending = Ending(reason: "the connection is mute: no heartbeat came")
            } catch {
                ending = Ending(reason: self.client.unreachable(error).description)
            }
            let pause = ending.retryAfter ?? self.backoff.next()
            Terminal.note("\(ending.reason); trying again in \(pause.milliseconds) ms")
            try await Task.sleep(for: pause)
        }
    }

    private func readOneConnection() async throws -> Ending {
        var query = [(name: "format", value: String?("ndjson")), (name: "after", value: self.cursor)]
        query.append((name: "types", value: self.request.types))
        query += self.request.rooms.map { (name: "room", value: $0) }
        let request = self.client.request(.GET, self.request.path, query: query)
        // A client for each connection: one that is given up leaves nothing behind.
        return try await HTTPClient.withHTTPClient(configuration: self.client.configuration) { http in
            try await self.follow(try await http.execute(request, timeout: .seconds(30)))
        }
    }

    private func follow(_ response: HTTPClientResponse) async throws -> Ending {
        let status = Int(response.status.code)
        guard status == 200 else {
            let body = try await response.body.collect(upTo: APIClient.answerBytesMax)
            let failure = APIClient.failure(status: status, body: Data(body.readableBytesView))
            guard status == 429 || status >= 500 else { throw failure }
            let seconds = response.headers.first(name: "Retry-After").flatMap { Int($0) }
            return Ending(reason: failure.description, retryAfter: seconds.map { .seconds(min(max($0, 1), 60)) })
        }
        self.watch.heard()
        return try await withThrowingTaskGroup(of: Ending.self) { group in
            group.addTask { try await self.read(response.body) }
            group.addTask { [watch] in try await watch.run() }
            defer { group.cancelAll() }
            return try await group.next() ?? Ending(reason: "the connection ended")
        }
    }

    /// Reads until the stream ends.
    private func read(_ body: HTTPClientResponse.Body) async throws -> Ending {
        var reader = LineReader()
        for try await chunk in body {
            self.watch.heard()
            for line in try reader.lines(adding: chunk) {
                if let ending = try self.take(line) { return ending }
            }
            try self.saveCursor()
        }
        return Ending(reason: "the connection was cut")
    }

    /// Prints an event, or obeys the stream; an ending for `stream.end`.
    private func take(_ line: String) throws -> Ending? {
        guard !line.isEmpty else { return nil }
        guard let head = try? JSON.decode(EventHead.self, from: line) else {
            throw CommandFailure("\(self.client.baseURL) sent a line that is no event")
        }
        guard head.type.hasPrefix("stream.") else {
            try Terminal.write(line)
            // `typing` is not in the log and moves no cursor.
            if let id = head.id { self.cursor = id }
            return nil
        }
        if self.request.printsControlEvents { try Terminal.write(line) }
        let data = try? JSON.decode(ControlEvent.self, from: line).data
        switch head.type {
        case "stream.ready":
            self.backoff.reset()
            if let seconds = data?.heartbeatSeconds { self.watch.expectHeartbeat(every: .seconds(seconds)) }
            // Its cursor must not overtake what is still to come of the events behind ours.
            if self.cursor == nil { self.cursor = data?.cursor ?? head.id }
            Terminal.note("connected to \(self.client.baseURL), reading from \(self.cursor ?? "now")")
        case "stream.gap":
            let missed = data?.requested ?? self.cursor ?? "the beginning"
            Terminal.note("the log no longer reaches back to \(missed): events are missing")
            self.cursor = data?.cursor ?? head.id ?? self.cursor
        case "stream.heartbeat":
            self.cursor = data?.cursor ?? head.id ?? self.cursor
        case "stream.end":
            try self.saveCursor()
            return try self.ending(reason: data?.reason ?? "unknown", retryAfterMilliseconds: data?.retryAfterMs)
        default:
            break
        }
        return nil
    }

    private func ending(reason: String, retryAfterMilliseconds: Int64?) throws(CommandFailure) -> Ending {
        if reason == "revoked" || reason == "expired" {
            throw CommandFailure("the token is \(reason); sign in again to go on from \(self.cursor ?? "now")")
        }
        return Ending(
            reason: "the server ended the stream (\(Table.printable(reason)))",
            retryAfter: retryAfterMilliseconds.map { .milliseconds(min(max($0, 0), 60_000)) })
    }

    private func saveCursor() throws(CommandFailure) {
        guard let cursorFile, let cursor, cursor != self.savedCursor else { return }
        try cursorFile.save(cursor)
        self.savedCursor = cursor
    }
}

/// What every line has.
private struct EventHead: Decodable {
    let id: String?
    let type: String
}

/// What the lines of `stream.*` tell about the stream itself.
private struct ControlEvent: Decodable {
    struct Data: Decodable {
        let cursor: String?
        let requested: String?
        let heartbeatSeconds: Int?
        let reason: String?
        let retryAfterMs: Int64?
    }
    let data: Data
}
