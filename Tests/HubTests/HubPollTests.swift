import Core
import Hub
import NIOCore
import NIOEmbedded
import TestSupport
import Testing

private typealias World = HubWorld

/// Polls that wait for something to answer.
@Suite(.timeLimit(.minutes(1)))
struct HubPollTests {
    /// What a poll was answered with, by seq.
    private struct Answer: Equatable {
        var seqs: [Int64] = []
        var ephemeral = 0
        var cursor: String?
        var hasMore = false
        var ending: StreamEndReason?
        var mustReread = false

        init(
            _ seqs: [Int64] = [], ephemeral: Int = 0, cursor: String? = nil, hasMore: Bool = false,
            ending: StreamEndReason? = nil, mustReread: Bool = false
        ) {
            self.seqs = seqs
            self.ephemeral = ephemeral
            self.cursor = cursor
            self.hasMore = hasMore
            self.ending = ending
            self.mustReread = mustReread
        }

        init(_ result: PollResult) {
            switch result {
            case .events(let page):
                self.init(
                    page.events.map(\.event.seq), ephemeral: page.ephemeral.count, cursor: page.cursor.description,
                    hasMore: page.hasMore)
            case .reread: self.init(mustReread: true)
            case .ended(let reason, let cursor): self.init(cursor: cursor.description, ending: reason)
            }
        }
    }

    private func wait(
        _ world: HubWorld, _ admission: Admission, limit: Int = 100
    ) async throws -> (EventLoopFuture<PollResult>, Registry.Reservation) {
        let reservation = try world.hub.reserve(admission.subscription, on: world.loop)
        let future = world.hub.wait(admission, reservation, limit: limit, timeout: .seconds(25), on: world.loop)
        await world.loop.run()
        return (future, reservation)
    }

    private func world() async throws -> HubWorld {
        let world = try await World()
        try await world.join(World.alice)
        try await world.tick()
        return world
    }

    @Test func aWaitingPollIsAnsweredByTheNextTick() async throws {
        let world = try await self.world()
        let admission = try await world.admit(World.alice, from: World.after(1), transport: .poll)
        let (future, _) = try await self.wait(world, admission)
        let seqs = [try await world.post(), try await world.post()]
        try await world.tick()
        #expect(try await Answer(future.get()) == Answer(seqs, cursor: "test.3"))
    }

    @Test func whatCameSinceTheSnapshotAnswersAtOnce() async throws {
        let world = try await self.world()
        let admission = try await world.admit(World.alice, from: World.after(1), transport: .poll)
        let seq = try await world.post()
        try await world.tick()
        let (future, _) = try await self.wait(world, admission)
        #expect(try await Answer(future.get()) == Answer([seq], cursor: "test.2"))
    }

    @Test func aTimeoutAnswersEmptyAndTheCursorHasPassedWhatWasFiltered() async throws {
        let world = try await self.world()
        let admission = try await world.admit(World.alice, from: World.after(1), transport: .poll)
        let (future, _) = try await self.wait(world, admission)
        try await world.post(to: World.den)
        try await world.tick()
        await world.loop.advanceTime(by: .seconds(25))
        #expect(try await Answer(future.get()) == Answer(cursor: "test.2"))
    }

    @Test func anAnswerStopsAtItsLimitAndSaysSo() async throws {
        let world = try await self.world()
        let admission = try await world.admit(World.alice, from: World.after(1), transport: .poll)
        let (future, _) = try await self.wait(world, admission, limit: 2)
        for _ in 0..<5 { try await world.post() }
        try await world.tick()
        #expect(try await Answer(future.get()) == Answer([2, 3], cursor: "test.3", hasMore: true))
    }

    @Test func anAnswerStopsAtAMebibyteButHoldsAtLeastOneEvent() async throws {
        let world = try await self.world()
        let admission = try await world.admit(World.alice, from: World.after(1), transport: .poll)
        let (first, _) = try await self.wait(world, admission)
        let content = String(repeating: "x", count: 600_000)
        for _ in 0..<3 { try await world.post(content) }
        try await world.tick()
        #expect(try await Answer(first.get()) == Answer([2], cursor: "test.2", hasMore: true))
        let (second, _) = try await self.wait(world, try await world.admit(World.alice, transport: .poll))
        try await world.post(String(repeating: "x", count: 1_200_000))
        try await world.tick()
        #expect(try await Answer(second.get()) == Answer([5], cursor: "test.5"))
    }

    @Test func twoPollsOfOneDeviceBothGetTheAnswer() async throws {
        let world = try await self.world()
        let admission = try await world.admit(World.alice, from: World.after(1), transport: .poll)
        let (first, _) = try await self.wait(world, admission)
        let (second, _) = try await self.wait(world, admission)
        let seq = try await world.post()
        try await world.tick()
        #expect(try await Answer(first.get()) == Answer([seq], cursor: "test.2"))
        #expect(try await Answer(second.get()) == Answer([seq], cursor: "test.2"))
    }

    @Test func typingAnswersAWaitingPoll() async throws {
        let world = try await self.world()
        let admission = try await world.admit(World.alice, from: World.after(1), transport: .poll)
        let (future, _) = try await self.wait(world, admission)
        world.hub.publishEphemeral(
            Event(
                seq: 0, type: .typing, audiences: [.room(World.lobby.id)], room: World.lobby.id, call: nil,
                actor: World.bob.id, at: .fixture, data: "{}"))
        await world.loop.run()
        #expect(try await Answer(future.get()) == Answer(ephemeral: 1, cursor: "test.1"))
    }

    @Test func losingTheRoomEndsTheWaitBehindTheLeaving() async throws {
        let world = try await self.world()
        let admission = try await world.admit(
            World.alice, scope: .room(World.lobby.id), from: World.after(1), transport: .poll)
        let (future, _) = try await self.wait(world, admission)
        let left = try await world.leave(World.alice)
        try await world.tick()
        #expect(try await Answer(future.get()) == Answer([left], cursor: "test.2"))
        await #expect(throws: Problem.notAMember) {
            try await world.admit(World.alice, scope: .room(World.lobby.id), from: World.after(2))
        }
    }

    @Test func aPositionThatMemoryHasLostIsReread() async throws {
        var settings = HubSettings()
        settings.recentEventsMax = 2
        let world = try await World(settings)
        try await world.join(World.alice)
        for _ in 0..<5 { try await world.post() }
        try await world.tick()
        let admission = try await world.admit(World.alice, from: World.after(1), transport: .poll)
        let (future, _) = try await self.wait(world, admission)
        #expect(try await Answer(future.get()) == Answer(mustReread: true))
        // Read from the database up to the snapshot, it waits from there.
        let (behind, _) = try await self.wait(world, admission.advancedToTail())
        let seq = try await world.post()
        try await world.tick()
        #expect(try await Answer(behind.get()) == Answer([seq], cursor: "test.7"))
    }

    @Test func aCancelledWaitEndsAndADrainEndsIt() async throws {
        let world = try await self.world()
        let admission = try await world.admit(World.alice, from: World.after(1), transport: .poll)
        let (cancelled, reservation) = try await self.wait(world, admission)
        world.hub.cancelWait(reservation, on: world.loop)
        await world.loop.run()
        #expect(try await Answer(cancelled.get()) == Answer(cursor: "test.1", ending: .drain))
        let (drained, _) = try await self.wait(world, admission)
        world.hub.drain()
        await world.loop.advanceTime(by: .seconds(3))
        #expect(try await Answer(drained.get()) == Answer(cursor: "test.1", ending: .drain))
    }
}
