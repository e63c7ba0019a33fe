import Core
import Hub
import SQLiteStore
import TestSupport
import Testing

/// `events(…)` against a naive model: who sees what, in which scope, through which filter, cut where.
@Suite struct EventQueryTests {
    /// Seeded random logs and questions. An event of a room is for that room, or for a user or device.
    private struct World {
        var random: SeededGenerator
        let users = (1...4).map(UserID.fixture)
        let rooms = (1...5).map(RoomID.fixture)
        let calls = (1...3).map(CallID.fixture)
        let devices = (1...4).map { DeviceID(session: .fixture($0), label: $0 % 2 == 0 ? "tab-\($0)" : nil) }

        init(seed: UInt64) { self.random = SeededGenerator(seed: seed) }

        mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self.random) < percent }
        mutating func pick<Element>(_ elements: [Element]) -> Element {
            elements[Int.random(in: 0..<elements.count, using: &self.random)]
        }

        mutating func draft(_ number: Int) -> EventDraft {
            let room = self.pick(self.rooms)
            let data = "{\"n\":\"\(String(repeating: "x", count: Int.random(in: 0...40, using: &self.random)))\"}"
            let call = self.chance(30) ? self.pick(self.calls) : nil
            switch Int.random(in: 0..<6, using: &self.random) {
            case 0:
                let rooms = self.rooms.filter { _ in self.chance(50) }
                return EventDraft(
                    .presenceChanged, to: rooms.map(Audience.room) + [.user(self.pick(self.users))], at: .fixture,
                    data: data)
            case 1:
                return EventDraft(
                    .signal, to: [.device(self.pick(self.devices))], room: room, call: call, at: .fixture, data: data,
                    signal: .fixture(number))
            case 2:
                return EventDraft(
                    .memberLeft, to: [.room(room), .user(self.pick(self.users))], room: room, at: .fixture, data: data)
            case 3: return EventDraft(.userChanged, to: [], at: .fixture, data: data)
            case 4:
                return EventDraft(
                    .callAnsweredElsewhere, to: [.user(self.pick(self.users))], room: room, call: call, at: .fixture,
                    data: data)
            default:
                return EventDraft(.messageCreated, to: [.room(room)], room: room, call: call, at: .fixture, data: data)
            }
        }

        mutating func visibility(tail: Int64) -> Visibility {
            var rooms: [RoomID: Int64] = [:]
            for room in self.rooms where self.chance(50) {
                rooms[room] = self.chance(50) ? 0 : Int64.random(in: 0...tail, using: &self.random)
            }
            return Visibility(user: self.pick(self.users), device: self.pick(self.devices), rooms: rooms)
        }

        mutating func scope() -> EventScope {
            switch Int.random(in: 0..<3, using: &self.random) {
            case 0: .user
            case 1: .room(self.pick(self.rooms))
            default: .call(self.pick(self.calls))
            }
        }

        mutating func filter() -> EventFilter {
            let patterns = ["message.*", "signal", "member.left", "call.*", "presence.changed", "*"]
            let types = self.chance(50) ? nil : [EventFilter.TypePattern(self.pick(patterns))].compactMap { $0 }
            let rooms = self.chance(50) ? nil : Set([self.pick(self.rooms), self.pick(self.rooms)])
            return EventFilter(types: types, rooms: rooms)
        }
    }

    /// Reads the definition aloud.
    private static func expected(
        of log: [Event], after: Int64, through: Int64, visibility: Visibility, scope: EventScope, filter: EventFilter,
        limit: Int, bytesMax: Int
    ) -> (events: [Event], considered: Int64) {
        let all = log.filter {
            $0.seq > after && $0.seq <= through && visibility.sees($0) && filter.passes($0, in: scope)
        }
        var page: [Event] = []
        for event in all {
            let bytes = (page + [event]).reduce(0) { $0 + $1.data.utf8.count }
            if page.count == limit || (!page.isEmpty && bytes > bytesMax) { return (page, event.seq - 1) }
            page.append(event)
        }
        return (page, through)
    }

    @Test(arguments: StoreKind.allCases, [1, 2, 3, 4] as [UInt64])
    func everyQuestionIsAnsweredAsTheModelDoes(kind: StoreKind, seed: UInt64) async throws {
        try await kind.run { store in
            var world = World(seed: seed)
            let count = 2500
            let drafts = (0..<count).map { world.draft($0) }
            let deleted = (0..<200).map { _ in SignalID.fixture(Int.random(in: 0..<count, using: &world.random)) }
            var log = try await store.write { writer in
                try drafts.map { draft in draft.event(seq: try writer.append(draft)) }
            }
            try await store.write { try $0.deleteEvents(of: deleted) }
            let gone = Set(deleted)
            log = zip(drafts, log).filter { draft, _ in draft.signal.map { !gone.contains($0) } ?? true }.map(\.1)
            let tail = try await store.read { try $0.logBounds().tail }
            for _ in 0..<150 {
                let visibility = world.visibility(tail: tail)
                let (scope, filter) = (world.scope(), world.filter())
                let after = world.chance(50) ? 0 : Int64.random(in: 0...tail, using: &world.random)
                let through = world.chance(70) ? tail : Int64.random(in: after...tail, using: &world.random)
                let limit = world.pick([1, 3, 50, 10_000])
                let bytesMax = world.pick([1, 60, 1000, 1_000_000])
                let answer = try await store.read {
                    try $0.events(
                        after: after, through: through, visibility: visibility, scope: scope, filter: filter,
                        limit: limit, bytesMax: bytesMax)
                }
                let expected = Self.expected(
                    of: log, after: after, through: through, visibility: visibility, scope: scope, filter: filter,
                    limit: limit, bytesMax: bytesMax)
                try #require(answer.events == expected.events, "seed \(seed), \(scope), \(filter), after \(after)")
                try #require(answer.considered == expected.considered, "seed \(seed)")
            }
        }
    }

    @Test(arguments: StoreKind.allCases) func aReaderBeyondTheTailOrOfAnEmptyLogGetsNothing(
        kind: StoreKind
    ) async throws {
        try await kind.run { store in
            let answer = try await store.read {
                try $0.events(
                    after: 5, through: 9,
                    visibility: Visibility(user: .fixture(1), device: DeviceID(known: "ses_"), rooms: [:]),
                    scope: .user, filter: .everything, limit: 10, bytesMax: 10)
            }
            #expect(answer.events == [] && answer.considered == 9)
        }
    }
}
