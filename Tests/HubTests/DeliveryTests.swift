import Core
import Hub
import TestSupport
import Testing

private typealias World = HubWorld

/// Which signals count as delivered: what was written to a reader of their device, and nothing else.
@Suite(.timeLimit(.minutes(1)))
struct DeliveryTests {
    private static func signal(_ number: Int, to user: User, device: String? = nil) -> EventDraft {
        EventDraft(
            .signal, to: [.device(World.device(of: user, device))], room: World.lobby.id, call: .fixture(1),
            at: .fixture, data: "{}", signal: .fixture(number))
    }

    @Test func whatALiveReaderIsWrittenIsDelivered() async throws {
        let world = try await World()
        let reader = try await world.open(World.alice)
        let signal = try await world.append(Self.signal(1, to: World.alice))
        let elsewhere = try await world.append(Self.signal(2, to: World.alice, device: "tab"))
        try await world.post()
        try await world.tick()
        #expect(reader.seqs == [signal])
        let delivered = world.hub.deliveries.take()
        #expect(delivered == [signal] && !delivered.contains(elsewhere))
        #expect(world.hub.deliveries.take() == [])
    }

    @Test func whatAFilterKeepsBackIsNotDelivered() async throws {
        let world = try await World()
        let filter = EventFilter(types: [EventFilter.TypePattern("call.*")].compactMap(\.self), rooms: nil)
        _ = try await world.open(World.alice, filter: filter)
        try await world.append(Self.signal(1, to: World.alice))
        try await world.tick()
        #expect(world.hub.deliveries.take() == [])
    }

    @Test func readerThatIsFullGetsItsSignalLaterAndOnlyThenIsItDelivered() async throws {
        let world = try await World()
        let sink = FakeSink()
        let reader = try await world.open(World.alice, sink: sink)
        sink.update { $0.isWritable = false }
        let signal = try await world.append(Self.signal(1, to: World.alice))
        try await world.tick()
        #expect(world.hub.deliveries.take() == [])
        try await world.becomeWritable(reader)
        #expect(reader.seqs == [signal])
        #expect(world.hub.deliveries.take() == [signal])
    }

    @Test func whatIsReadFromTheDatabaseIsDelivered() async throws {
        var settings = HubSettings()
        settings.recentEventsMax = 1
        let world = try await World(settings)
        let signal = try await world.append(Self.signal(1, to: World.alice))
        for _ in 1...3 { try await world.append(Self.signal(2, to: World.bob)) }
        try await world.tick()
        let reader = try await world.open(World.alice, from: World.after(0))
        try await world.settle { reader.seqs == [signal] }
        #expect(world.hub.deliveries.take() == [signal])
    }

    @Test func liveIsAReaderOfTheDeviceWhoseScopeAndFilterLetTheSignalThrough() async throws {
        let world = try await World()
        let event = Self.signal(1, to: World.alice).event(seq: 9)
        let device = World.device(of: World.alice)
        let only = { (pattern: String) in
            EventFilter(types: [EventFilter.TypePattern(pattern)].compactMap(\.self), rooms: nil)
        }
        let readers = [
            try await world.open(World.alice, filter: only("call.*")),
            try await world.open(World.alice, device: "tab"), try await world.open(World.bob),
        ]
        #expect(world.hub.registry.readerCount(of: device, for: event) == 0)
        #expect(world.hub.registry.readerCount(of: device) == 1)
        let reader = try await world.open(World.alice, filter: only("signal"))
        #expect(world.hub.registry.readerCount(of: device, for: event) == 1)
        for reader in readers + [reader] { try await world.close(reader) }
    }

    @Test func whatCouldNotBeStoredIsTakenAgain() {
        let deliveries = Deliveries()
        deliveries.putBack([3, 1])
        #expect(Set(deliveries.take()) == [1, 3])
    }
}
