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

    @Test func aGoodbyeRightAfterArrivingIsToldTenSecondsAfterIt() async throws {
        let world = try await HubWorld()
        let presence = Presence(registry: world.hub.registry, startedAt: world.clock.now)
        let online = { (seconds: Int) in
            world.clock.advance(by: .seconds(seconds))
            try await presence.sweep(world.store, now: world.clock.now)
            return try await world.store.read { try $0.usersOnline() }
        }
        #expect(try await online(1) == [])
        var reader: HubWorld.Reader? = try await world.open(HubWorld.alice)
        #expect(try await online(1) == [HubWorld.alice.id])
        if let reader {
            world.hub.registry.saidGoodbye(reader.reservation)
            try await world.close(reader)
        }
        reader = nil
        #expect(try await online(9) == [HubWorld.alice.id])
        #expect(try await online(1) == [])
    }

    @Test func nobodyWaitsForWhoCameBackAfterARestartAndSaidGoodbye() async throws {
        let world = try await HubWorld()
        try await world.store.write { store in
            for user in [HubWorld.alice, HubWorld.bob] {
                try store.changePresence(of: user.id, to: true, now: .fixture)
            }
        }
        let presence = Presence(registry: world.hub.registry, startedAt: world.clock.now)
        try await presence.sweep(world.store, now: world.clock.now)
        var reader: HubWorld.Reader? = try await world.open(HubWorld.alice)
        if let reader {
            world.hub.registry.saidGoodbye(reader.reservation)
            try await world.close(reader)
        }
        reader = nil
        world.clock.advance(by: .seconds(1))
        try await presence.sweep(world.store, now: world.clock.now)
        #expect(try await world.store.read { try $0.usersOnline() } == [HubWorld.bob.id])
    }

    @Test func whoPolledWithoutWaitingIsThereForAGrace() async throws {
        let world = try await HubWorld()
        let registry = world.hub.registry
        let presence = Presence(registry: registry, startedAt: world.clock.now)
        let poll = try await world.admit(HubWorld.alice, transport: .poll).subscription
        let isOnline = { (seconds: Int) in
            world.clock.advance(by: .seconds(seconds))
            try await presence.sweep(world.store, now: world.clock.now)
            let online = try await world.store.read { try $0.usersOnline() }
            let isPresent = registry.isPresent(HubWorld.alice.id, grace: Presence.grace)
            #expect(isPresent == online.contains(HubWorld.alice.id))
            return isPresent
        }
        #expect(try await !isOnline(0))
        registry.polled(poll)
        #expect(try await isOnline(0))
        #expect(try await isOnline(44))
        registry.polled(poll)
        #expect(try await isOnline(44))
        // Another device's goodbye says nothing about what polls.
        var reader: HubWorld.Reader? = try await world.open(HubWorld.alice, device: "tab")
        registry.polled(poll)
        if let reader {
            registry.saidGoodbye(reader.reservation)
            try await world.close(reader)
        }
        reader = nil
        #expect(try await isOnline(44))
        #expect(try await !isOnline(2))
    }

    @Test func whoPolledALittleWhileAgoReadsByPollUnlessAStreamIsOpen() async throws {
        let world = try await HubWorld()
        let registry = world.hub.registry
        let device = HubWorld.device(of: HubWorld.alice)
        #expect(registry.transport(of: device) == nil)
        var waiting: Registry.Reservation? = try world.hub.reserve(
            try await world.admit(HubWorld.alice, transport: .poll).subscription, on: world.loop)
        #expect(waiting != nil && registry.transport(of: device) == .poll)
        world.clock.advance(by: .seconds(50))
        waiting = nil
        #expect(registry.transport(of: device) == .poll)
        var reader: HubWorld.Reader? = try await world.open(HubWorld.alice)
        #expect(registry.transport(of: device) == .ndjson)
        if let reader { try await world.close(reader) }
        reader = nil
        world.clock.advance(by: Limits.leaseHeld - .milliseconds(1))
        #expect(registry.transport(of: device) == .poll)
        world.clock.advance(by: .milliseconds(1))
        #expect(registry.transport(of: device) == nil)
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
