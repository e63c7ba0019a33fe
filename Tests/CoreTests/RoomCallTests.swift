import Core
import Hub
import TestSupport
import Testing

/// Calls by the room protocol's frames, as section 5 of DESIGN.md has them; and by frames and requests at once.
struct RoomCallTests {
    @Test func wholeCallIsWhatTheSeedDoes() async throws {
        let world = try await RoomWorld()
        let (ani, budi) = (world.ani, world.budi)
        let call = try await world.invite(ani)
        try await world.signal(budi, to: ani, RoomWorld.offer)
        // While Ani is asked, candidates wait.
        try await world.signal(budi, to: ani, RoomWorld.candidate)
        #expect(try await world.frames(of: ani) == [RoomWorld.offer])
        #expect(try await world.rows(call)?.call.state == .connecting)
        try await world.signal(ani, to: budi, RoomWorld.answer)
        #expect(try await world.rows(call)?.call.state == .active)
        try await world.signal(ani, to: budi, RoomWorld.candidate)
        #expect(try await world.frames(of: ani) == [RoomWorld.offer, RoomWorld.candidate])
        #expect(try await world.frames(of: budi) == [RoomWorld.answer, RoomWorld.candidate])
        let rows = try #require(try await world.rows(call))
        #expect(rows.participants.allSatisfy { $0.readsFrames && $0.transport == .websocket })

        // Its End sends nothing; another invitation says that the former call is over.
        try await world.invite(budi)
        let ended = try #require(try await world.rows(call))
        #expect(ended.call.endReason == .completed)
        #expect(
            try await world.reasons(call) == [
                "inferred: opened another call", "inferred: its peer left", "completed",
            ])
    }

    @Test func invitationKeepsItsWordsAndNamesTheCall() async throws {
        let world = try await RoomWorld()
        let call = try await world.invite(world.ani)
        let room = world.room.id
        let messages = try await world.store.read { try $0.messages(MessageQuery(room: room, limit: 10)) }
        #expect(messages.map(\.message.content) == ["📞 [KLIK DI SINI] "])
        #expect(messages[0].message.origin == .websocket)
        #expect(
            messages[0].message.metadata == #"{"action":"join_call","by":"me","call":"\#(call)"}"#)
    }

    @Test func offerWithoutACallOpensOneOfTwoAndNobodyIsAskedTwice() async throws {
        let world = try await RoomWorld()
        try await world.signal(world.ani, to: world.budi, RoomWorld.offer)
        let rows = try #require(try await world.calls().first)
        #expect(rows.call.initiator == world.ani.id)
        #expect(rows.call.state == .connecting)
        #expect(rows.participants.map(\.state) == [.joined, .joined])
        #expect(try await world.frames(of: world.budi) == [RoomWorld.offer])
        // Others have no part in it.
        #expect(!CallStateMachine(rows).isOpenInvitation)
        try await world.signal(world.citra, to: world.ani, RoomWorld.offer)
        #expect(try await world.calls().count == 2)
    }

    @Test func offerToSomebodyWithoutFramesRingsThemAndTheirOwnOfferIsAnswered() async throws {
        let world = try await RoomWorld()
        let (ani, budi) = (world.ani, world.budi)
        guard case .ringing(let call) = try await world.signal(ani, to: budi, RoomWorld.offer, isSeated: false) else {
            return #expect(Bool(false), "it does not ring")
        }
        #expect(try await world.state(call, of: budi) == .invited)
        // Their connection begins with their own offer: these are for none.
        try await world.signal(ani, to: budi, RoomWorld.candidate, isSeated: false)
        let joining = CallJoining(leaveTokenHash: "token")
        let acting = world.acting(budi)
        let peers = try await world.store.write { try $0.joinCall(call, joining, as: acting).peers }
        #expect(peers.map(\.user) == [ani.id])
        let offer = try await world.store.write {
            try $0.sendSignal(call, to: .id(ani.id), .offer(sdp: RoomWorld.sdp), as: acting).id
        }
        #expect(try await world.frames(of: ani) == [RoomWorld.offer])
        let answered = try await world.signal(ani, to: budi, RoomWorld.answer, isSeated: false)
        guard case .passed(let receipt) = answered else {
            return #expect(Bool(false), "the answer was not passed")
        }
        let data = try JSON.decode(JSONValue.self, from: try #require(receipt.event).data)
        #expect(data["offer"] == .string(offer.text))
        #expect(data["sdp"] == .string("v=0\r\na=ice-ufrag:efgh\r\n"))
        #expect(try await world.rows(call)?.call.state == .active)
    }

    @Test func callerByFramesIsToldThatTheRingWasDeclinedOrNotAnswered() async throws {
        for isDeclined in [true, false] {
            let world = try await RoomWorld()
            guard
                case .ringing(let call) = try await world.signal(
                    world.ani, to: world.budi, RoomWorld.offer, isSeated: false)
            else { return #expect(Bool(false), "it does not ring") }
            if isDeclined {
                let acting = world.acting(world.budi)
                try await world.store.write { _ = try $0.rejectCall(call, reason: nil, as: acting) }
            } else {
                let (now, ids) = (world.acting(world.ani).now.advanced(by: .seconds(60)), world.ids)
                try await world.store.write { try $0.callTimePassed(call, now: now, ids: ids) }
            }
            #expect(try await world.rows(call)?.call.endReason == (isDeclined ? .rejected : .missed))
            let told = isDeclined ? RoomWorld.reject : #"{"type":"reject","reason":"missed"}"#
            #expect(try await world.frames(of: world.ani) == [told])
        }
    }

    @Test func ringIsAnsweredByAnOfferAndDeclinedByAReject() async throws {
        for content in [RoomWorld.offer, RoomWorld.reject] {
            let world = try await RoomWorld()
            let new = NewCall(
                media: CallMedia(audio: true, video: true), invite: [.id(world.budi.id)], leaveTokenHash: "token")
            let (acting, room) = (world.acting(world.ani), world.room)
            let call = try await world.store.write { try $0.createCall(in: .id(room.id), new, as: acting).call.id }
            try await world.signal(world.budi, to: world.ani, content, isSeated: false)
            let isOffer = content == RoomWorld.offer
            #expect(try await world.state(call, of: world.budi) == (isOffer ? .joined : .rejected))
            #expect(try await world.rows(call)?.call.endReason == (isOffer ? nil : .rejected))
        }
    }

    @Test func whoRejectsIsHeardThoughTheCallHasEndedByIt() async throws {
        let world = try await RoomWorld()
        try await world.signal(world.ani, to: world.budi, RoomWorld.offer)
        try await world.signal(world.budi, to: world.ani, RoomWorld.reject)
        let rows = try #require(try await world.calls().first)
        #expect(rows.call.state == .ended)
        #expect(rows.call.endReason == .rejected)
        #expect(try await world.frames(of: world.ani) == [RoomWorld.reject])
        #expect(try await world.frames(of: world.budi).isEmpty)
    }

    @Test func offerThatNobodyAnswersIsRejectedForItsMaker() async throws {
        let world = try await RoomWorld()
        try await world.signal(world.ani, to: world.budi, RoomWorld.offer)
        let call = try #require(try await world.calls().first).call
        let ids = world.ids
        let now = call.createdAt.advanced(by: Limits.offerTimeout)
        try await world.store.write { try $0.callTimePassed(call.id, now: now, ids: ids) }
        #expect(try await world.rows(call.id)?.call.endReason == .rejected)
        #expect(try await world.frames(of: world.ani) == [#"{"type":"reject","reason":"timeout"}"#])
    }

    @Test func rejectedOpenCallRingsOn() async throws {
        let world = try await RoomWorld()
        let call = try await world.invite(world.ani)
        try await world.signal(world.budi, to: world.ani, RoomWorld.offer)
        try await world.signal(world.ani, to: world.budi, RoomWorld.reject)
        #expect(try await world.frames(of: world.budi) == [RoomWorld.reject])
        #expect(try await world.rows(call)?.call.state == .ringing)
        try await world.signal(world.citra, to: world.ani, RoomWorld.offer)
        #expect(try await world.state(call, of: world.citra) == .joined)
    }

    @Test func secondOfferToOnePeerIsANewLeg() async throws {
        let world = try await RoomWorld()
        let (ani, budi) = (world.ani, world.budi)
        let call = try await world.invite(ani)
        try await world.signal(budi, to: ani, RoomWorld.offer)
        try await world.signal(ani, to: budi, RoomWorld.answer)
        try await world.signal(budi, to: ani, RoomWorld.offer)
        let rows = try #require(try await world.rows(call))
        #expect(rows.legs.filter { $0.user == budi.id }.count == 2)
        #expect(rows.legs.filter { $0.user == ani.id }.count == 1)
        // The other side, too, may make another connection.
        try await world.signal(ani, to: budi, RoomWorld.answer)
        try await world.signal(ani, to: budi, RoomWorld.offer)
        #expect(try await world.rows(call)?.legs.count == 4)
        #expect(try await world.rows(call)?.call.state == .active)
    }

    @Test func absentAddresseeIsToldOfAndNothingIsWritten() async throws {
        let world = try await RoomWorld()
        let before = try await world.store.read { try $0.logBounds().tail }
        for content in [RoomWorld.offer, RoomWorld.answer, RoomWorld.candidate, RoomWorld.reject] {
            guard
                case .recipientOffline = try await world.signal(
                    world.ani, to: world.budi, content, isSeated: false, isPresent: false)
            else { return #expect(Bool(false), "\(content)") }
        }
        // Nor is it told who exists elsewhere.
        let stranger = User.fixture("nobody")
        guard case .recipientOffline = try await world.signal(world.ani, to: stranger, RoomWorld.offer) else {
            return #expect(Bool(false), "a stranger is here")
        }
        #expect(try await world.store.read { try $0.logBounds().tail } == before)
        #expect(try await world.calls().isEmpty)
    }

    @Test func signalToSomebodyBetweenTwoPollsWaitsForThem() async throws {
        let world = try await RoomWorld()
        try await world.invite(world.ani)
        try await world.signal(world.budi, to: world.ani, RoomWorld.offer)
        guard
            case .passed = try await world.signal(
                world.ani, to: world.budi, RoomWorld.answer, isSeated: false, isPresent: false)
        else { return #expect(Bool(false), "not passed") }
    }

    @Test func whatBelongsToNoCallIsRefused() async throws {
        let world = try await RoomWorld()
        for content in [RoomWorld.answer, RoomWorld.candidate, RoomWorld.reject, #"{"type":"renegotiate"}"#] {
            let error = await #expect(throws: Problem.self) {
                try await world.signal(world.ani, to: world.budi, content)
            }
            #expect(error?.kind == .notJoined)
        }
        try await world.invite(world.ani)
        try await world.signal(world.budi, to: world.ani, RoomWorld.offer)
        let stale = await #expect(throws: Problem.self) {
            try await world.signal(world.budi, to: world.ani, RoomWorld.answer)
        }
        #expect(stale?.kind == .staleOffer && stale?.detail == "The answer is not to the pending offer")
        let rejection = await #expect(throws: Problem.self) {
            try await world.signal(world.budi, to: world.ani, RoomWorld.reject)
        }
        #expect(rejection?.kind == .staleOffer && rejection?.detail == "The rejection is not to the pending offer")
        let own = await #expect(throws: Problem.self) {
            try await world.signal(world.ani, to: world.ani, RoomWorld.offer)
        }
        #expect(own?.errors.map(\.field) == ["to"])
    }

    @Test func negotiatingInAnotherCallLeavesTheFormer() async throws {
        let world = try await RoomWorld()
        let first = try await world.invite(world.ani)
        try await world.signal(world.budi, to: world.ani, RoomWorld.offer)
        try await world.signal(world.ani, to: world.budi, RoomWorld.answer)
        let second = try await world.invite(world.citra)
        try await world.signal(world.budi, to: world.citra, RoomWorld.offer)
        #expect(try await world.rows(first)?.call.endReason == .completed)
        #expect(try await world.reasons(first).first == "inferred: negotiates in another call")
        #expect(try await world.state(second, of: world.budi) == .joined)
        // An answer is negotiating, too; an offer that one only got is not.
        try await world.signal(world.ani, to: world.budi, RoomWorld.offer)
        #expect(try await world.rows(second)?.call.state == .connecting)
        try await world.signal(world.budi, to: world.ani, RoomWorld.answer)
        #expect(try await world.state(second, of: world.budi) == .left)
    }

    @Test func whoHasNobodyElseLeavesWithTheirPeer() async throws {
        let world = try await RoomWorld()
        let call = try await world.callOfThree()
        #expect(try await world.rows(call)?.participants.map(\.state) == [.joined, .joined, .joined])
        // Ani hears two others, Budi only Ani.
        try await world.signal(world.budi, to: world.ani, #"{"type":"leave"}"#)
        #expect(try await world.rows(call)?.participants.map(\.state) == [.joined, .left, .joined])
        try await world.signal(world.ani, to: world.citra, #"{"type":"leave"}"#)
        #expect(try await world.rows(call)?.call.endReason == .completed)
        #expect(try await world.reasons(call) == ["inferred: its peer left", "completed"])
    }

    @Test func threeWhoHearOneAnotherGoOnAsTwo() async throws {
        let world = try await RoomWorld()
        let call = try await world.callOfThree()
        try await world.signal(world.citra, to: world.budi, RoomWorld.offer)
        try await world.signal(world.budi, to: world.citra, RoomWorld.answer)
        try await world.signal(world.ani, to: world.budi, #"{"type":"leave"}"#)
        #expect(try await world.rows(call)?.participants.map(\.state) == [.left, .joined, .joined])
        #expect(try await world.rows(call)?.call.state == .active)
    }

    @Test(arguments: [
        RoomWorld.offer, #"{"sdp":"v=0","type":"offer"}"#, #"{ "type": "offer", "sdp": "v=0", "mine": [1.50] }"#,
        #"{"type":"offer","sdp":"v=0\u0041"}"#, #"{"type":"offer","sdp":"v=0\r\na=x:\"\\/\u0001é📞"}"#,
    ])
    func contentReachesFramesAsItWasSent(_ content: String) async throws {
        let world = try await RoomWorld()
        try await world.signal(world.ani, to: world.budi, content)
        #expect(try await world.frames(of: world.budi) == [content])
    }

    @Test(arguments: [
        "", "[]", "7", "{", #"{"type":"offer"}"#, #"{"type":"offer","sdp":7}"#, #"{"type":"answer"}"#,
        #"{"type":"candidate","candidate":"candidate:1"}"#, #"{"type":"candidate","candidate":{"sdpMid":0}}"#,
        "{\"type\":\"custom\",\"x\":\"\(String(repeating: "x", count: Limits.roomSignalBytesMax))\"}",
    ])
    func whatIsNoSignalIsSaidToBeNone(_ content: String) {
        let error = #expect(throws: Problem.self) { try RoomSignal(content: content) }
        #expect(error?.kind == .validationFailed)
    }

    @Test func boundsAreThoseOfEverySignal() async throws {
        let world = try await RoomWorld()
        let long = "v=0" + String(repeating: "x", count: Limits.sdpBytesMax)
        for (content, field) in [
            (#"{"type":"offer","sdp":"x"}"#, "sdp"), (#"{"type":"offer","sdp":"\#(long)"}"#, "sdp"),
        ] {
            let error = await #expect(throws: Problem.self) {
                try await world.signal(world.ani, to: world.budi, content)
            }
            #expect(error?.errors.map(\.field) == [field])
        }
        // Nothing of the call that the offer would have opened remains.
        #expect(try await world.calls().isEmpty)
    }

    @Test func guestIsMadeByANameAndComesBackByAToken() async throws {
        let world = try await RoomWorld()
        let (ids, now, room) = (world.ids, Timestamp.fixture, world.room.id)
        let guest = try await world.store.write { store in
            let (user, session) = try store.signUpVisitor("Dewi Lestari 🌸", color: "#112233", now: now, ids: ids)
            let device = DeviceID(session: session.id, label: nil)
            _ = try store.enterRoom(.name("lobby"), as: Acting(user: user, device: device, now: now, ids: ids))
            try store.makeResumeToken(hash: "hash", user: user.id, device: device, now: now)
            return user
        }
        #expect(guest.kind == .guest && guest.displayName == "Dewi Lestari 🌸" && guest.color == "#112233")
        let scene = try await world.store.read { try $0.scene(of: room, for: guest.id, hasHistory: true) }
        #expect(scene.present.map(\.id) == [guest.id])
        let late = now.advanced(by: Limits.roomResumeMax - .milliseconds(1))
        let opened = try await world.store.write { try $0.useResumeToken(hash: "hash", now: late) }
        #expect(opened.user == guest.id)
        // Each use renews it.
        _ = try await world.store.write {
            try $0.useResumeToken(hash: "hash", now: late.advanced(by: Limits.roomResumeMax - .milliseconds(1)))
        }
        await #expect(throws: Problem.self) {
            try await world.store.write {
                try $0.useResumeToken(hash: "hash", now: late.advanced(by: Limits.roomResumeMax + Limits.roomResumeMax))
            }
        }
        await #expect(throws: Problem.self) {
            try await world.store.write { try $0.useResumeToken(hash: "other", now: now) }
        }
    }
}
