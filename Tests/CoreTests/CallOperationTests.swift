import Core
import Hub
import TestSupport
import Testing

/// Calls as writes: rows, events with their audiences, the chat message, the record.
struct CallOperationTests {
    private let store = MemoryStore()
    private let ids = IDSource.seeded(7)
    private let alice = User.fixture("alice")
    private let bob = User.fixture("bob")
    private let carol = User.fixture("carol")
    private let room = Room.fixture(createdBy: User.fixture("alice").id)

    private func acting(_ user: User, device: String? = nil) -> Acting {
        Acting(
            user: user, device: DeviceID(session: SessionID(known: "ses_\(user.displayName)"), label: device),
            now: .fixture, ids: self.ids)
    }

    private func prepare() async throws {
        let (room, users) = (self.room, [self.alice, self.bob, self.carol])
        try await self.store.write { store in
            for user in users { try store.insert(user) }
            try store.insert(room)
            for user in users.dropLast() { try store.insert(Member.fixture(user.id, of: room.id)) }
        }
    }

    private func call(inviting: [UserReference] = []) async throws -> CallID {
        try await self.prepare()
        let (acting, room) = (self.acting(self.alice), self.room)
        let new = NewCall(
            media: CallMedia(audio: true, video: true), invite: inviting, leaveTokenHash: "alice's token")
        return try await self.store.write { try $0.createCall(in: .id(room.id), new, as: acting).call.id }
    }

    private func join(_ call: CallID, _ acting: Acting, hash: String = "token") async throws -> [CallStateMachine.Peer]
    {
        let joining = CallJoining(leaveTokenHash: hash)
        return try await self.store.write { try $0.joinCall(call, joining, as: acting).peers }
    }

    private func send(
        _ call: CallID, to user: User, _ content: SignalContent, _ acting: Acting
    ) async throws
        -> SignalReceipt
    {
        let peer = UserReference.id(user.id)
        return try await self.store.write { try $0.sendSignal(call, to: peer, content, as: acting) }
    }

    /// All events of the log, whoever they are for.
    private func events() async throws -> [Event] {
        let (alice, bob, room) = (self.alice, self.bob, self.room)
        return try await self.store.read { store in
            let tail = try store.logBounds().tail
            let seen = try [alice, bob].flatMap { user in
                let visibility = Visibility(
                    user: user.id, device: DeviceID(known: "ses_\(user.displayName)"), rooms: [room.id: 0])
                return try store.events(
                    after: 0, through: tail, visibility: visibility, scope: .user, filter: .everything, limit: 1000,
                    bytesMax: 1 << 30
                ).events
            }
            return Set(seen).sorted { $0.seq < $1.seq }
        }
    }

    @Test func callIsAnnouncedRungAndPostedToTheChat() async throws {
        let call = try await self.call(inviting: [.username("bob")])
        let events = try await self.events()
        #expect(events.map(\.type) == [.callCreated, .callParticipant, .callRinging, .messageCreated])
        #expect(events[0].audiences == [.room(self.room.id)])
        #expect(events[2].audiences == [.user(self.bob.id)])
        #expect(events.prefix(3).allSatisfy { $0.call == call && $0.room == self.room.id })
        let message = try JSON.decode(JSONValue.self, from: events[3].data)
        #expect(message["content"] == .string("📞 [KLIK DI SINI] "))
        #expect(message["metadata"] == .object(["action": .string("join_call"), "call": .string(call.text)]))
        let participant = try JSON.decode(JSONValue.self, from: events[1].data)
        #expect(participant["call"] == .string(call.text))
        #expect(participant["state"] == .string("invited"))
    }

    @Test func strangersAndMyselfAreNotInvited() async throws {
        try await self.prepare()
        let (acting, room) = (self.acting(self.alice), self.room)
        for (invite, field) in [
            ([UserReference.username("bob"), .username("carol")], "invite[1]"), ([.username("nobody")], "invite[0]"),
            ([.id(self.alice.id)], "invite[0]"),
            (Array(repeating: .username("bob"), count: Limits.invitedUsersMax + 1), "invite"),
        ] {
            let new = NewCall(media: CallMedia(audio: true, video: true), invite: invite, leaveTokenHash: "")
            let error = await #expect(throws: Problem.self) {
                try await self.store.write { _ = try $0.createCall(in: .id(room.id), new, as: acting) }
            }
            #expect(error?.errors.map(\.field) == [field])
        }
    }

    @Test func signalReachesTheOwningDeviceAlone() async throws {
        let call = try await self.call()
        let bob = self.acting(self.bob)
        #expect(try await self.join(call, bob).map(\.user) == [self.alice.id])
        let receipt = try await self.send(call, to: self.alice, .offer(sdp: "v=0\r\na=ice-ufrag:abcd\r\n"), bob)
        let event = try #require(receipt.event)
        #expect(event.audiences == [.device(self.acting(self.alice).device)])
        #expect(receipt.device == self.acting(self.alice).device)
        let data = try JSON.decode(JSONValue.self, from: event.data)
        #expect(data["id"] == .string(receipt.id.text))
        #expect(data["from"] == .string(self.bob.id.text))
        #expect(data["type"] == .string("offer"))
        #expect(data["sdp"] == .string("v=0\r\na=ice-ufrag:abcd\r\n"))
    }

    @Test func signalsLeaveTheLogWithTheirLegAndWithTheCall() async throws {
        let call = try await self.call()
        let (alice, bob) = (self.acting(self.alice), self.acting(self.bob))
        _ = try await self.join(call, bob)
        _ = try await self.send(call, to: self.alice, .offer(sdp: "v=0"), bob)
        #expect(try await self.events().contains { $0.type == .signal })
        _ = try await self.join(call, bob)
        #expect(try await !self.events().contains { $0.type == .signal })
        _ = try await self.send(call, to: self.alice, .custom(.integer(1)), bob)
        _ = try await self.store.write { try $0.endCall(call, reason: "done", by: .user(alice)) }
        let events = try await self.events()
        #expect(!events.contains { $0.type == .signal })
        #expect(events.last?.type == .callEnded)
        let record = try await self.store.read { try $0.timeline(of: call) }
        #expect(record.map(\.kind) == ["created", "participant", "offer", "state", "participant", "reason", "ended"])
    }

    @Test func illegalMoveIsAnsweredWithTheCall() async throws {
        let call = try await self.call()
        let bob = self.acting(self.bob)
        let error = await #expect(throws: Problem.self) {
            _ = try await self.send(call, to: self.alice, .renegotiate(), bob)
        }
        #expect(error?.kind == .notJoined)
        #expect(error?.members["call"]?["id"] == .string(call.text))
        #expect(error?.members["call"]?["state"] == .string("ringing"))
    }

    @Test func refusedBatchIsToldByTheRecord() async throws {
        let call = try await self.call()
        let bob = self.acting(self.bob)
        _ = try await self.join(call, bob)
        let batch = try SignalContent.candidates(
            Array(repeating: ICECandidate(candidate: "c"), count: Limits.heldCandidatesMax + 1), isEnd: false)
        let receipt = try await self.send(call, to: self.alice, batch, bob)
        #expect(receipt.refusal?.kind == .candidateQueueFull)
        #expect(receipt.refusal?.members["call"] != nil)
        #expect(receipt.event == nil)
        #expect(try await self.store.read { try $0.timeline(of: call) }.last?.kind == "dropped")
    }

    @Test func leaveTokenLeavesItsOwnLegOnly() async throws {
        let call = try await self.call()
        let bob = self.acting(self.bob)
        _ = try await self.join(call, bob, hash: "old")
        _ = try await self.join(call, bob, hash: "new")
        let leave = { (hash: String) in
            let leaver = CallLeaver.tokenBearer(hash: hash, now: .fixture, ids: self.ids)
            return try await self.store.write { try $0.leaveCall(call, reason: nil, by: leaver) }
        }
        // The beacon of a page that was reloaded since.
        await #expect(throws: Problem(.unauthorized)) { try await leave("old") }
        #expect(try await leave("new").participants.map(\.participant.state) == [.joined, .left])
        #expect(try await leave("new").participants.map(\.participant.state) == [.joined, .left])
    }

    @Test func callOfAPrivateRoomDoesNotExistForStrangers() async throws {
        let call = try await self.call()
        let (carol, room) = (self.carol, self.room)
        await #expect(throws: Problem.notAMember) { try await self.store.read { _ = try $0.call(call, as: carol) } }
        try await self.store.write { store in
            var closed = room
            closed.name = nil
            closed.visibility = .private
            try store.update(closed)
        }
        await #expect(throws: Problem.notFound) { try await self.store.read { _ = try $0.call(call, as: carol) } }
        let acting = self.acting(carol)
        await #expect(throws: Problem.notFound) { _ = try await self.join(call, acting) }
    }

    @Test func removedMemberIsOutOfTheCall() async throws {
        let call = try await self.call(inviting: [.username("bob")])
        let (bob, ids) = (self.bob, self.ids)
        try await self.store.write {
            try $0.removeFromCalls(of: bob.id, in: nil, by: nil, now: .fixture, ids: ids)
        }
        let alice = self.alice
        let ended = try await self.store.read { try $0.call(call, as: alice) }
        #expect(ended.call.endReason == .cancelled)
    }

    @Test func oneUserStartsABoundedNumberOfCalls() async throws {
        _ = try await self.call()
        let (acting, room) = (self.acting(self.alice), self.room)
        let new = NewCall(media: CallMedia(audio: true, video: true), leaveTokenHash: "")
        for _ in 1..<Limits.liveCallsPerInitiatorMax {
            try await self.store.write { _ = try $0.createCall(in: .id(room.id), new, as: acting) }
        }
        let error = await #expect(throws: Problem.self) {
            try await self.store.write { _ = try $0.createCall(in: .id(room.id), new, as: acting) }
        }
        #expect(error?.kind == .limitReached)
        #expect(
            try await self.store.read { try $0.calls(in: room.id, state: .ringing, before: nil, limit: 50) }.count == 10
        )
    }
}
