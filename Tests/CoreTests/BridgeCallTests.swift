import Core
import Hub
import TestSupport
import Testing

/// Calls across a bridge: the record is here, whoever is over there only speaks frames.
struct BridgeCallTests {
    private let store = MemoryStore()
    private let ids = IDSource.seeded(1)
    private let name = BridgeName(known: "durable")
    private let rudi = RemotePerson(id: "session-rudi", username: "rudi", color: "#123456")

    private func bridged() async throws -> Acting {
        let (ids, name) = (self.ids, self.name)
        return try await self.store.write { store in
            let user = try store.signUp(NewUser(username: "ani"), refreshTokenHash: "h", now: .fixture, ids: ids).user
            let acting = Acting(user: user, device: DeviceID(known: "ses_ani"), now: .fixture, ids: ids)
            _ = try store.createRoom(NewRoom(name: "lobby"), as: acting)
            let target = BridgeTarget(url: "ws://far/{room}", remoteRoom: "r")
            _ = try store.createBridge(
                NewBridge(name: name.text, room: .name("lobby"), target: target), by: nil, now: .fixture)
            return acting
        }
    }

    private func signal(_ content: String, to user: UserID) async throws {
        let (ids, name, rudi) = (self.ids, self.name, self.rudi)
        let signal = try RoomSignal(content: content)
        let recipient = FrameRecipient(user: user, seat: nil, isPresent: true)
        _ = try await self.store.write {
            try $0.takeIn(
                signal: signal, from: rudi, to: recipient, over: name, joinedMax: 8, now: .fixture, ids: ids)
        }
    }

    /// Ani's open call, which the remote room's Rudi joins by an offer.
    private func callTakenUp(of ani: Acting) async throws -> CallID {
        let call = try await self.store.write { store in
            try store.createCall(
                in: .name("lobby"), NewCall(media: CallMedia(audio: true, video: true), leaveTokenHash: "l"), as: ani
            ).call.id
        }
        try await self.signal(#"{"type":"offer","sdp":"v=0\r\n"}"#, to: ani.user.id)
        return call
    }

    @Test func aRemoteOfferTakesUpAnInvitationFromHere() async throws {
        let ani = try await self.bridged()
        let call = try await self.callTakenUp(of: ani)
        let rows = try #require(try await self.store.read { try $0.callRows(call) })
        #expect(rows.call.state == .connecting)
        let there = try #require(rows.participants.first { $0.user != ani.user.id })
        #expect(there.state == .joined && there.transport == .bridge)
        // Ani's answer is a signal for the device that stands for him; nobody has taken it yet.
        let offer = try #require(rows.descriptions.first?.signal)
        _ = try await self.store.write { store in
            try store.sendSignal(call, to: .id(there.user), .answer(sdp: "v=0\r\n", to: offer), as: ani)
        }
        let device = try #require(there.device)
        let waiting = try await self.store.read { try $0.pendingSignalEvents(to: device) }
        #expect(waiting.map(\.call) == [call])
    }

    @Test func aRemoteInvitationOpensACallWithTheMarkKept() async throws {
        let ani = try await self.bridged()
        let (ids, name, rudi) = (self.ids, self.name, self.rudi)
        let metadata = JSONValue.object(["action": .string("join_call")]).marked("msg_far", via: ["far"])
        let message = RemoteMessage(id: "r1", author: rudi, content: "📞 [KLIK DI SINI] ", metadata: metadata)
        for _ in 0..<2 {
            _ = try await self.store.write {
                try $0.takeIn(message, over: name, joinedMax: 8, now: .fixture, ids: ids)
            }
        }
        let found = try await self.store.read { store in
            let room = try #require(try store.room(name: "lobby"))
            return (
                try store.calls(in: room.id, state: nil, before: nil, limit: 9),
                try store.messages(MessageQuery(room: room.id, afterSeq: 0, limit: 9)).map(\.message)
            )
        }
        #expect(found.0.count == 1 && found.1.count == 1, "the same twice is one call")
        let kept = try #require(found.1.first?.metadata.map { try JSON.decode(JSONValue.self, from: $0) })
        #expect(kept["call"] == .string(found.0[0].text) && BridgeMark(in: kept)?.id == "msg_far")
        let rows = try #require(try await self.store.read { try $0.callRows(found.0[0]) })
        #expect(rows.call.initiator != ani.user.id && rows.participants.first?.transport == .bridge)
    }

    @Test func whoIsBehindABridgeThatIsPausedLeavesTheirCalls() async throws {
        let ani = try await self.bridged()
        let (ids, name) = (self.ids, self.name)
        let call = try await self.callTakenUp(of: ani)
        try await self.store.write { store in
            let bridge = try store.bridge(named: name.text)
            _ = try store.pauseBridge(bridge, true, by: ani.user.id, now: .fixture, ids: ids)
            // What the bridge had still to tell comes too late.
            try store.changeBridgeState(of: name, to: .live, now: .fixture)
        }
        let (rows, state) = try await self.store.read { store in
            (try store.callRows(call), try store.room(name: "lobby")?.bridgeState)
        }
        #expect(rows?.participants.filter { $0.state == .joined }.map(\.user) == [ani.user.id])
        #expect(state == .paused)
    }

    @Test func whoGoesWithTheBridgeLeavesTheirCalls() async throws {
        let ani = try await self.bridged()
        let (ids, name) = (self.ids, self.name)
        let call = try await self.callTakenUp(of: ani)
        try await self.store.write { store in
            try store.deleteBridge(store.bridge(named: name.text), by: nil, now: .fixture, ids: ids)
        }
        let rows = try #require(try await self.store.read { try $0.callRows(call) })
        #expect(rows.participants.filter { $0.state == .joined }.map(\.user) == [ani.user.id])
    }
}

extension JSONValue {
    fileprivate func marked(_ id: String, via: [String]) -> JSONValue {
        JSONValue?.some(self).marked(BridgeMark(id: id, via: via))
    }
}
