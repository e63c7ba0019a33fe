import Core
import Hub
import NIOCore
import NIOEmbedded
import TestSupport
import Testing

private typealias World = HubWorld

/// What one stream is sent, from its first frame to its last.
@Suite(.timeLimit(.minutes(1)))
struct HubStreamTests {
    @Test func aFreshStreamBeginsAtTheTail() async throws {
        let world = try await World()
        try await world.join(World.alice)
        try await world.tick()
        let reader = try await world.open(World.alice)
        let ready = try #require(reader.sink.frames.first)
        #expect(ready.type == "stream.ready" && ready.id == "test.1")
        #expect(ready.data["resumed"] == .bool(false))
        #expect(ready.data["user"] == .string(World.alice.id.text))
        let seq = try await world.post()
        try await world.tick()
        #expect(reader.seqs == [seq])
    }

    @Test func aResumedStreamGetsWhatItMissedAndThenWhatComes() async throws {
        let world = try await World()
        try await world.join(World.alice)
        var seqs: [Int64] = []
        for number in 0..<5 { seqs.append(try await world.post("\(number)")) }
        try await world.tick()
        let reader = try await world.open(World.alice, from: World.after(seqs[1]))
        let ready = try #require(reader.sink.frames.first)
        #expect(ready.type == "stream.ready" && ready.data["resumed"] == .bool(true))
        #expect(ready.id == "test.\(seqs[1])")
        #expect(reader.seqs == Array(seqs[2...]))
        seqs.append(try await world.post())
        try await world.tick()
        #expect(reader.seqs == Array(seqs[2...]))
    }

    @Test(arguments: [World.after(5, epoch: "other"), World.after(99)])
    func aCursorThatCannotBeResumedIsTold(start: StartPosition) async throws {
        let world = try await World()
        try await world.join(World.alice)
        try await world.post()
        try await world.tick()
        let reader = try await world.open(World.alice, from: start)
        #expect(reader.sink.types == ["stream.ready", "stream.gap"])
        #expect(reader.sink.frames[0].data["resumed"] == .bool(false))
        #expect(reader.sink.frames[1].data["cursor"] == .string("test.2"))
        let seq = try await world.post()
        try await world.tick()
        #expect(reader.seqs == [seq])
    }

    @Test func aTrimmedCursorIsAGap() async throws {
        let world = try await World()
        try await world.join(World.alice)
        for _ in 0..<5 { try await world.post() }
        _ = try await world.store.write { try $0.trimEvents(through: 3, limit: 100) }
        try await world.tick()
        #expect(
            try await world.open(World.alice, from: World.after(2)).sink.types.prefix(2) == [
                "stream.ready", "stream.gap",
            ])
        #expect(try await world.open(World.alice, from: World.after(3)).seqs == [4, 5, 6])
    }

    @Test func commitsOfOneTickAreOneWrite() async throws {
        let world = try await World()
        try await world.join(World.alice)
        try await world.tick()
        let reader = try await world.open(World.alice)
        var seqs: [Int64] = []
        for number in 0..<10 { seqs.append(try await world.post("\(number)")) }
        try await world.tick()
        #expect(reader.seqs == seqs)
        #expect(reader.sink.writes.count == 2, "stream.ready, then all ten")
    }

    @Test func aChunkedConnectionGetsChunks() async throws {
        let world = try await World()
        try await world.join(World.alice)
        try await world.tick()
        let sink = FakeSink(isChunked: true)
        _ = try await world.open(World.alice, sink: sink)
        try await world.post("a")
        try await world.post("b")
        try await world.tick()
        #expect(sink.writes.count == 2)
        for write in sink.writes {
            // "\r\n" is one character.
            let parts = write.split(separator: "\r\n", omittingEmptySubsequences: false)
            #expect(parts.count == 3 && parts[2].isEmpty)
            #expect(Int(parts[0], radix: 16) == parts[1].utf8.count)
        }
    }

    @Test func filtersAndScopesNarrow() async throws {
        let world = try await World()
        try await world.join(World.alice, World.lobby)
        try await world.join(World.alice, World.den)
        try await world.tick()
        let messages = EventFilter(types: EventFilter.TypePattern("message.*").map { [$0] }, rooms: nil)
        let all = try await world.open(World.alice, device: "1")
        let byType = try await world.open(World.alice, device: "2", filter: messages)
        let byRoom = try await world.open(
            World.alice, device: "3", filter: EventFilter(types: nil, rooms: [World.den.id]))
        let room = try await world.open(World.alice, device: "4", scope: .room(World.lobby.id))
        let lobby = try await world.post(to: World.lobby)
        let den = try await world.post(to: World.den)
        let read = try await world.append(
            EventDraft(.readUpdated, to: [.user(World.alice.id)], room: World.lobby.id, at: .fixture, data: "{}"))
        try await world.tick()
        #expect(all.seqs == [lobby, den, read])
        #expect(byType.seqs == [lobby, den])
        #expect(byRoom.seqs == [den])
        #expect(room.seqs == [lobby, read])
    }

    @Test func aCallsStreamHasTheCallOnly() async throws {
        let world = try await World()
        try await world.join(World.alice)
        let call = Call(
            id: .fixture(7), room: World.lobby.id, initiator: World.alice.id,
            media: CallMedia(audio: true, video: true),
            ringTimeoutSeconds: 60, createdAt: .fixture)
        try await world.store.write { try $0.save(CallRows(call: call), replacing: nil) }
        try await world.tick()
        let reader = try await world.open(World.alice, scope: .call(call.id))
        try await world.post()
        let seq = try await world.append(
            EventDraft(
                .callUpdated, to: [.room(World.lobby.id)], room: World.lobby.id, call: call.id, at: .fixture,
                data: "{}"))
        try await world.tick()
        #expect(reader.seqs == [seq])
        await #expect(throws: Problem.notFound) { try await world.admit(World.alice, scope: .call(.fixture(8))) }
    }

    @Test func signalsReachTheirDeviceOnly() async throws {
        let world = try await World()
        let tab = try await world.open(World.alice, device: "tab")
        let phone = try await world.open(World.alice, device: "phone")
        let bob = try await world.open(World.bob)
        let seq = try await world.append(
            EventDraft(.signal, to: [.device(World.device(of: World.alice, "tab"))], at: .fixture, data: "{}"))
        try await world.tick()
        #expect(tab.seqs == [seq])
        #expect(phone.seqs.isEmpty && bob.seqs.isEmpty)
        // Nor does anybody else find it later.
        #expect(try await world.open(World.alice, device: "phone", from: .earliest).seqs.isEmpty)
    }

    @Test func anEventForManyRoomsArrivesOnce() async throws {
        let world = try await World()
        try await world.join(World.alice, World.lobby)
        try await world.join(World.alice, World.den)
        try await world.tick()
        let reader = try await world.open(World.alice)
        let seq = try await world.append(
            EventDraft(
                .presenceChanged, to: [.room(World.lobby.id), .room(World.den.id), .user(World.alice.id)], at: .fixture,
                data: "{}"))
        try await world.tick()
        #expect(reader.seqs == [seq])
    }

    /// Visible by one room, let through by another: live as in the database.
    @Test func aFilterNarrowsLiveEventsAsItDoesMissedOnes() async throws {
        let world = try await World()
        try await world.join(World.alice, World.den)
        try await world.tick()
        let filter = EventFilter(types: nil, rooms: [World.lobby.id])
        let live = try await world.open(World.alice, filter: filter)
        let seq = try await world.append(
            EventDraft(
                .presenceChanged, to: [.room(World.lobby.id), .room(World.den.id)], at: .fixture, data: "{}"))
        try await world.tick()
        #expect(live.seqs == [seq])
        #expect(try await world.open(World.alice, filter: filter, from: .earliest).seqs == live.seqs)
    }

    @Test func typingReachesThoseWhoReadNowAndHasNoCursor() async throws {
        let world = try await World()
        try await world.join(World.alice)
        try await world.tick()
        let reader = try await world.open(World.alice)
        let outsider = try await world.open(World.bob)
        let typing = Event(
            seq: 0, type: .typing, audiences: [.room(World.lobby.id)], room: World.lobby.id, call: nil,
            actor: World.bob.id, at: .fixture, data: "{}")
        world.hub.publishEphemeral(typing)
        await world.loop.run()
        #expect(reader.sink.frames.last?.type == "typing" && reader.sink.frames.last?.id == nil)
        #expect(outsider.sink.types == ["stream.ready"])
    }

    @Test func aDeletedEventIsNotReplayedAndARedactedOneIsReplayedAsItIsNow() async throws {
        let world = try await World()
        try await world.join(World.alice)
        try await world.tick()
        let signal = SignalID.fixture(1)
        let message = MessageID.fixture(1)
        try await world.store.write { store in
            try store.append(
                EventDraft(.signal, to: [.user(World.alice.id)], at: .fixture, data: "{}", signal: signal))
            try store.append(
                EventDraft(
                    .messageCreated, to: [.room(World.lobby.id)], at: .fixture, data: #"{"content":"secret"}"#,
                    message: message))
        }
        try await world.tick()
        try await world.store.write { store in
            try store.deleteEvents(of: [signal])
            try store.redactEvents(of: message, before: store.nextSeq, data: #"{"content":""}"#)
        }
        try await world.tick()
        let reader = try await world.open(World.alice, from: World.after(1))
        #expect(reader.seqs == [3])
        #expect(!reader.sink.writes.joined().contains("secret"))
        // The stream is live again behind the hole.
        let seq = try await world.post()
        try await world.tick()
        #expect(reader.seqs == [3, seq])
    }
}
