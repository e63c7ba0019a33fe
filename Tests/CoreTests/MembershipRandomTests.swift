import Core
import Foundation
import Hub
import TestSupport
import Testing

/// Random people do random things to rooms; what must hold holds after each of them.
///
/// - A room that is not archived has an owner.
/// - Whoever replays `member.*` events has exactly the members that the store has, each visible from their own joining
///   on.
/// - A refused request logs nothing.
struct MembershipRandomTests {
    private static let rounds = 400 * (ProcessInfo.processInfo.environment["SCALE"].flatMap { Int($0) } ?? 1)

    @Test func roomsKeepAnOwnerAndTheLogTellsWhoIsIn() async throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        var world = try await MembershipWorld(seed: seed)
        for round in 0..<Self.rounds {
            try await world.step(&random)
            try await world.check("seed \(seed), round \(round)")
        }
    }
}

private struct MembershipWorld {
    private let store = MemoryStore()
    private let ids: IDSource
    private let clock = ManualClock()
    private var replayed = ReplayedMembers()
    private let people: [UserID]
    private let rooms: [RoomID]

    init(seed: UInt64) async throws {
        let ids = IDSource.seeded(seed)
        self.ids = ids
        let now = self.clock.now
        self.people = try await self.store.write { store in
            try (0..<6).map { number in
                try store.signUp(
                    NewUser(username: "user\(number)"), refreshTokenHash: "hash\(number)", now: now, ids: ids
                )
                .user.id
            }
        }
        let people = self.people
        self.rooms = try await self.store.write { store in
            try (0..<3).map { number in
                let user = try #require(try store.user(people[number]))
                let acting = Acting(user: user, device: DeviceID(known: "ses_x"), now: now, ids: ids)
                let new = number == 0 ? NewRoom() : NewRoom(name: "room\(number)")
                return try store.createRoom(new, as: acting).id
            }
        }
    }

    func step(_ random: inout SeededGenerator) async throws {
        self.clock.advance(by: .seconds(1))
        let (now, ids) = (self.clock.now, self.ids)
        let asker = self.people[Int.random(in: 0..<self.people.count, using: &random)]
        let subject = UserReference.id(self.people[Int.random(in: 0..<self.people.count, using: &random)])
        let room = RoomReference.id(self.rooms[Int.random(in: 0..<self.rooms.count, using: &random)])
        let role = [nil, MemberRole.member, .moderator, .owner].randomElement(using: &random) ?? nil
        let choice = Int.random(in: 0..<100, using: &random)
        let before = try await self.store.read { try $0.logBounds().tail }
        do {
            try await self.store.write { store in
                guard let user = try store.user(asker), user.deletedAt == nil else { return }
                let acting = Acting(user: user, device: DeviceID(known: "ses_x"), now: now, ids: ids)
                switch choice {
                case 0..<25: _ = try store.putMember(.me, of: room, role: role, as: acting)
                case 25..<60: _ = try store.putMember(subject, of: room, role: role, as: acting)
                case 60..<75: try store.removeMember(subject, of: room, as: acting)
                case 75..<90: try store.removeMember(.me, of: room, as: acting)
                case 90..<94: _ = try store.changeRoom(room, RoomChange(isArchived: true), as: acting)
                case 94..<99: _ = try store.changeRoom(room, RoomChange(isArchived: false), as: acting)
                default: try store.deleteUser(user, by: asker, now: now, ids: ids)
                }
            }
        } catch is Problem {
            #expect(try await self.store.read { try $0.logBounds().tail } == before)
        }
    }

    mutating func check(_ where: String) async throws {
        let (rooms, position) = (self.rooms, self.replayed.position)
        let (stored, events) = try await self.store.read { store in
            var members: [String: ReplayedMembers.Entry] = [:]
            for id in rooms {
                let room = try #require(try store.room(id))
                #expect(try room.isArchived || store.ownerCount(of: id) > 0, "\(`where`)")
                for (member, user) in try store.members(of: id, after: nil, limit: 100) {
                    #expect(user.deletedAt == nil)
                    members["\(id) \(user.id)"] = .init(role: member.role, joinedSeq: member.joinedSeq)
                }
            }
            let everywhere = Visibility(
                user: .fixture(1), device: DeviceID(known: "ses_x"),
                rooms: Dictionary(uniqueKeysWithValues: rooms.map { ($0, 0) }))
            let events = try store.events(
                after: position, through: store.logBounds().tail, visibility: everywhere, scope: .user,
                filter: .everything, limit: 10_000, bytesMax: 10_000_000
            ).events
            return (members, events)
        }
        for event in events { self.replayed.apply(event) }
        #expect(stored == self.replayed.members, "\(`where`)")
    }
}

/// Members as somebody knows them who only reads the log.
private struct ReplayedMembers {
    struct Entry: Equatable {
        var role: MemberRole
        var joinedSeq: Int64
    }

    private struct Subject: Decodable {
        let room: RoomID
        let user: UserID
        let role: MemberRole
    }

    private(set) var members: [String: Entry] = [:]
    /// The seq of the last event applied.
    private(set) var position: Int64 = 0

    mutating func apply(_ event: Event) {
        self.position = event.seq
        guard let subject = try? JSON.decode(Subject.self, from: event.data) else { return }
        let key = "\(subject.room) \(subject.user)"
        switch event.type {
        case .memberJoined: self.members[key] = Entry(role: subject.role, joinedSeq: event.seq)
        case .memberUpdated: self.members[key]?.role = subject.role
        case .memberLeft: self.members[key] = nil
        default: break
        }
    }
}
