import Core
import Hub
import TestSupport

/// A room whose members call by frames, or by requests; each has one device.
struct RoomWorld: Sendable {
    static let sdp = "v=0\r\na=ice-ufrag:abcd\r\n"
    static let offer = #"{"type":"offer","sdp":"v=0\r\na=ice-ufrag:abcd\r\n"}"#
    static let answer = #"{"type":"answer","sdp":"v=0\r\na=ice-ufrag:efgh\r\n"}"#
    static let candidate =
        #"{"type":"candidate","candidate":{"candidate":"candidate:1","sdpMid":"0","sdpMLineIndex":0}}"#
    static let reject = #"{"type":"reject"}"#

    let store = MemoryStore()
    let ids: IDSource
    let room = Room.fixture(createdBy: User.fixture("ani").id)
    let ani = User.fixture("ani")
    let budi = User.fixture("budi")
    let citra = User.fixture("citra")
    var everybody: [User] { [self.ani, self.budi, self.citra] }
    private let clock = ManualClock()

    init(seed: UInt64 = 7) async throws {
        self.ids = .seeded(seed)
        let (room, users) = (self.room, [self.ani, self.budi, self.citra])
        try await self.store.write { store in
            for user in users { try store.insert(user) }
            try store.insert(room)
            for user in users { try store.insert(Member.fixture(user.id, of: room.id)) }
        }
    }

    /// Ids ascend as time does.
    func acting(_ user: User, device: String? = nil) -> Acting {
        self.clock.advance(by: .milliseconds(1))
        return Acting(user: user, device: Self.device(user, device), now: self.clock.now, ids: self.ids)
    }

    static func device(_ user: User, _ label: String? = nil) -> DeviceID {
        DeviceID(session: SessionID(known: "ses_\(user.displayName)"), label: label)
    }

    /// `user` sends a `signal` frame.
    ///
    /// - parameters:
    ///   - isSeated: whether the addressee reads frames.
    ///   - isPresent: whether they read at all.
    @discardableResult
    func signal(
        _ user: User, to peer: User, _ content: String, isSeated: Bool = true, isPresent: Bool = true,
        device: String? = nil
    ) async throws -> RoomSignalOutcome {
        let (acting, room) = (self.acting(user, device: device), self.room)
        let seat = isSeated ? FrameRecipient.Seat(device: Self.device(peer), transport: .websocket) : nil
        let recipient = FrameRecipient(user: peer.id, seat: seat, isPresent: isPresent)
        let signal = try RoomSignal(content: content)
        return try await self.store.write { store in
            try store.sendRoomSignal(
                signal, to: recipient, in: .id(room.id), transport: .websocket, joinedMax: 8, as: acting)
        }
    }

    /// `user` posts the seed's invitation.
    @discardableResult
    func invite(_ user: User) async throws -> CallID {
        let (acting, room) = (self.acting(user), self.room)
        let new = NewMessage(
            content: "📞 [KLIK DI SINI] ", metadata: .object(["action": .string("join_call"), "by": .string("me")]),
            origin: .websocket)
        return try await self.store.write { store in
            try store.openCall(by: new, in: .id(room.id), transport: .websocket, joinedMax: 8, as: acting).call.call.id
        }
    }

    /// Ani's invitation; Budi and Citra have each offered to her and were answered.
    func callOfThree() async throws -> CallID {
        let call = try await self.invite(self.ani)
        for user in [self.budi, self.citra] {
            try await self.signal(user, to: self.ani, Self.offer)
            try await self.signal(self.ani, to: user, Self.answer)
        }
        return call
    }

    func rows(_ call: CallID) async throws -> CallRows? { try await self.store.read { try $0.callRows(call) } }

    func state(_ call: CallID, of user: User) async throws -> ParticipantState? {
        try await self.rows(call)?.participants.first { $0.user == user.id }?.state
    }

    /// All calls of the room, oldest first.
    func calls() async throws -> [CallRows] {
        let room = self.room.id
        return try await self.store.read { store in
            try CallState.allCases.flatMap { try store.calls(in: room, state: $0, before: nil, limit: 200) }
                .compactMap { try store.callRows($0) }.sorted { $0.call.id < $1.call.id }
        }
    }

    /// What a user's device was sent as frames and is still in the log, oldest first.
    func frames(of user: User) async throws -> [String] {
        let (device, room) = (Self.device(user), self.room.id)
        return try await self.store.read { store in
            try store.events(
                after: 0, through: store.logBounds().tail,
                visibility: Visibility(user: user.id, device: device, rooms: [room: 0]), scope: .room(room),
                filter: EventFilter(types: [.signal]), limit: 1000, bytesMax: 1 << 30
            ).events.flatMap { try JSON.decode(RoomSignalData.self, from: $0.data).contents }
        }
    }

    /// Why somebody left, as the record says.
    func reasons(_ call: CallID) async throws -> [String] {
        try await self.store.read { try $0.timeline(of: call) }.compactMap { entry in
            try JSON.decode(JSONValue.self, from: entry.data)["reason"]?.stringValue
        }
    }
}
