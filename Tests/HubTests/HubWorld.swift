import Core
import Hub
import Logging
import NIOCore
import NIOEmbedded
import TestSupport
import Testing

/// A hub with one event loop, a store and a clock, all moved by the test.
///
/// Writes commit at once; the hub hears of them at ``tick(commits:)``.
final class HubWorld: Sendable {
    let loop = NIOAsyncTestingEventLoop()
    let store = HeldStore()
    let clock = ManualClock()
    let hub: Hub
    let quiet = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

    static let alice = User.fixture("alice")
    static let bob = User.fixture("bob")
    static let carol = User.fixture("carol")
    static let lobby = Room.fixture("lobby", id: .fixture(1), createdBy: alice.id)
    static let den = Room.fixture("den", id: .fixture(2), createdBy: alice.id)

    /// Alice, Bob and Carol, a lobby and a den, and nobody in them.
    init(_ settings: HubSettings = HubSettings()) async throws {
        self.hub = try await Hub.following(
            self.store, on: self.loop, settings: settings, time: self.clock, logger: self.quiet)
        try await self.store.write { store in
            for user in [Self.alice, Self.bob, Self.carol] { try store.insert(user) }
            for room in [Self.lobby, Self.den] { try store.insert(room) }
        }
    }

    static func device(of user: User, _ label: String? = nil) -> DeviceID {
        DeviceID(session: SessionID(known: "ses_" + user.id.text.dropFirst(UserID.prefix.count)), label: label)
    }

    // MARK: Writes

    @discardableResult
    func append(_ draft: EventDraft) async throws -> Int64 { try await self.store.write { try $0.append(draft) } }

    /// A `message.created` in the room; returns its seq.
    @discardableResult
    func post(_ content: String = "halo", to room: Room = lobby) async throws -> Int64 {
        try await self.append(
            EventDraft(
                .messageCreated, to: [.room(room.id)], room: room.id, at: .fixture,
                data: JSON.text(["content": content])))
    }

    @discardableResult
    func join(_ user: User, _ room: Room = lobby) async throws -> Int64 {
        try await self.store.write { store in
            try store.insert(.fixture(user.id, of: room.id, joinedSeq: store.nextSeq))
            return try store.append(Self.membershipEvent(.memberJoined, user, room))
        }
    }

    @discardableResult
    func leave(_ user: User, _ room: Room = lobby) async throws -> Int64 {
        try await self.store.write { store in
            if let member = try store.member(user.id, of: room.id) { try store.delete(member) }
            return try store.append(Self.membershipEvent(.memberLeft, user, room))
        }
    }

    private static func membershipEvent(_ type: EventType, _ user: User, _ room: Room) -> EventDraft {
        EventDraft(type, to: [.room(room.id), .user(user.id)], room: room.id, at: .fixture, data: "{}")
    }

    // MARK: The hub's loop

    /// The hub hears of the commits it does not know yet, all in one tick of its loop.
    func tick(commits count: Int = .max) async throws {
        try await self.onLoop { self.store.tellCommits(count) }
        await self.loop.run()
    }

    /// Ticks and lets reads go until `condition` holds; gives up after many rounds, and the test's expectation fails.
    func settle(until condition: () -> Bool) async throws {
        for _ in 0..<20_000 {
            self.store.releaseReads()
            try await self.tick()
            if condition() { return }
            await Task.yield()
        }
    }

    func onLoop<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
        try await self.loop.executeInContext(body)
    }

    /// Runs `body` while the hub's once-a-second task runs, with ``secondsPass(_:)`` to move the time.
    func whileRunning(_ body: () async throws -> Void) async throws {
        let running = Task { try await self.hub.run() }
        // The task is there when a probe gets a heartbeat: its own second of the fifteen is made the present one.
        let probe = try await self.open(HubWorld.carol, device: "probe")
        while self.clock.now.milliseconds / 1000 % 15 != Int64(probe.reservation.id) % 15 {
            self.clock.advance(by: .seconds(1))
        }
        while !probe.sink.types.contains("stream.heartbeat"), !Task.isCancelled {
            await self.loop.advanceTime(by: .seconds(1))
            await Task.yield()
        }
        try await self.close(probe)
        do { try await body() } catch {
            running.cancel()
            throw error
        }
        running.cancel()
        _ = await running.result
    }

    func secondsPass(_ seconds: Int) async {
        for _ in 0..<seconds {
            self.clock.advance(by: .seconds(1))
            await self.loop.advanceTime(by: .seconds(1))
        }
    }

    // MARK: Readers

    /// One open stream.
    struct Reader: Sendable {
        let admission: Admission
        let reservation: Registry.Reservation
        let sink: FakeSink

        var seqs: [Int64] { self.sink.seqs }
    }

    func admit(
        _ user: User, device label: String? = nil, scope: EventScope = .user, filter: EventFilter = .everything,
        from start: StartPosition = .tail, transport: Transport = .ndjson, expiresAt: Timestamp? = nil,
        ticket: String? = nil
    ) async throws -> Admission {
        let subscription = Subscription(
            user: user.id, device: Self.device(of: user, label), scope: scope, filter: filter, transport: transport,
            expiresAt: expiresAt, ticket: ticket)
        return try await self.store.look { try $0.admit(subscription, from: start) }
    }

    /// Begins the stream that was admitted; `nil` if the admission is too old.
    func begin(_ admission: Admission, sink: FakeSink = FakeSink()) async throws -> Reader? {
        let reservation = try self.hub.reserve(admission.subscription, on: self.loop)
        let began = try await self.onLoop {
            self.hub.begin(admission, reservation, wire: .lines, sink: sink, on: self.loop)
        }
        return began ? Reader(admission: admission, reservation: reservation, sink: sink) : nil
    }

    func open(
        _ user: User, device label: String? = nil, scope: EventScope = .user, filter: EventFilter = .everything,
        from start: StartPosition = .tail, sink: FakeSink = FakeSink(), expiresAt: Timestamp? = nil,
        ticket: String? = nil
    ) async throws -> Reader {
        let admission = try await self.admit(
            user, device: label, scope: scope, filter: filter, from: start, expiresAt: expiresAt, ticket: ticket)
        return try #require(try await self.begin(admission, sink: sink))
    }

    func close(_ reader: Reader) async throws {
        try await self.onLoop { self.hub.close(reader.reservation, on: self.loop) }
    }

    /// The reader's connection takes more again, as much as `window`.
    func becomeWritable(_ reader: Reader, window: Int? = nil) async throws {
        reader.sink.update { ($0.isWritable, $0.window) = (true, window) }
        try await self.onLoop { self.hub.becameWritable(reader.reservation, on: self.loop) }
    }

    static func after(_ seq: Int64, epoch: String = "test") -> StartPosition {
        .cursor(Cursor(epoch: epoch, seq: seq))
    }
}
