import Bridge
import Core
import Hub
import Logging
import NIOPosix
import Synchronization
import TestSupport

/// A server's bridges at work over real sockets, without the rest of the server: a store, a hub and their service.
struct BridgeWorld: Sendable {
    static let name = BridgeName(known: "durable")

    let store = MemoryStore()
    let statuses = BridgeStatuses()
    let log = LogRecord()
    let room = Room.fixture("lobby", createdBy: User.fixture("ani").id)
    let ani = User.fixture("ani")
    let budi = User.fixture("budi")
    let ids = IDSource.seeded(7)

    /// Short, so that a test sees many attempts.
    static var settings: BridgeSettings {
        var settings = BridgeSettings()
        settings.session.retryMin = .milliseconds(5)
        settings.session.retryMax = .milliseconds(40)
        settings.session.stableAfter = .milliseconds(50)
        settings.outboxFlushEvery = .milliseconds(5)
        return settings
    }

    /// Runs `body` while the bridges' service runs.
    static func run(
        _ settings: BridgeSettings = settings, _ body: (BridgeWorld) async throws -> Void
    ) async throws {
        let world = BridgeWorld()
        let (room, users) = (world.room, [world.ani, world.budi])
        try await world.store.write { store in
            for user in users { try store.insert(user) }
            try store.insert(room)
            for user in users { try store.insert(Member.fixture(user.id, of: room.id)) }
        }
        let logger = Logger(label: "bridge") { _ in LogRecord.Handler(record: world.log) }
        let group = MultiThreadedEventLoopGroup.singleton
        let hub = try await Hub.following(
            world.store, on: group, settings: HubSettings(), time: SystemTime(), logger: logger)
        let service = BridgeService(
            store: world.store, hub: hub, statuses: world.statuses, on: group, time: SystemTime(), ids: world.ids,
            settings: settings, logger: logger)
        let running = Task { try await service.run() }
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(try await body(world))
        } catch {
            outcome = .failure(error)
        }
        running.cancel()
        try await running.value
        try outcome.get()
    }

    // MARK: What admins and users do

    func bridge(to remote: RemoteActor, _ change: (inout BridgeTarget) -> Void = { _ in }) async throws {
        var target = Self.target(remote)
        change(&target)
        let new = NewBridge(name: Self.name.text, room: .id(self.room.id), target: target)
        try await self.store.write { _ = try $0.createBridge(new, by: nil, now: SystemTime().now) }
    }

    static func target(_ remote: RemoteActor) -> BridgeTarget {
        BridgeTarget(url: "ws://127.0.0.1:\(remote.port)/ws/{room}?username={username}", remoteRoom: "kamar")
    }

    func pause(_ isPaused: Bool) async throws {
        let ids = self.ids
        try await self.store.write { store in
            let bridge = try store.bridge(named: Self.name.text)
            _ = try store.pauseBridge(bridge, isPaused, by: nil, now: SystemTime().now, ids: ids)
        }
    }

    func lead(to remote: RemoteActor) async throws {
        let target = Self.target(remote)
        try await self.store.write { store in
            try store.retargetBridge(store.bridge(named: Self.name.text), to: target, now: SystemTime().now)
        }
    }

    func remove() async throws {
        let ids = self.ids
        try await self.store.write { store in
            try store.deleteBridge(store.bridge(named: Self.name.text), by: nil, now: SystemTime().now, ids: ids)
        }
    }

    func say(_ content: String, as user: User) async throws {
        let device = DeviceID(session: SessionID(known: "ses_\(user.displayName)"), label: nil)
        let (room, ids) = (self.room, self.ids)
        try await self.store.write { store in
            let acting = Acting(user: user, device: device, now: SystemTime().now, ids: ids)
            _ = try store.postMessage(NewMessage(content: content), in: .id(room.id), as: acting)
        }
    }

    // MARK: What is seen

    var status: BridgeStatus? { self.statuses[Self.name] }
    var isLive: Bool { self.status?.state == .live }

    func waitingCount() async throws -> Int { try await self.store.read { try $0.outboxCount(of: Self.name) } }

    /// Contents of the room's messages, oldest first.
    func heard() async throws -> [String] {
        let room = self.room.id
        return try await self.store.read { store in
            try store.messages(MessageQuery(room: room, limit: .max)).map(\.message).sorted { $0.seq < $1.seq }
                .map(\.content)
        }
    }
}

/// Asks until `condition` holds; the suite's time limit ends a test in which it never does.
func until(_ condition: () async throws -> Bool) async throws {
    while try await !condition() { try await Task.sleep(for: .milliseconds(5)) }
}

/// All that was logged, at every level.
final class LogRecord: Sendable {
    private let lines = Mutex<[String]>([])

    var text: String { self.lines.withLock { $0.joined(separator: "\n") } }

    struct Handler: LogHandler {
        let record: LogRecord
        var metadata = Logger.Metadata()
        var logLevel = Logger.Level.trace

        init(record: LogRecord) { self.record = record }

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { self.metadata[key] }
            set { self.metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let all = self.metadata.merging(event.metadata ?? [:]) { $1 }
            self.record.lines.withLock { $0.append("\(event.level) \(event.message) \(all)") }
        }
    }
}
