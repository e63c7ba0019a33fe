import Core
import Hub
import NIOCore
import NIOEmbedded
import Synchronization
import TestSupport
import Testing

private typealias World = HubWorld

/// Readers that stay between two polls of their connection.
@Suite(.timeLimit(.minutes(1)))
struct HubRepeatedPollTests {
    /// A reader that the test polls with, and what it was answered.
    private struct Poller: Sendable {
        let world: HubWorld
        let reader: NIOLoopBound<PollReader>

        init?(_ world: HubWorld, _ admission: Admission) async throws {
            let reader = try await world.onLoop {
                world.hub.rest(admission, on: world.loop).map { NIOLoopBound($0, eventLoop: world.loop) }
            }
            guard let reader else { return nil }
            (self.world, self.reader) = (world, reader)
        }

        /// Polls; `nil` if it was declined, else a box for the answer's seqs, or `[-1]` for an end.
        func poll(
            after seq: Int64, epoch: String = "test", limit: Int = 100, wait: Duration = .seconds(25)
        ) async throws
            -> Box?
        {
            let box = Box()
            let isTaken = try await self.world.onLoop {
                self.reader.value.poll(
                    after: Cursor(epoch: epoch, seq: seq), limit: limit, timeout: wait
                ) { result in
                    switch result {
                    case .events(let page): box.answer(page.events.map(\.event.seq), page.cursor.seq)
                    case .ended, .reread: box.answer([-1], -1)
                    }
                }
            }
            return isTaken ? box : nil
        }
    }

    private final class Box: Sendable {
        private let state = Mutex<(seqs: [Int64], cursor: Int64)?>(nil)
        var seqs: [Int64]? { self.state.withLock { $0?.seqs } }
        var cursor: Int64? { self.state.withLock { $0?.cursor } }
        func answer(_ seqs: [Int64], _ cursor: Int64) { self.state.withLock { $0 = (seqs, cursor) } }
    }

    private func poller(
        _ scope: EventScope = .user, settings: HubSettings = HubSettings()
    ) async throws -> Poller {
        let world = try await World(settings)
        try await world.join(World.alice)
        try await world.tick()
        let admission = try await world.admit(World.alice, scope: scope, from: World.after(1), transport: .poll)
        return try #require(try await Poller(world, admission))
    }

    @Test func pollsAreAnsweredAgainAndAgainWithoutTheDatabase() async throws {
        let poller = try await self.poller()
        let first = try await poller.world.post()
        try await poller.world.tick()
        #expect(try await poller.poll(after: 1)?.seqs == [first])
        // Reading consumes nothing.
        #expect(try await poller.poll(after: 1)?.seqs == [first])
        let waiting = try #require(try await poller.poll(after: first))
        #expect(waiting.seqs == nil)
        let seqs = [try await poller.world.post(), try await poller.world.post()]
        try await poller.world.tick()
        #expect(waiting.seqs == seqs && waiting.cursor == seqs[1])
        #expect(poller.world.store.readCount == 0)
    }

    @Test func aLimitLeavesTheRestForTheNextPoll() async throws {
        let poller = try await self.poller()
        let waiting = try #require(try await poller.poll(after: 1, limit: 2))
        let seqs = [try await poller.world.post(), try await poller.world.post(), try await poller.world.post()]
        try await poller.world.tick()
        #expect(waiting.seqs == Array(seqs.prefix(2)) && waiting.cursor == seqs[1])
        #expect(try await poller.poll(after: seqs[1])?.seqs == [seqs[2]])
    }

    @Test func membershipsAreFollowedBetweenPolls() async throws {
        let poller = try await self.poller()
        let hidden = try await poller.world.post(to: World.den)
        let joined = try await poller.world.join(World.alice, World.den)
        let seen = try await poller.world.post(to: World.den)
        let left = try await poller.world.leave(World.alice)
        try await poller.world.post()
        try await poller.world.tick()
        let answer = try #require(try await poller.poll(after: 1)?.seqs)
        #expect(answer == [joined, seen, left], "not \(hidden)")
    }

    @Test func aReaderThatLostItsRoomIsGone() async throws {
        let poller = try await self.poller(.room(World.lobby.id))
        try await poller.world.leave(World.alice)
        try await poller.world.tick()
        #expect(try await poller.poll(after: 1) == nil)
    }

    @Test func cursorsThatMemoryCannotContinueAreTheDatabases() async throws {
        var settings = HubSettings()
        settings.recentEventsMax = 2
        let poller = try await self.poller(settings: settings)
        for _ in 0..<5 { try await poller.world.post() }
        try await poller.world.tick()
        #expect(try await poller.poll(after: 1) == nil, "trimmed from memory")
        #expect(try await poller.poll(after: 7) == nil, "beyond the tail")
        #expect(try await poller.poll(after: 6, epoch: "other") == nil)
        // It rests on and takes what it can.
        #expect(try await poller.poll(after: 5)?.seqs == [6])
    }

    @Test func waitsEndInTheirTimeByTimerAndBySweep() async throws {
        let poller = try await self.poller()
        let short = try #require(try await poller.poll(after: 1, wait: .seconds(2)))
        await poller.world.loop.advanceTime(by: .seconds(2))
        #expect(short.seqs == [] && short.cursor == 1)
        try await poller.world.whileRunning {
            let long = try #require(try await poller.poll(after: 1, wait: .seconds(20)))
            await poller.world.secondsPass(19)
            #expect(long.seqs == nil)
            await poller.world.secondsPass(2)
            #expect(long.seqs == [])
            // A connection that does not come back is forgotten.
            await poller.world.secondsPass(61)
            #expect(try await poller.poll(after: 1) == nil)
        }
    }

    @Test func onlyPollsThatWaitTakeAPlace() async throws {
        var settings = HubSettings()
        settings.streamsPerDeviceMax = 2
        let poller = try await self.poller(settings: settings)
        let world = poller.world
        let admission = try await world.admit(World.alice, from: World.after(1), transport: .poll)
        let others = [
            try #require(try await Poller(world, admission)), try #require(try await Poller(world, admission)),
        ]
        let waiting = try #require(try await poller.poll(after: 1))
        #expect(try await others[0].poll(after: 1) != nil)
        #expect(try await others[1].poll(after: 1) == nil, "two of the device wait")
        #expect(world.hub.registry.readerCount == 2)
        let seq = try await world.post()
        try await world.tick()
        #expect(waiting.seqs == [seq])
        #expect(world.hub.registry.readerCount == 0, "those that rest count for nothing")
        #expect(try await others[1].poll(after: seq) != nil)
        // Whoever rests was seen when its wait ended, not later.
        try await world.onLoop { others[1].reader.value.forget() }
        world.clock.advance(by: .seconds(31))
        #expect(world.hub.registry.usersPresent(grace: .seconds(30)).isEmpty)
    }

    @Test func aDrainAnswersAndForgetsAll() async throws {
        let poller = try await self.poller()
        let waiting = try #require(try await poller.poll(after: 1))
        poller.world.hub.drain()
        await poller.world.loop.advanceTime(by: .seconds(4))
        #expect(waiting.seqs == [-1])
        #expect(try await poller.poll(after: 1) == nil)
    }

    @Test func aConnectionThatGoesAwayLetsGo() async throws {
        let poller = try await self.poller()
        let waiting = try #require(try await poller.poll(after: 1))
        #expect(poller.world.hub.registry.readerCount == 1)
        try await poller.world.onLoop { poller.reader.value.forget() }
        #expect(waiting.seqs == [-1])
        #expect(poller.world.hub.registry.readerCount == 0)
        #expect(try await poller.poll(after: 1) == nil)
    }
}
