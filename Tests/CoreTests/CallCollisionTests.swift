import Core
import Hub
import TestSupport
import Testing

/// Calls that meet other calls, and signals that nobody takes, as writes.
struct CallCollisionTests {
    private let store = MemoryStore()
    private let ids = IDSource.seeded(11)
    private static let alice = User.fixture("alice")
    private static let bob = User.fixture("bob")
    private static let carol = User.fixture("carol")
    private static let lobby = Room.fixture("lobby", id: .fixture(1), createdBy: alice.id)
    private static let den = Room.fixture("den", id: .fixture(2), createdBy: alice.id)

    private func acting(_ user: User, at now: Timestamp = .fixture) -> Acting {
        Acting(user: user, device: Self.device(user), now: now, ids: self.ids)
    }

    private static func device(_ user: User) -> DeviceID { DeviceID(known: "ses_\(user.displayName)") }

    private func prepare() async throws {
        try await self.store.write { store in
            for user in [Self.alice, Self.bob, Self.carol] { try store.insert(user) }
            for room in [Self.lobby, Self.den] {
                try store.insert(room)
                for user in [Self.alice, Self.bob, Self.carol] {
                    try store.insert(Member.fixture(user.id, of: room.id))
                }
            }
        }
    }

    @discardableResult
    private func call(
        _ caller: User, _ invited: [User], in room: Room = Self.lobby
    ) async throws -> CallPayload {
        let acting = self.acting(caller)
        let new = NewCall(
            media: CallMedia(audio: true, video: true), invite: invited.map { .id($0.id) }, leaveTokenHash: "")
        return try await self.store.write { try $0.createCall(in: .id(room.id), new, as: acting) }
    }

    private func join(_ call: CallPayload, _ user: User) async throws {
        let acting = self.acting(user)
        try await self.store.write { _ = try $0.joinCall(call.call.id, CallJoining(leaveTokenHash: ""), as: acting) }
    }

    private func glare(_ body: () async throws -> Void) async -> Problem? {
        do {
            try await body()
            return nil
        } catch {
            return error as? Problem
        }
    }

    // MARK: Crossing calls

    @Test func secondOfTwoCallsThatCrossIsToldTheFirst() async throws {
        try await self.prepare()
        let first = try await self.call(Self.alice, [Self.bob])
        let refused = await self.glare { try await self.call(Self.bob, [Self.alice]) }
        #expect(refused?.kind == .callGlare)
        #expect(refused?.members["call"]?["id"] == .string(first.call.id.text))
        try await self.join(first, Self.bob)
        #expect(await self.glare { try await self.call(Self.bob, [Self.alice]) } == nil, "nothing rings any more")
    }

    @Test func callsThatDoNotMeanOneAnotherAloneDoNotCross() async throws {
        try await self.prepare()
        try await self.call(Self.alice, [Self.bob, Self.carol])
        #expect(await self.glare { try await self.call(Self.bob, [Self.alice]) } == nil, "it rings others, too")
        #expect(await self.glare { try await self.call(Self.carol, [Self.alice, Self.bob]) } == nil)
        #expect(await self.glare { try await self.call(Self.alice, []) } == nil)
    }

    @Test func callsInDifferentRoomsDoNotCross() async throws {
        try await self.prepare()
        try await self.call(Self.alice, [Self.bob])
        #expect(await self.glare { try await self.call(Self.bob, [Self.alice], in: Self.den) } == nil)
    }

    @Test func openInvitationThatBecomesACallOfTwoCrossesAsWell() async throws {
        try await self.prepare()
        let first = try await self.call(Self.alice, [Self.bob])
        let open = try await self.call(Self.bob, [])
        let acting = self.acting(Self.bob)
        let invite = { (users: [User]) in
            try await self.store.write {
                _ = try $0.inviteToCall(open.call.id, users.map { .id($0.id) }, as: acting)
            }
        }
        let refused = await self.glare { try await invite([Self.alice]) }
        #expect(refused?.kind == .callGlare)
        #expect(refused?.members["call"]?["id"] == .string(first.call.id.text))
        #expect(await self.glare { try await invite([Self.alice, Self.carol]) } == nil)
    }

    // MARK: Busy

    @Test func calleeInAnotherCallIsRungAndTheCallerIsToldBusy() async throws {
        try await self.prepare()
        try await self.join(try await self.call(Self.alice, [Self.bob]), Self.bob)
        let waiting = try await self.call(Self.carol, [Self.bob], in: Self.den)
        #expect(waiting.participants.map(\.participant.isBusy) == [false, true])
        #expect(waiting.participants.last?.participant.state == .invited)
        let timeline = try await self.store.read { try $0.timeline(of: waiting.call.id) }
        #expect(timeline.contains { $0.kind == "invited" && $0.data.contains(#""busy":true"#) })
        // The waiting ring may be answered: Bob is then in two calls until he leaves one.
        try await self.join(waiting, Self.bob)
    }

    @Test func ringWaitsNoLongerThanItsCalleeIsInAnotherCall() async throws {
        try await self.prepare()
        let first = try await self.call(Self.alice, [Self.bob])
        try await self.join(first, Self.bob)
        let waiting = try await self.call(Self.carol, [Self.bob], in: Self.den)
        let acting = self.acting(Self.alice)
        let before = try await self.store.read { try $0.logBounds().tail }
        _ = try await self.store.write { try $0.leaveCall(first.call.id, reason: nil, by: .user(acting)) }
        let (rows, told) = try await self.store.read { store in
            let visibility = Visibility(
                user: Self.carol.id, device: Self.device(Self.carol), rooms: [Self.den.id: 0])
            let events = try store.events(
                after: before, through: store.logBounds().tail, visibility: visibility, scope: .user,
                filter: .everything, limit: 10, bytesMax: 1 << 20
            ).events
            return (try store.callRows(waiting.call.id), events)
        }
        #expect(rows?.participants.last?.isBusy == false && rows?.participants.last?.state == .invited)
        #expect(told.map(\.type) == [.callParticipant] && told.first?.call == waiting.call.id)
        #expect(told.first?.actor == nil && told.first?.data.contains(#""busy":false"#) == true)
        // The ring is as old as it is.
        let (id, ids) = (waiting.call.id, self.ids)
        let now = Timestamp.fixture.advanced(by: .seconds(60))
        try await self.store.write { try $0.callTimePassed(id, now: now, ids: ids) }
        #expect(try await self.store.read { try $0.callRows(id) }?.call.endReason == .missed)
    }

    @Test func ringGoesOnWaitingForWhoIsInYetAnotherCall() async throws {
        try await self.prepare()
        let first = try await self.call(Self.alice, [Self.bob])
        let second = try await self.call(Self.alice, [Self.bob], in: Self.den)
        for call in [first, second] { try await self.join(call, Self.bob) }
        let waiting = try await self.call(Self.carol, [Self.bob], in: Self.den)
        let acting = self.acting(Self.alice)
        let isBusy = { (ended: CallPayload) in
            _ = try await self.store.write { try $0.endCall(ended.call.id, reason: nil, by: .user(acting)) }
            return try await self.store.read { try $0.callRows(waiting.call.id) }?.participants.last?.isBusy
        }
        #expect(try await isBusy(first) == true)
        #expect(try await isBusy(second) == false)
    }

    @Test func whoMerelyWaitsForAnybodyIsNotBusy() async throws {
        try await self.prepare()
        try await self.call(Self.bob, [])
        let call = try await self.call(Self.alice, [Self.bob])
        #expect(call.participants.allSatisfy { !$0.participant.isBusy })
        // Who rings somebody is.
        try await self.call(Self.carol, [Self.bob], in: Self.den)
        let third = try await self.call(Self.alice, [Self.carol], in: Self.den)
        #expect(third.participants.last?.participant.isBusy == true)
    }

    // MARK: Expiry

    private func signals() async throws -> [(type: EventType, audiences: [Audience], data: JSONValue)] {
        try await self.store.read { store in
            let tail = try store.logBounds().tail
            let types = [EventFilter.TypePattern("signal"), .init("signal.expired")].compactMap(\.self)
            return try [Self.alice, Self.bob].flatMap { user in
                try store.events(
                    after: 0, through: tail,
                    visibility: Visibility(user: user.id, device: Self.device(user), rooms: [:]), scope: .user,
                    filter: EventFilter(types: types, rooms: nil), limit: 100, bytesMax: 1 << 20
                ).events.map { ($0.type, $0.audiences, try JSON.decode(JSONValue.self, from: $0.data)) }
            }
        }
    }

    private func send(_ call: CallPayload, _ content: SignalContent) async throws -> SignalReceipt {
        let acting = self.acting(Self.bob)
        return try await self.store.write {
            try $0.sendSignal(call.call.id, to: .id(Self.alice.id), content, as: acting)
        }
    }

    private static func expiry(of signal: SignalReceipt, in call: CallPayload) -> JSONValue {
        .object(["call": .string(call.call.id.text), "signal": .string(signal.id.text)])
    }

    private func expire(delivered: [Int64] = [], after seconds: Int) async throws -> Int {
        let now = Timestamp.fixture.advanced(by: .seconds(seconds))
        return try await self.store.write { try $0.expireSignals(delivered: delivered, now: now, limit: 10) }
    }

    @Test func undeliveredSignalLeavesTheLogAndItsSenderIsTold() async throws {
        try await self.prepare()
        let call = try await self.call(Self.alice, [])
        try await self.join(call, Self.bob)
        let delivered = try await self.send(call, .custom(.integer(1)))
        let lost = try await self.send(call, .custom(.integer(2)))
        #expect(try await self.expire(delivered: [delivered.event?.seq ?? 0], after: 74) == 0)
        #expect(try await self.signals().map(\.type) == [.signal, .signal])
        #expect(try await self.expire(after: 75) == 1)
        let after = try await self.signals()
        #expect(after.map(\.type) == [.signal, .signalExpired])
        #expect(after.first?.data["id"] == .string(delivered.id.text))
        #expect(after.last?.audiences == [.device(Self.device(Self.bob))])
        #expect(after.last?.data == Self.expiry(of: lost, in: call))
        #expect(try await self.expire(after: 1000) == 0)
    }

    @Test func undeliveredSignalOfAnEndedCallIsGoneAtOnceAndItsSenderToldByTheNextTurn() async throws {
        try await self.prepare()
        let call = try await self.call(Self.alice, [])
        try await self.join(call, Self.bob)
        let delivered = try await self.send(call, .custom(.integer(1)))
        let lost = try await self.send(call, .custom(.integer(2)))
        let acting = self.acting(Self.alice)
        _ = try await self.store.write { try $0.endCall(call.call.id, reason: nil, by: .user(acting)) }
        #expect(try await self.signals().isEmpty)
        #expect(try await self.expire(delivered: [delivered.event?.seq ?? 0], after: 0) == 1)
        #expect(try await self.signals().map(\.data) == [Self.expiry(of: lost, in: call)])
    }

    @Test func signalToALegThatWasReplacedExpires() async throws {
        try await self.prepare()
        let call = try await self.call(Self.alice, [])
        try await self.join(call, Self.bob)
        let lost = try await self.send(call, .offer(sdp: "v=0"))
        try await self.join(call, Self.alice)
        #expect(try await self.expire(after: 0) == 1)
        #expect(try await self.signals().map { $0.data["signal"] } == [.string(lost.id.text)])
    }

    // MARK: Clocks as writes

    @Test func turnOfTheClockIsAWriteOfTheServersOwn() async throws {
        try await self.prepare()
        let call = try await self.call(Self.alice, [Self.bob])
        let (id, ids) = (call.call.id, self.ids)
        let now = Timestamp.fixture.advanced(by: .seconds(60))
        #expect(try await self.store.read { try $0.callsDue(by: now, limit: 9) } == [id])
        try await self.store.write { try $0.callTimePassed(id, now: now, ids: ids) }
        #expect(try await self.store.read { try $0.callsDue(by: .init(milliseconds: .max), limit: 9) } == [])
        let ended = try await self.store.read { try $0.call(id, as: Self.alice) }
        #expect(ended.call.endReason == .missed && ended.call.endedAt == now)
        let timeline = try await self.store.read { try $0.timeline(of: id) }
        #expect(timeline.map(\.kind) == ["created", "invited", "participant", "ended"])
        #expect(timeline.last?.user == nil)
    }

    @Test func goodbyeTakesTheDeviceOutOfItsCallsAndNoOther() async throws {
        try await self.prepare()
        let call = try await self.call(Self.alice, [])
        try await self.join(call, Self.bob)
        let ids = self.ids
        let leave = { (device: DeviceID) in
            try await self.store.write {
                try $0.leaveCalls(of: Self.bob.id, on: device, reason: "closed", now: .fixture, ids: ids)
            }
        }
        try await leave(DeviceID(known: "ses_other"))
        let states = { try await self.store.read { try $0.callRows(call.call.id) }?.participants.map(\.state) }
        #expect(try await states() == [.joined, .joined])
        try await leave(Self.device(Self.bob))
        #expect(try await states() == [.joined, .left])
        try await leave(Self.device(Self.bob))
    }
}
