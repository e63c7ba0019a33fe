import Core
import Hub
import NIOCore
import NIOEmbedded
import TestSupport
import Testing

private typealias World = HubWorld

/// What admins see of those who read, and that one of them can be cut.
@Suite(.timeLimit(.minutes(1)))
struct HubConnectionTests {
    /// The hub's answer, for which its loop must turn.
    private func connections(
        _ world: HubWorld, of user: User? = nil, by transport: Transport? = nil, after: ConnectionID? = nil,
        limit: Int = 9
    ) async throws -> [OpenConnection] {
        let asked = Task {
            try await world.hub.connections(of: user?.id, by: transport, after: after, limit: limit)
        }
        let turning = Task {
            while !Task.isCancelled {
                await world.loop.run()
                await Task.yield()
            }
        }
        let found = try await asked.value
        turning.cancel()
        await turning.value
        return found
    }

    private func world() async throws -> HubWorld {
        let world = try await World()
        for user in [World.alice, World.bob] { try await world.join(user) }
        try await world.tick()
        return world
    }

    @Test func readersAreListedInTheOrderOfTheirOpening() async throws {
        let world = try await self.world()
        let opened = world.clock.now
        let first = try await world.open(World.alice, scope: .room(World.lobby.id))
        world.clock.advance(by: .seconds(5))
        let second = try await world.open(World.bob, device: "tab-2")
        let poll = try await world.admit(World.bob, from: World.after(2), transport: .poll)
        let place = try world.hub.reserve(
            poll.subscription, from: SocketAddress(ipAddress: "192.0.2.7", port: 9), on: world.loop)
        let waiting = world.hub.wait(poll, place, limit: 9, timeout: .seconds(25), on: world.loop)
        await world.loop.run()

        let all = try await self.connections(world)
        #expect(all.map(\.subscription.transport) == [.ndjson, .ndjson, .poll])
        #expect(all.map(\.subscription.user) == [World.alice.id, World.bob.id, World.bob.id])
        #expect(all[0].subscription.scope == .room(World.lobby.id) && all[0].openedAt == opened)
        #expect(all[1].openedAt == opened.advanced(by: .seconds(5)))
        #expect(all.map(\.remoteAddress) == [nil, nil, "192.0.2.7"])
        #expect(all.allSatisfy { $0.standing?.lag == 0 && $0.standing?.cursor.seq == 2 })
        let page = try await self.connections(world, after: all[0].id, limit: 1)
        #expect(page.map(\.id) == [all[1].id])
        #expect(try await self.connections(world, of: World.alice).map(\.id) == [all[0].id])
        #expect(try await self.connections(world, by: .poll).map(\.id) == [all[2].id])

        #expect(world.hub.connectionID(all[1].id.description) == all[1].id)
        for text in [
            "", "con_", "con_-1", "1", "con_aaaaaa-1", all[1].id.description + "x", "con_x-99999999999999999999",
        ] {
            #expect(world.hub.connectionID(text) == nil, "\(text)")
        }
        withExtendedLifetime((first, second, waiting)) {}
    }

    @Test func aReaderThatIsBehindSaysHowFar() async throws {
        let world = try await self.world()
        let reader = try await world.open(World.alice)
        reader.sink.update { ($0.isWritable, $0.pendingBytes) = (false, 4711) }
        for _ in 0..<3 { try await world.post() }
        try await world.tick()
        let standing = try #require(try await self.connections(world).first?.standing)
        #expect(standing.cursor.seq == 2 && standing.lag == 3 && standing.pendingBytes == 4711)
        try await world.becomeWritable(reader)
        try await world.settle { reader.seqs.count == 3 }
        #expect(try await self.connections(world).first?.standing?.lag == 0)
    }

    @Test func aStreamThatIsCutSaysSoAndTheOthersGoOn() async throws {
        let world = try await self.world()
        let (cut, other) = (try await world.open(World.alice), try await world.open(World.alice))
        let id = try #require(try await self.connections(world).first?.id)
        #expect(world.hub.isOpen(id))
        world.hub.cut(id)
        await world.loop.run()
        #expect(cut.sink.types.last == "stream.end" && cut.sink.isFinished)
        #expect(cut.sink.frames.last?.data["reason"] == .string("cut"))
        #expect(!other.sink.isFinished)
        try await world.post()
        try await world.tick()
        #expect(other.seqs.count == 1 && cut.seqs.isEmpty)
    }

    @Test func aPollThatIsCutIsAnsweredWithNothing() async throws {
        let world = try await self.world()
        let admission = try await world.admit(World.alice, from: World.after(2), transport: .poll)
        // One by the router, one of a connection that polls again and again.
        let place = try world.hub.reserve(admission.subscription, on: world.loop)
        let future = world.hub.wait(admission, place, limit: 9, timeout: .seconds(25), on: world.loop)
        let promise = world.loop.makePromise(of: PollResult.self)
        let reader = try await world.onLoop {
            let reader = try #require(world.hub.rest(admission, on: world.loop))
            let isTaken = reader.poll(
                after: Cursor(epoch: "test", seq: 2), limit: 9, timeout: .seconds(25)
            ) { promise.succeed($0) }
            #expect(isTaken)
            return NIOLoopBound(reader, eventLoop: world.loop)
        }
        await world.loop.run()
        let found = try await self.connections(world)
        #expect(found.count == 2 && found.allSatisfy { $0.standing?.cursor.seq == 2 })
        for connection in found { world.hub.cut(connection.id) }
        await world.loop.run()
        for result in [try await future.get(), try await promise.futureResult.get()] {
            guard case .ended(.cut, let cursor) = result else {
                Issue.record("\(result)")
                continue
            }
            #expect(cursor.seq == 2)
        }
        withExtendedLifetime((place, reader)) {}
    }
}
