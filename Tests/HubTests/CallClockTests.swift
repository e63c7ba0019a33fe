import Core
import Hub
import NIOEmbedded
import TestSupport
import Testing

private typealias World = HubWorld

/// The service behind calls: rings, leases and signals by the clock, with real readers at the hub.
@Suite(.timeLimit(.minutes(1)))
struct CallClockTests {
    /// Alice calls, Bob joined; both from a device that asked when it did so.
    private struct Scene {
        let world: HubWorld
        let clock: CallClock
        let call: CallID
        private static let ids = IDSource.seeded(3)

        init(inviting: Bool = false) async throws {
            let world = try await World()
            self.world = world
            for user in [World.alice, World.bob] { try await world.join(user) }
            let (alice, bob) = (Self.acting(World.alice, world), Self.acting(World.bob, world))
            let new = NewCall(
                media: CallMedia(audio: true, video: true), invite: inviting ? [.id(World.bob.id)] : [],
                leaveTokenHash: "")
            self.call = try await world.store.write { store in
                try store.createCall(in: .id(World.lobby.id), new, as: alice).call.id
            }
            self.clock = CallClock(hub: world.hub, ids: Self.ids, startedAt: world.clock.now)
            world.hub.registry.asked(alice.device)
            guard !inviting else { return }
            let call = self.call
            try await world.store.write { store in
                _ = try store.joinCall(call, CallJoining(leaveTokenHash: ""), as: bob)
                let offer = try store.sendSignal(call, to: .id(World.alice.id), .offer(sdp: "v=0"), as: bob)
                _ = try store.sendSignal(call, to: .id(World.bob.id), .answer(sdp: "v=0", to: offer.id), as: alice)
            }
            world.hub.registry.asked(bob.device)
        }

        private static func acting(_ user: User, _ world: HubWorld) -> Acting {
            Acting(user: user, device: World.device(of: user), now: world.clock.now, ids: Self.ids)
        }

        /// Second by second, with a turn of the clock in each.
        func pass(_ seconds: Int, eachSecond body: () async throws -> Void = {}) async throws {
            for _ in 0..<seconds {
                self.world.clock.advance(by: .seconds(1))
                try await body()
                try await self.clock.sweep(self.world.store, now: self.world.clock.now)
            }
        }

        func ask(_ user: User) { self.world.hub.registry.asked(World.device(of: user)) }

        func states() async throws -> [ParticipantState] {
            let call = self.call
            return try await self.world.store.read { try $0.callRows(call)?.participants.map(\.state) ?? [] }
        }

        func endReason() async throws -> CallEndReason? {
            let call = self.call
            return try await self.world.store.read { try $0.callRows(call)?.call.endReason }
        }
    }

    @Test func ringThatNobodyAnswersEndsAtItsTime() async throws {
        let scene = try await Scene(inviting: true)
        try await scene.pass(59)
        #expect(try await scene.endReason() == nil)
        try await scene.pass(1)
        #expect(try await scene.endReason() == .missed)
    }

    @Test func devicesThatKeepAskingAreNotLost() async throws {
        let scene = try await Scene()
        var second = 0
        try await scene.pass(600) {
            second += 1
            if second % 70 == 0 { for user in [World.alice, World.bob] { scene.ask(user) } }
        }
        #expect(try await scene.states() == [.joined, .joined])
    }

    @Test func deviceThatIsGoneIsLostAfterItsLeaseAndItsGrace() async throws {
        let scene = try await Scene()
        try await scene.pass(74) { scene.ask(World.alice) }
        #expect(try await scene.states() == [.joined, .joined])
        try await scene.pass(1) { scene.ask(World.alice) }
        #expect(try await scene.states() == [.left, .lost])
        #expect(try await scene.endReason() == .lost)
    }

    @Test func deviceWhoseStreamWasTornIsLostAfterTheGrace() async throws {
        let scene = try await Scene()
        var reader: World.Reader? = try await scene.world.open(World.bob)
        // Streams of joined devices that ask for nothing rotate; this one asks now and then.
        try await scene.pass(200) { [World.alice, World.bob].forEach(scene.ask) }
        try await scene.pass(50) { scene.ask(World.alice) }
        if let reader { try await scene.world.close(reader) }
        reader = nil
        try await scene.pass(29) { scene.ask(World.alice) }
        #expect(try await scene.states() == [.joined, .joined])
        try await scene.pass(1) { scene.ask(World.alice) }
        #expect(try await scene.states() == [.left, .lost])
    }

    @Test func silentStreamOfAJoinedDeviceRotatesAndItsReaderThatComesBackIsNotLost() async throws {
        let scene = try await Scene()
        let stream = { try await scene.world.open(World.bob) }
        scene.ask(World.bob)
        var reader: World.Reader? = try await stream()
        try await scene.pass(59) { scene.ask(World.alice) }
        #expect(reader?.sink.types.contains("stream.end") == false)
        var rotations = 0
        try await scene.pass(600) {
            scene.ask(World.alice)
            await scene.world.loop.run()
            guard reader?.sink.types.last == "stream.end" else { return }
            #expect(reader?.sink.frames.last?.data["reason"] == .string("rotate"))
            rotations += 1
            reader = nil
            scene.ask(World.bob)
            reader = try await stream()
        }
        #expect(try await scene.states() == [.joined, .joined])
        #expect((9...11).contains(rotations), "once a minute")
        if let reader { try await scene.world.close(reader) }
    }

    @Test func streamOfADeviceThatIsInNoCallIsLeftAlone() async throws {
        let scene = try await Scene()
        let reader = try await scene.world.open(World.bob, device: "elsewhere")
        try await scene.pass(70) { [World.alice, World.bob].forEach(scene.ask) }
        await scene.world.loop.run()
        #expect(!reader.sink.types.contains("stream.end"))
        try await scene.world.close(reader)
    }

    @Test func readerThatProxiesKeepOpenForADeadPeerDoesNotHoldItsPlace() async throws {
        let scene = try await Scene()
        var reader: World.Reader? = try await scene.world.open(World.bob)
        try await scene.pass(61) {
            scene.ask(World.alice)
            await scene.world.loop.run()
            if reader?.sink.types.last == "stream.end" { reader = nil }
        }
        #expect(reader == nil, "rotated, and nobody came back")
        try await scene.pass(30) { scene.ask(World.alice) }
        #expect(try await scene.states() == [.left, .lost])
    }

    @Test func afterARestartEveryLeaseStartsWhole() async throws {
        let scene = try await Scene()
        try await scene.pass(70) { scene.ask(World.alice) }
        // Another process, which has heard of nobody, takes over the rows.
        let hub = try await Hub.following(
            scene.world.store, on: scene.world.loop, settings: HubSettings(), time: scene.world.clock,
            logger: scene.world.quiet)
        let restarted = CallClock(hub: hub, ids: .seeded(4), startedAt: scene.world.clock.now)
        for _ in 0..<74 {
            scene.world.clock.advance(by: .seconds(1))
            try await restarted.sweep(scene.world.store, now: scene.world.clock.now)
        }
        #expect(try await scene.states() == [.joined, .joined])
        scene.world.clock.advance(by: .seconds(1))
        try await restarted.sweep(scene.world.store, now: scene.world.clock.now)
        #expect(try await scene.endReason() == .lost)
    }

    @Test func wireOfADeviceThatChangedItIsInTheRecord() async throws {
        let scene = try await Scene()
        let reader = try await scene.world.open(World.bob)
        try await scene.pass(61) { [World.alice, World.bob].forEach(scene.ask) }
        let call = scene.call
        let rows = try await scene.world.store.read { try $0.callRows(call) }
        #expect(rows?.participants.map(\.transport) == [nil, .ndjson])
        #expect(rows?.legs.map(\.transport) == [nil, .ndjson])
        try await scene.world.close(reader)
    }

    @Test func deliveredSignalsStayAndOthersExpire() async throws {
        let scene = try await Scene()
        let reader = try await scene.world.open(World.alice, from: World.after(0))
        try await scene.world.settle { reader.sink.types.contains("signal") }
        try await scene.pass(75) { [World.alice, World.bob].forEach(scene.ask) }
        let (kept, told) = try await scene.world.store.read { store in
            let tail = try store.logBounds().tail
            let seen = { (user: User) in
                try store.events(
                    after: 0, through: tail,
                    visibility: Visibility(user: user.id, device: World.device(of: user), rooms: [:]), scope: .user,
                    filter: .everything, limit: 100, bytesMax: 1 << 20
                ).events.map(\.type)
            }
            return (try seen(World.bob), try seen(World.alice))
        }
        // Alice read Bob's offer; nobody read her answer to Bob.
        #expect(!kept.contains(.signal) && told.contains(.signal) && told.contains(.signalExpired))
        try await scene.world.close(reader)
    }
}
