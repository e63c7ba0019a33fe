import Core
import Hub
import TestSupport
import Testing

/// Whoever reads frames hears of no departures, so that somebody with whom they negotiate is gone is a signal to them.
struct RoomFarewellTests {
    private static let leave = #"{"type":"leave"}"#

    /// A call that Ani opened by a request, and Budi joined by a frame.
    private func called(
        _ world: RoomWorld, isAnswered: Bool = true
    ) async throws -> (call: CallID, ani: Acting) {
        let (ani, room) = (world.acting(world.ani), world.room)
        let new = NewCall(media: CallMedia(audio: true, video: true), leaveTokenHash: "token", transport: .poll)
        let call = try await world.store.write { try $0.createCall(in: .id(room.id), new, as: ani).call.id }
        try await world.signal(world.budi, to: world.ani, RoomWorld.offer, isSeated: false)
        guard isAnswered else { return (call, ani) }
        let offer = try #require(try await world.rows(call)?.descriptions.first?.signal)
        let budi = world.budi.id
        try await world.store.write {
            _ = try $0.sendSignal(call, to: .id(budi), .answer(sdp: RoomWorld.sdp, to: offer), as: ani)
        }
        return (call, ani)
    }

    /// Ways for somebody of HTTP to go out of a call.
    enum Going: CaseIterable, Sendable {
        case leaves, ends, vanishes, isRemoved, roomIsArchived
    }

    @Test(arguments: Going.allCases, [true, false])
    func whoReadsFramesIsToldThatTheirPeerIsGone(going: Going, isAnswered: Bool) async throws {
        let world = try await RoomWorld()
        let (call, ani) = try await self.called(world, isAnswered: isAnswered)
        let (room, ids) = (world.room, world.ids)
        let leg = try #require(try await world.rows(call)?.participants.first { $0.user == ani.user.id }?.leg)
        try await world.store.write { store in
            switch going {
            case .leaves: _ = try store.leaveCall(call, reason: nil, by: .user(ani))
            case .ends: _ = try store.endCall(call, reason: nil, by: .user(ani))
            case .vanishes:
                let lease = DueLease(call: call, user: ani.user.id, device: ani.device, leg: leg)
                try store.callLeaseLapsed(lease, now: ani.now, ids: ids)
            case .isRemoved:
                try store.removeFromCalls(of: ani.user.id, in: room.id, by: nil, now: ani.now, ids: ids)
            case .roomIsArchived: try store.endCalls(in: room.id, by: nil, now: ani.now, ids: ids)
            }
        }
        #expect(try await world.rows(call)?.call.state == .ended)
        #expect(try await world.frames(of: world.budi) == [Self.leave])
        // Who asks for events hears of it by them.
        #expect(try await world.frames(of: world.ani).isEmpty)
    }

    @Test func itSaysWhoIsGoneAsEverySignalDoes() async throws {
        let world = try await RoomWorld()
        let (call, ani) = try await self.called(world)
        _ = try await world.store.write { try $0.leaveCall(call, reason: nil, by: .user(ani)) }
        let (budi, room) = (world.budi, world.room.id)
        let event = try await world.store.read { store in
            try store.events(
                after: 0, through: store.logBounds().tail,
                visibility: Visibility(user: budi.id, device: RoomWorld.device(budi), rooms: [room: 0]),
                scope: .room(room), filter: EventFilter(types: [.signal]), limit: 9, bytesMax: 1 << 20
            ).events.last
        }
        let data = try JSON.decode(JSONValue.self, from: try #require(event).data)
        #expect(data["from"] == .string(ani.user.id.text) && data["type"] == .string("custom"))
        #expect(data["displayName"] == .string("ani") && data["call"] == .string(call.text))
    }

    @Test func onlyThoseWhoNegotiatedAreTold() async throws {
        let world = try await RoomWorld()
        let call = try await world.callOfThree()
        try await world.signal(world.budi, to: world.ani, Self.leave)
        #expect(try await world.frames(of: world.ani).last == Self.leave)
        #expect(try await world.frames(of: world.budi) == [RoomWorld.answer])
        #expect(try await world.frames(of: world.citra) == [RoomWorld.answer], "Citra never met Budi")
        #expect(try await world.rows(call)?.call.state == .active)
        // The end puts Citra out with her only peer; the log has lost the rest.
        try await world.invite(world.ani)
        #expect(try await world.frames(of: world.citra) == [Self.leave])
    }

    @Test func whoDeclinedOrOffersAnewIsToldNothing() async throws {
        let world = try await RoomWorld()
        try await world.signal(world.ani, to: world.budi, RoomWorld.offer)
        try await world.signal(world.budi, to: world.ani, RoomWorld.reject)
        #expect(try await world.frames(of: world.budi).isEmpty)
        #expect(try await world.frames(of: world.ani) == [RoomWorld.reject])
        let other = try await RoomWorld()
        for _ in 0..<2 { try await other.signal(other.ani, to: other.budi, RoomWorld.offer) }
        #expect(try await other.frames(of: other.budi) == [RoomWorld.offer], "a new connection is no departure")
        #expect(try await other.frames(of: other.ani).isEmpty)
    }

    @Test func anOfferThatIsTooOldIsNotAskedAboutAnyMore() async throws {
        let world = try await RoomWorld()
        try await world.signal(world.ani, to: world.budi, RoomWorld.offer)
        let call = try #require(try await world.calls().first).call
        let (ids, now) = (world.ids, call.createdAt.advanced(by: Limits.offerTimeout))
        try await world.store.write { try $0.callTimePassed(call.id, now: now, ids: ids) }
        #expect(try await world.frames(of: world.budi) == [Self.leave])
    }
}
