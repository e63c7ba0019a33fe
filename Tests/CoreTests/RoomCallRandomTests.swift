import Core
import Hub
import TestSupport
import Testing

/// Random frames of three users who know nothing of calls.
struct RoomCallRandomTests {
    private static let contents = [
        RoomWorld.offer, RoomWorld.offer, RoomWorld.offer, RoomWorld.answer, RoomWorld.answer, RoomWorld.candidate,
        RoomWorld.reject, #"{"type":"leave"}"#, #"{"type":"mute"}"#, #"{"type":"renegotiate"}"#,
    ]

    /// Whatever they do: nobody has a place in two calls by one device but the one who was only offered to, there is at
    /// most one pending offer of a pair, every call ends once, and ends when all have gone.
    @Test(arguments: 0..<200 as Range<UInt64>)
    func whateverClientsSendEveryCallIsOneAndEnds(seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        let world = try await RoomWorld(seed: seed)
        for _ in 0..<60 {
            guard let user = world.everybody.randomElement(using: &generator),
                let peer = world.everybody.randomElement(using: &generator),
                let content = Self.contents.randomElement(using: &generator)
            else { continue }
            let roll = Int.random(in: 0..<20, using: &generator)
            do {
                switch roll {
                case 0, 1: try await world.invite(user)
                case 2: try await world.goodbye(user)
                default:
                    try await world.signal(
                        user, to: peer, content, isSeated: roll < 17, isPresent: roll < 19)
                }
            } catch let problem as Problem {
                // A refusal is an answer; that it changed nothing is the store's to see to.
                #expect(problem.kind != .internalError, "seed \(seed)")
            }
            try await self.check(world, seed)
        }
        for user in world.everybody { try await world.goodbye(user) }
        for rows in try await world.calls() {
            #expect(rows.call.state == .ended, "seed \(seed): \(rows.call)")
            let ends = try await world.store.read { try $0.timeline(of: rows.call.id) }.count { $0.kind == "ended" }
            #expect(ends == 1, "seed \(seed)")
        }
    }

    private func check(_ world: RoomWorld, _ seed: UInt64) async throws {
        let live = try await world.calls().filter { $0.call.state != .ended }
        for user in world.everybody {
            // Who negotiates in a call is in no other; offers that wait for one's answer may be several.
            let own = live.filter { rows in
                rows.descriptions.contains { $0.from == user.id && $0.state != .void }
                    && rows.participants.contains { $0.user == user.id && $0.state == .joined }
            }
            #expect(own.count <= 1, "seed \(seed): \(user.displayName) negotiates in \(own.count) calls")
        }
        for rows in live {
            let pending = rows.descriptions.filter { $0.kind == .offer && $0.state == .pending }
            let pairs = Set(pending.map { Set([$0.from, $0.to]) })
            #expect(pairs.count == pending.count, "seed \(seed)")
            #expect(rows.participants.contains { $0.state == .joined }, "seed \(seed): nobody is in \(rows.call)")
        }
    }
}

extension RoomWorld {
    /// The user's socket closes with 1000.
    fileprivate func goodbye(_ user: User) async throws {
        let (acting, device) = (self.acting(user), Self.device(user))
        try await self.store.write { store in
            try store.leaveCalls(
                of: user.id, on: device, reason: "inferred: closed", now: acting.now, ids: acting.ids)
        }
    }
}
