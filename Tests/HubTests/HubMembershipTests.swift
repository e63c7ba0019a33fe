import Core
import Hub
import TestSupport
import Testing

private typealias World = HubWorld

/// Who sees what while people come and go.
@Suite(.timeLimit(.minutes(1)))
struct HubMembershipTests {
    @Test func whoJoinsSeesTheRoomFromTheirJoiningOn() async throws {
        let world = try await World()
        let reader = try await world.open(World.alice)
        try await world.post("before")
        let joined = try await world.join(World.alice)
        let after = try await world.post("after")
        try await world.tick()
        #expect(reader.seqs == [joined, after])
        #expect(try await world.open(World.alice, from: .earliest).seqs == [joined, after])
    }

    @Test func whoIsRemovedSeesTheirLeavingAndNoMore() async throws {
        let world = try await World()
        try await world.join(World.alice)
        try await world.tick()
        let reader = try await world.open(World.alice)
        let before = try await world.post("before")
        let left = try await world.leave(World.alice)
        try await world.post("after")
        try await world.tick()
        #expect(reader.seqs == [before, left])
        try await world.post("later")
        try await world.tick()
        #expect(reader.seqs == [before, left])
        #expect(!reader.sink.isFinished, "the user's own stream goes on")
    }

    @Test func losingTheRoomEndsItsStream() async throws {
        let world = try await World()
        try await world.join(World.alice)
        try await world.tick()
        let reader = try await world.open(World.alice, scope: .room(World.lobby.id))
        let left = try await world.leave(World.alice)
        try await world.tick()
        #expect(reader.seqs == [left])
        #expect(reader.sink.frames.last?.data["reason"] == .string("revoked"))
        #expect(reader.sink.isFinished)
    }

    @Test func aReaderThatIsBehindSeesNothingOfARoomItHasLeft() async throws {
        let world = try await World()
        try await world.join(World.alice)
        try await world.tick()
        let reader = try await world.open(World.alice)
        reader.sink.update { $0.isWritable = false }
        try await world.post("missed while a member")
        try await world.tick()
        let left = try await world.leave(World.alice)
        try await world.tick()
        try await world.becomeWritable(reader)
        #expect(reader.seqs == [left])
    }

    @Test func whatHappenedBetweenTheSnapshotAndTheStreamCounts() async throws {
        let world = try await World()
        try await world.join(World.alice)
        try await world.tick()
        let admission = try await world.admit(World.alice)
        let left = try await world.leave(World.alice)
        try await world.post("not for Alice")
        let joined = try await world.join(World.alice, World.den)
        let den = try await world.post(to: World.den)
        try await world.tick()
        let reader = try #require(try await world.begin(admission))
        #expect(reader.seqs == [left, joined, den])
    }

    @Test func aRoomLostBetweenTheSnapshotAndItsStreamEndsIt() async throws {
        let world = try await World()
        try await world.join(World.alice)
        try await world.tick()
        let admission = try await world.admit(World.alice, scope: .room(World.lobby.id))
        try await world.leave(World.alice)
        try await world.post("not for Alice")
        try await world.tick()
        let reader = try #require(try await world.begin(admission))
        #expect(reader.sink.types == ["stream.ready", "stream.end"])
        #expect(reader.sink.frames.last?.data["reason"] == .string("revoked"))
    }

    /// The snapshot knows of the joining, the loop does not yet: what is between is older than the membership.
    @Test func aSnapshotAheadOfTheLoopShowsNothingFromBeforeTheJoining() async throws {
        let world = try await World()
        let before = try await world.post("before")
        let joined = try await world.join(World.alice)
        let admission = try await world.admit(World.alice, from: World.after(before - 1))
        let reader = try #require(try await world.begin(admission))
        try await world.tick()
        #expect(reader.seqs == [joined])
    }

    /// Left and joined again before the snapshot, while the loop is still before both: not a loss of the room.
    @Test func aSnapshotAheadOfTheLoopKeepsTheStreamOfARoomJoinedAgain() async throws {
        let world = try await World()
        try await world.join(World.alice)
        try await world.tick()
        try await world.leave(World.alice)
        let joined = try await world.join(World.alice)
        let reader = try await world.open(World.alice, scope: .room(World.lobby.id), from: World.after(joined - 1))
        let seq = try await world.post()
        try await world.tick()
        #expect(!reader.sink.isFinished)
        #expect(reader.seqs.suffix(2) == [joined, seq])
    }

    @Test func anOutsiderCannotFollowARoom() async throws {
        let world = try await World()
        await #expect(throws: Problem.notAMember) { try await world.admit(World.bob, scope: .room(World.lobby.id)) }
        await #expect(throws: Problem.notFound) { try await world.admit(World.bob, scope: .room(.fixture(9))) }
    }

    @Test func aRevokedSessionEndsItsStreams() async throws {
        let world = try await World()
        let tab = try await world.open(World.alice, device: "tab")
        let bob = try await world.open(World.bob)
        try await self.revoke(World.device(of: World.alice).session, of: World.alice, in: world)
        try await world.tick()
        #expect(tab.sink.frames.last?.data["reason"] == .string("revoked"))
        #expect(tab.sink.isFinished && !bob.sink.isFinished)
        #expect(bob.sink.types == ["stream.ready"], "internal events are for no client")
    }

    @Test func aSessionRevokedWhileItsStreamWasBeingOpenedEndsIt() async throws {
        let world = try await World()
        let admission = try await world.admit(World.alice)
        try await self.revoke(World.device(of: World.alice).session, of: World.alice, in: world)
        try await world.tick()
        let reader = try #require(try await world.begin(admission))
        #expect(reader.sink.types == ["stream.ready", "stream.end"])
        #expect(reader.sink.frames.last?.data["reason"] == .string("revoked"))
    }

    /// Signed in a moment ago, revoked before the snapshot: the commit may have passed the loop already.
    @Test func aSessionRevokedBeforeTheSnapshotIsNotAdmitted() async throws {
        let world = try await World()
        let session = World.device(of: World.alice).session
        try await world.store.write { store in
            try store.insert(
                Session(
                    id: session, user: World.alice.id, createdAt: .fixture, lastUsedAt: .fixture, revokedAt: .fixture))
        }
        await #expect(throws: Problem(.unauthorized)) { try await world.admit(World.alice) }
    }

    private func revoke(_ session: SessionID, of user: User, in world: HubWorld) async throws {
        try await world.append(
            EventDraft(
                .sessionRevoked, to: [], actor: user.id, at: .fixture,
                data: #"{"session":"\#(session.text)","user":"\#(user.id.text)"}"#))
    }
}
