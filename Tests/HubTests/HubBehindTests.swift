import Core
import Hub
import NIOCore
import NIOEmbedded
import TestSupport
import Testing

private typealias World = HubWorld

/// Readers that cannot keep up, and the once-a-second duties.
@Suite(.timeLimit(.minutes(1)))
struct HubBehindTests {
    private static func settings(_ change: (inout HubSettings) -> Void) -> HubSettings {
        var settings = HubSettings()
        change(&settings)
        return settings
    }

    @Test func nothingIsWrittenToAFullConnectionAndAllOfItLater() async throws {
        let world = try await World()
        try await world.join(World.alice)
        try await world.join(World.bob)
        try await world.tick()
        let slow = try await world.open(World.alice)
        let fast = try await world.open(World.bob)
        slow.sink.update { $0.isWritable = false }
        var seqs: [Int64] = []
        for _ in 0..<20 {
            seqs.append(try await world.post())
            try await world.tick()
        }
        #expect(fast.seqs == seqs)
        #expect(slow.sink.types == ["stream.ready"])
        try await world.becomeWritable(slow)
        #expect(slow.seqs == seqs)
        seqs.append(try await world.post())
        try await world.tick()
        #expect(slow.seqs == seqs)
        #expect(world.store.readCount == 0, "memory was enough")
    }

    @Test func catchingUpStopsWhenTheConnectionIsFullAgain() async throws {
        let world = try await World(Self.settings { $0.catchUpBytesMax = 200 })
        try await world.join(World.alice)
        try await world.tick()
        let reader = try await world.open(World.alice)
        reader.sink.update { $0.isWritable = false }
        var seqs: [Int64] = []
        for _ in 0..<30 { seqs.append(try await world.post()) }
        try await world.tick()
        var rounds = 0
        while reader.seqs.count < seqs.count, rounds < 100 {
            try await world.becomeWritable(reader, window: 300)
            rounds += 1
        }
        #expect(reader.seqs == seqs)
        #expect(rounds > 3)
        #expect(reader.sink.writesWhenFull == 0)
    }

    @Test func beyondMemoryTheDatabaseIsAskedAPageAtATime() async throws {
        let world = try await World(
            Self.settings {
                $0.recentEventsMax = 4
                $0.catchUpEventsMax = 3
            })
        try await world.join(World.alice)
        try await world.tick()
        let reader = try await world.open(World.alice)
        reader.sink.update { $0.isWritable = false }
        var seqs: [Int64] = []
        for _ in 0..<20 { seqs.append(try await world.post()) }
        try await world.tick()
        try await world.becomeWritable(reader)
        try await world.settle { reader.seqs.count >= seqs.count }
        #expect(reader.seqs == seqs)
        #expect(world.store.readCount >= 5)
        seqs.append(try await world.post())
        try await world.tick()
        #expect(reader.seqs == seqs, "and it is live again")
    }

    @Test func aRoomLeftWhileTheDatabaseAnswersIsNotShown() async throws {
        let world = try await World(Self.settings { $0.recentEventsMax = 2 })
        try await world.join(World.alice)
        for _ in 0..<10 { try await world.post() }
        try await world.tick()
        world.store.holdReads()
        let reader = try await world.open(World.alice, from: World.after(1))
        while world.store.readCount == 0, !Task.isCancelled { await Task.yield() }
        let left = try await world.leave(World.alice)
        try await world.tick()
        try await world.settle { reader.seqs.contains(left) }
        #expect(reader.seqs == [left])
    }

    @Test func aReaderThatRetentionOvertookIsToldOfTheGap() async throws {
        let world = try await World(Self.settings { $0.recentEventsMax = 2 })
        try await world.join(World.alice)
        try await world.tick()
        let reader = try await world.open(World.alice)
        reader.sink.update { $0.isWritable = false }
        for _ in 0..<20 { try await world.post() }
        try await world.tick()
        _ = try await world.store.write { try $0.trimEvents(through: 10, limit: 100) }
        try await world.becomeWritable(reader)
        try await world.settle { reader.sink.types.contains("stream.gap") }
        let gap = try #require(reader.sink.frames.last)
        #expect(gap.type == "stream.gap")
        #expect(gap.data["requested"] == .string("test.1") && gap.data["cursor"] == .string("test.21"))
        let seq = try await world.post()
        try await world.tick()
        #expect(reader.seqs == [seq])
    }

    @Test func anAdmissionOlderThanMemoryMustBeAskedAgain() async throws {
        let world = try await World(Self.settings { $0.recentEventsMax = 2 })
        try await world.join(World.alice)
        try await world.tick()
        let admission = try await world.admit(World.alice)
        for _ in 0..<5 { try await world.post() }
        try await world.tick()
        let sink = FakeSink()
        #expect(try await world.begin(admission, sink: sink) == nil)
        #expect(sink.writes.isEmpty)
        #expect(world.hub.registry.readerCount == 0)
    }

    // MARK: Once a second

    @Test func aReaderWithoutProgressIsCutAfterFiveSeconds() async throws {
        let world = try await World()
        try await world.whileRunning {
            let stalled = try await world.open(World.alice, device: "stalled")
            let slow = try await world.open(World.alice, device: "slow")
            for reader in [stalled, slow] {
                reader.sink.update { ($0.isWritable, $0.pendingBytes) = (false, 1000) }
            }
            await world.secondsPass(5)
            #expect(!stalled.sink.isFinished)
            for _ in 0..<5 {
                slow.sink.update { $0.takenBytes += 1 }
                await world.secondsPass(1)
            }
            #expect(stalled.sink.frames.last?.data["reason"] == .string("slow"))
            #expect(stalled.sink.isFinished && !slow.sink.isFinished)
        }
    }

    @Test func heartbeatsComeEveryFifteenSecondsToThoseWhoAreNotBehind() async throws {
        let world = try await World()
        try await world.join(World.alice)
        try await world.tick()
        try await world.whileRunning {
            let reader = try await world.open(World.alice, device: "live")
            let behind = try await world.open(World.alice, device: "behind")
            behind.sink.update { $0.isWritable = false }
            try await world.post()
            try await world.tick()
            await world.secondsPass(60)
            let heartbeats = reader.sink.frames.filter { $0.type == "stream.heartbeat" }
            #expect(heartbeats.count == 4)
            #expect(heartbeats.last?.id == "test.2" && heartbeats.last?.data["cursor"] == .string("test.2"))
            #expect(behind.sink.types == ["stream.ready"])
        }
    }

    /// The newest event of a commit may be deleted by the same commit; then the log's tail is ahead of all events.
    @Test func heartbeatsGoOnBehindAHoleAtTheTail() async throws {
        let world = try await World()
        try await world.whileRunning {
            try await world.store.write { store in
                try store.append(
                    EventDraft(.signal, to: [.user(World.alice.id)], at: .fixture, data: "{}", signal: .fixture(1)))
                try store.deleteEvents(of: [.fixture(1)])
            }
            try await world.tick()
            let reader = try await world.open(World.alice)
            await world.secondsPass(15)
            #expect(reader.sink.frames.last?.type == "stream.heartbeat")
            #expect(reader.sink.frames.last?.id == "test.1")
        }
    }

    @Test func streamsRotateAndExpire() async throws {
        let world = try await World(Self.settings { $0.rotateAfter = .seconds(100) })
        try await world.whileRunning {
            let rotating = try await world.open(World.alice, device: "rotating")
            let expiring = try await world.open(
                World.alice, device: "expiring", expiresAt: world.clock.now.advanced(by: .seconds(30)))
            await world.secondsPass(29)
            #expect(!expiring.sink.isFinished)
            await world.secondsPass(1)
            #expect(expiring.sink.frames.last?.data["reason"] == .string("expired"))
            await world.secondsPass(59)
            #expect(!rotating.sink.isFinished, "ten percent of jitter")
            await world.secondsPass(22)
            let end = try #require(rotating.sink.frames.last)
            #expect(end.type == "stream.end" && end.data["reason"] == .string("rotate"))
            guard case .integer(let retryAfter)? = end.data["retryAfterMs"] else {
                Issue.record("no retryAfterMs")
                return
            }
            #expect((500...1500).contains(retryAfter))
        }
    }

    @Test func drainingEndsAllWithinThreeSeconds() async throws {
        let world = try await World()
        var readers: [HubWorld.Reader] = []
        for number in 0..<8 { readers.append(try await world.open(World.alice, device: "d\(number)")) }
        world.hub.drain()
        await world.loop.advanceTime(by: .seconds(3))
        for reader in readers {
            #expect(reader.sink.frames.last?.data["reason"] == .string("drain"))
            #expect(reader.sink.isFinished)
        }
    }

    @Test func whatEndsWhileDrainingEndsByDrain() async throws {
        let world = try await World(
            Self.settings {
                $0.rotateAfter = .seconds(10)
                $0.drainSpread = .seconds(1000)
            })
        try await world.whileRunning {
            var readers: [HubWorld.Reader] = []
            for number in 0..<8 { readers.append(try await world.open(World.alice, device: "d\(number)")) }
            world.hub.drain()
            await world.secondsPass(12)
            for reader in readers {
                #expect(reader.sink.frames.last?.data["reason"] == .string("drain"))
            }
            let late = try await world.open(World.bob)
            #expect(late.sink.frames.last?.data["reason"] == .string("drain"), "admitted before, begun after")
        }
    }

    // MARK: Places

    @Test func aDeviceHasEightStreamsAndAUserThirtyTwo() async throws {
        let world = try await World()
        var readers: [HubWorld.Reader] = []
        for number in 0..<32 { readers.append(try await world.open(World.alice, device: "d\(number / 8)")) }
        for label in ["d0", "d9"] {
            await #expect(throws: Problem(.tooManyStreams)) { try await world.open(World.alice, device: label) }
        }
        // A waiting poll has a place of its own kind, and others have theirs.
        let poll = try await world.admit(World.alice, device: "d0", transport: .poll)
        _ = try world.hub.reserve(poll.subscription, on: world.loop)
        _ = try await world.open(World.bob)
        try await world.close(readers.removeLast())
        readers.append(try await world.open(World.alice, device: "d3"))
        #expect(world.hub.registry.usersPresent(grace: .seconds(30)) == [World.alice.id, World.bob.id])
    }

    @Test func whatIsOldLeavesMemoryAndIsReadFromDisk() async throws {
        let world = try await World()
        try await world.join(World.alice)
        var seqs = [try await world.post()]
        try await world.tick()
        try await world.whileRunning {
            await world.secondsPass(45)
            let early = try await world.open(World.alice, from: World.after(seqs[0] - 1))
            #expect(early.seqs == seqs)
            #expect(world.store.readCount == 0)
            await world.secondsPass(45)
            seqs.append(try await world.post())
            try await world.tick()
            let late = try await world.open(World.alice, from: World.after(seqs[0] - 1))
            try await world.settle { late.seqs.count >= seqs.count }
            #expect(late.seqs == seqs)
            #expect(world.store.readCount > 0)
        }
    }

    @Test func aNewerStreamOfATicketReplacesTheOlder() async throws {
        let world = try await World()
        let older = try await world.open(World.alice, ticket: "t")
        let newer = try await world.open(World.alice, ticket: "t")
        let other = try await world.open(World.alice, ticket: "u")
        await world.loop.run()
        #expect(older.sink.frames.last?.data["reason"] == .string("replaced"))
        #expect(older.sink.isFinished && !newer.sink.isFinished && !other.sink.isFinished)
    }

    @Test func presenceOutlivesTheLastStreamByItsGrace() async throws {
        let world = try await World()
        try await world.close(try await world.open(World.alice))
        world.clock.advance(by: .seconds(10))
        #expect(world.hub.registry.usersPresent(grace: .seconds(30)) == [World.alice.id])
        world.clock.advance(by: .seconds(21))
        #expect(world.hub.registry.usersPresent(grace: .seconds(30)).isEmpty)
    }
}
