import Core
import Hub
import TestSupport
import Testing

/// What is done again and again, moved by a clock.
struct SweepTests {
    @Test func presenceChangesAtMostOnceInTenSeconds() async throws {
        let world = try await HubWorld()
        let presence = Presence(registry: world.hub.registry, startedAt: world.clock.now)
        let online = {
            try await presence.sweep(world.store, now: world.clock.now)
            return try await world.store.read { try $0.usersOnline() }
        }
        var reader: HubWorld.Reader? = try await world.open(HubWorld.alice)
        #expect(try await online() == [HubWorld.alice.id])

        // The place is given back with the last reference to it.
        if let reader { try await world.close(reader) }
        reader = nil
        world.clock.advance(by: .seconds(46))
        #expect(try await online() == [])

        // Back at once: it is said, but not within the ten seconds.
        reader = try await world.open(HubWorld.alice)
        world.clock.advance(by: .seconds(9))
        #expect(try await online() == [])
        world.clock.advance(by: .seconds(2))
        #expect(try await online() == [HubWorld.alice.id])
        if let reader { try await world.close(reader) }
    }

    @Test func thoseWhoWereOnlineGetTimeToComeBackAfterARestart() async throws {
        let world = try await HubWorld()
        try await world.store.write { try $0.changePresence(of: HubWorld.alice.id, to: true, now: .fixture) }
        let presence = Presence(registry: world.hub.registry, startedAt: world.clock.now)
        world.clock.advance(by: .seconds(44))
        try await presence.sweep(world.store, now: world.clock.now)
        let meanwhile = try await world.store.read { try $0.usersOnline() }
        world.clock.advance(by: .seconds(2))
        try await presence.sweep(world.store, now: world.clock.now)
        let afterwards = try await world.store.read { try $0.usersOnline() }
        #expect(meanwhile == [HubWorld.alice.id] && afterwards.isEmpty)
    }

    @Test func retentionKeepsTheNewestEventsAndThoseOfItsAge() async throws {
        let world = try await HubWorld()
        for _ in 1...10 { try await world.post() }
        var retention = Retention()
        retention.eventsMax = 3
        retention.batchMax = 2
        try await retention.sweep(world.store, now: .fixture)
        let trimmedThrough = try await world.store.read { try $0.logBounds().trimmedThrough }
        #expect(trimmedThrough == 7)

        retention.age = .seconds(60)
        try await retention.sweep(world.store, now: Timestamp.fixture.advanced(by: .seconds(61)))
        let bounds = try await world.store.read { try $0.logBounds() }
        #expect(bounds.trimmedThrough == 10 && bounds.tail == 10)
    }
}
