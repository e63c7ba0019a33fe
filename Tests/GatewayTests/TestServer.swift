import Core
import Foundation
import Gateway
import HTTPTypes
import Hub
import Hummingbird
import HummingbirdTesting
import Logging
import NIOCore
import NIOPosix
import SQLiteStore
import Synchronization
import TestSupport
import Testing

/// A server on a real SQLite store in a directory of its own; its clock moves by hand.
struct TestServer: Sendable {
    let directory: String
    let store: SQLiteStore
    let clock: ManualClock
    let gateway: Gateway
    let tokens: AccessTokens
    let client: any TestClientProtocol
    let recorder: EventRecorder
    static let backupsKept = 2
    /// Makes a turn at ``turn(after:)`` only.
    private let calls: CallClock
    private let presence: Presence

    /// Runs `body` against a fresh server.
    ///
    /// - parameter setup: `.router` without sockets; `.ahc()` over real connections, so that requests run side by side.
    static func run(
        _ setup: TestingSetup = .router, settings: GatewaySettings = GatewaySettings(),
        hubSettings: HubSettings = HubSettings(), registration: Registration = .open,
        _ body: @escaping @Sendable (TestServer) async throws -> Void
    ) async throws {
        let directory = try TemporaryDirectory()
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let store = try SQLiteStore.open(directory: directory.path, logger: logger)
        let clock = ManualClock()
        let recorder = EventRecorder()
        _ = try await store.follow { recorder.record($0) }
        let ids = IDSource { UInt128.random(in: 0...UInt128.max) }
        let tokens = await AccessTokens(secret: Data(repeating: 7, count: 32))
        let hub = try await Hub.following(
            store, on: MultiThreadedEventLoopGroup.singleton, settings: hubSettings, time: clock, logger: logger)
        let backups = Backups(store: store, kept: Self.backupsKept, time: clock, logger: logger)
        let gateway = Gateway(
            store: store, hub: hub,
            authenticator: try await Authenticator(store: store, tokens: tokens, time: clock, logger: logger),
            signIn: SignIn(
                store: store, passwords: PasswordHasher(cost: .negligible), tokens: tokens, time: clock, ids: ids,
                registration: registration),
            backups: backups, time: clock, ids: ids, settings: settings, readiness: Readiness(), logger: logger)
        let app = Application(
            responder: gateway.buildResponder(), server: gateway.serverBuilder(idleTimeout: .seconds(60)),
            configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            services: [hub, backups], logger: logger)
        try await app.test(setup) { client in
            try await body(
                TestServer(
                    directory: directory.path, store: store, clock: clock, gateway: gateway, tokens: tokens,
                    client: client, recorder: recorder,
                    calls: CallClock(
                        hub: hub, ids: ids, startedAt: clock.now,
                        credentialsLifetime: settings.turn?.credentialsLifetime),
                    presence: Presence(registry: hub.registry, startedAt: clock.now)))
        }
        await store.close()
        withExtendedLifetime(directory) {}
    }

    /// One request.
    func send(
        _ method: HTTPRequest.Method, _ path: String, _ body: JSONValue? = nil, text: String? = nil,
        token: String? = nil, headers: HTTPFields = [:]
    ) async throws -> Reply {
        var headers = headers
        if let token { headers[.authorization] = "Bearer \(token)" }
        let bytes = try text ?? body.map { try JSON.text($0) }
        if bytes != nil, headers[.contentType] == nil { headers[.contentType] = "application/json" }
        let response = try await self.client.executeRequest(
            uri: path, method: method, headers: headers, body: bytes.map { ByteBuffer(string: $0) })
        return Reply(
            status: response.status.code, headers: response.headers, text: String(buffer: response.body))
    }

    /// Signs up; an account if there is a password.
    func signUp(_ username: String, password: String? = nil) async throws -> Person {
        var body: [String: JSONValue] = ["username": .string(username)]
        body["password"] = password.map { .string($0) }
        let reply = try await self.send(.post, "/v1/users", .object(body))
        try #require(reply.status == 201, "\(reply.text)")
        return try Person(server: self, signedIn: reply.json)
    }

    /// The server's own administrator.
    func admin() async throws -> Person {
        let (now, ids) = (self.clock.now, self.gateway.ids)
        let (user, session) = try await self.store.write { try $0.ensureAdmin(now: now, ids: ids) }
        let token = try await self.tokens.issue(for: user, session: session.id, now: now).token
        return Person(server: self, id: user.id.text, token: token, refreshToken: "")
    }

    /// An API key, made behind the server's back.
    ///
    /// - parameter user: `nil`: the administrator.
    func makeKey(_ scopes: [Scope], for user: UserID?, as name: String = "key") async throws -> String {
        let secret = SecretToken(.apiKey)
        let (now, ids) = (self.clock.now, self.gateway.ids)
        try await self.store.write { store in
            let found = try user.map { try store.user($0) } ?? store.user(username: User.adminUsername)
            guard let found else { throw Problem.notFound }
            let device = DeviceID(session: ids.next(at: now), label: nil)
            let own = scopes.filter { found.role == .admin || !$0.isForAdmins }
            let acting = Acting(user: found, device: device, now: now, ids: ids)
            let keys = try store.apiKeys(of: found.id)
            if keys.count == Limits.apiKeysPerUserMax { try store.deleteAPIKey(keys[0].id, as: acting) }
            _ = try store.makeAPIKey(NewAPIKey(name: name, scopes: own), hash: secret.hash, as: acting)
        }
        return secret.text
    }

    /// Time passes, then what is due in calls is done.
    func turn(after duration: Duration) async throws {
        self.clock.advance(by: duration)
        try await self.calls.sweep(self.store, now: self.clock.now)
    }

    /// Time passes, then who came and who went is logged.
    func turnOfPresence(after duration: Duration) async throws {
        self.clock.advance(by: duration)
        try await self.presence.sweep(self.store, now: self.clock.now)
    }

    /// What was logged since the start, internal events too, as it was logged.
    var log: [Event] { self.recorder.events }

    /// What the log holds now that a person may see, read from the database.
    func events(visibleTo person: Person) async throws -> [Event] {
        let user = UserID(known: person.id)
        return try await self.store.read { store in
            let rooms = try store.memberships(of: user).map { ($0.room, $0.joinedSeq) }
            let visibility = Visibility(
                user: user, device: DeviceID(known: "ses_none"), rooms: Dictionary(rooms) { first, _ in first })
            return try store.events(
                after: 0, through: store.logBounds().tail, visibility: visibility, scope: .user, filter: .everything,
                limit: 10_000, bytesMax: 100_000_000
            ).events
        }
    }
}

/// Keeps what the store committed.
final class EventRecorder: Sendable {
    private let storage = Mutex<[Event]>([])

    var events: [Event] { self.storage.withLock { $0 } }

    func record(_ changes: CommittedChanges) { self.storage.withLock { $0 += changes.events } }
}

/// What came back.
struct Reply: Sendable {
    let status: Int
    let headers: HTTPFields
    let text: String

    /// The body; an empty object if it is no JSON.
    var json: JSONValue { (try? JSON.decode(JSONValue.self, from: self.text)) ?? .object([:]) }
    /// The slug of a problem.
    var slug: String? { self.json["type"]?.stringValue.map { String($0.dropFirst("/problems/".count)) } }
    /// The first field that a 422 names.
    var field: String? { self.json["errors"]?.items.first?["field"]?.stringValue }
    var id: String { self.json["id"]?.stringValue ?? "" }
    var cursor: String? { self.headers[.eventCursor] }
    /// The body without what differs each time.
    var withoutInstance: JSONValue {
        guard case .object(var members) = self.json else { return self.json }
        members["instance"] = nil
        return .object(members)
    }
}

/// Somebody signed in.
struct Person: Sendable {
    let server: TestServer
    let id: String
    let token: String
    let refreshToken: String

    init(server: TestServer, id: String, token: String, refreshToken: String) {
        self.server = server
        self.id = id
        self.token = token
        self.refreshToken = refreshToken
    }

    init(server: TestServer, signedIn json: JSONValue) throws {
        self.init(
            server: server, id: try #require(json["user"]?["id"]?.stringValue),
            token: try #require(json["accessToken"]?.stringValue),
            refreshToken: try #require(json["refreshToken"]?.stringValue))
    }

    func get(_ path: String) async throws -> Reply { try await self.send(.get, path) }
    func post(_ path: String, _ body: JSONValue? = nil, key: String? = nil) async throws -> Reply {
        try await self.send(.post, path, body, headers: key.map { [.idempotencyKey: $0] } ?? [:])
    }
    func put(_ path: String, _ body: JSONValue? = nil) async throws -> Reply { try await self.send(.put, path, body) }
    func patch(_ path: String, _ body: JSONValue) async throws -> Reply { try await self.send(.patch, path, body) }
    func delete(_ path: String) async throws -> Reply { try await self.send(.delete, path) }

    func send(
        _ method: HTTPRequest.Method, _ path: String, _ body: JSONValue? = nil, headers: HTTPFields = [:]
    ) async throws -> Reply {
        try await self.server.send(method, path, body, token: self.token, headers: headers)
    }

    /// Makes a room and returns its id.
    func makeRoom(_ name: String?) async throws -> String {
        let reply = try await self.post("/v1/rooms", .object(["name": name.map { .string($0) } ?? .null]))
        try #require(reply.status == 201, "\(reply.text)")
        return reply.id
    }

    /// Says something and returns the message's id.
    func say(_ content: String, in room: String) async throws -> String {
        let reply = try await self.post("/v1/rooms/\(room)/messages", ["content": .string(content)])
        try #require(reply.status == 201, "\(reply.text)")
        return reply.id
    }

    func join(_ room: String) async throws {
        let reply = try await self.put("/v1/rooms/\(room)/members/me")
        try #require(reply.status == 201 || reply.status == 200, "\(reply.text)")
    }
}
