import Core
import Foundation
import Hub
import SQLiteStore
import TestSupport
import Testing

/// Records of calls: what is kept, and how it is found.
@Suite struct CallRecordTests {
    private static let users = [User.alice, .bob, .carol]

    /// A random call that has ended, or not.
    private static func rows(_ number: Int, at time: Timestamp, _ random: inout SeededGenerator) -> CallRows {
        let id = CallID(ULID(at: time, random: UInt128(number)))
        var call = Call(
            id: id, room: .fixture(Int.random(in: 1...2, using: &random)), initiator: User.alice.id,
            media: CallMedia(audio: true, video: false), ringTimeoutSeconds: 60, createdAt: time)
        call.state = CallState.allCases.randomElement(using: &random) ?? .ended
        let end = time.advanced(by: .seconds(Int.random(in: 1...8000, using: &random)))
        if call.state == .ended || call.state == .active { call.answeredAt = time }
        if call.state == .ended {
            call.endReason = CallEndReason.allCases.randomElement(using: &random)
            call.endedAt = end
            if Bool.random(using: &random) { call.answeredAt = nil }
        }
        let others = Self.users.dropFirst().filter { _ in Bool.random(using: &random) }
        let participants = ([User.alice] + others).map { user in
            let state = ParticipantState.allCases.randomElement(using: &random) ?? .left
            return Participant(
                call: id, user: user.id, state: state, invitedAt: user.id == User.alice.id ? nil : time,
                leftAt: state == .left ? end : nil)
        }
        let legs = (0..<Int.random(in: 0...2, using: &random)).map { index in
            Leg(
                id: .fixture(number * 10 + index), call: id, user: User.alice.id, device: DeviceID(known: "ses_a"),
                transport: Transport.allCases.randomElement(using: &random), joinedAt: time)
        }
        return CallRows(call: call, participants: participants, legs: legs)
    }

    private static func query(_ random: inout SeededGenerator, from start: Timestamp, count: Int) -> CallQuery {
        func maybe<Value>(_ value: @autoclosure () -> Value?) -> Value? {
            Int.random(in: 0..<4, using: &random) == 0 ? value() : nil
        }
        let time = { (random: inout SeededGenerator) in
            start.advanced(by: .seconds(Int.random(in: 0...count, using: &random)))
        }
        return CallQuery(
            user: maybe(Self.users.randomElement(using: &random)?.id),
            room: maybe(.fixture(Int.random(in: 1...2, using: &random))),
            state: maybe(CallState.allCases.randomElement(using: &random)),
            endReason: maybe(CallEndReason.allCases.randomElement(using: &random)),
            since: maybe(time(&random)), until: maybe(time(&random)),
            durationSecondsMin: maybe([0, 59, 60, 599, 700, 3600].randomElement(using: &random)),
            transport: maybe(Transport.allCases.randomElement(using: &random)))
    }

    /// Whatever index a query takes, it finds what a look at every call finds, in the same order.
    @Test func everyCombinationOfFiltersFindsWhatItShould() async throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        let count = 300
        var all: [CallRows] = []
        for number in 1...count {
            // Every third in the millisecond of the one before.
            all.append(Self.rows(number, at: Timestamp.fixture.advanced(by: .seconds(number / 3 * 3)), &random))
        }
        let (rows, queries) = (all, (0..<400).map { _ in Self.query(&random, from: .fixture, count: count) })
        let limit = Int.random(in: 1...40, using: &random)
        var answers: [[[CallID]]] = []
        for kind in StoreKind.allCases {
            try await kind.runInLobby { store in
                try await store.write { writer in
                    try writer.insert(Room.fixture("den", id: .fixture(2), createdBy: User.alice.id))
                    for call in rows { try writer.save(call, replacing: nil) }
                }
                answers.append(
                    try await store.read { reader in
                        try queries.flatMap { query -> [[CallID]] in
                            let newest = try reader.callRecords(query, CallStretch(limit: limit))
                            let older = try reader.callRecords(
                                query, CallStretch(before: newest.last?.position ?? 0, limit: limit))
                            let newer = try reader.callRecords(
                                query, CallStretch(after: older.last?.position ?? 0, limit: limit))
                            let figures = try reader.callFigures(query, by: .room, after: .min, limit: limit)
                            #expect(figures.figures.count == min(limit, figures.figures.count))
                            return [newest, older, newer].map { $0.map(\.call.id) }
                        }
                    })
            }
        }
        #expect(answers[0] == answers[1], "SEED=\(seed)")
        #expect(answers[0].contains { !$0.isEmpty })
    }

    @Test(arguments: StoreKind.allCases) func recordFollowsTheCall(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            var random = SeededGenerator(seed: 1)
            var first = Self.rows(1, at: .fixture, &random)
            first.call.room = Room.lobby.id
            (first.call.state, first.call.endReason, first.call.endedAt) = (.ringing, nil, nil)
            first.call.answeredAt = nil
            first.participants = [
                Participant(call: first.call.id, user: User.bob.id, state: .invited, invitedAt: .fixture)
            ]
            first.legs = [
                Leg(
                    id: .fixture(5), call: first.call.id, user: User.alice.id, device: DeviceID(known: "ses_a"),
                    transport: .sse, joinedAt: .fixture)
            ]
            let before = first
            try await store.write { try $0.save(before, replacing: nil) }
            var ended = before
            let end = Timestamp.fixture.advanced(by: .seconds(90))
            (ended.call.state, ended.call.endReason, ended.call.endedAt) = (.ended, .cancelled, end)
            ended.legs[0].transport = .poll
            ended.legs[0].candidateTypes = [.host, .relay]
            let after = ended
            try await store.write { writer in
                try writer.save(after, replacing: before)
                try writer.count(CallCounts(delivered: 2, dropped: 3), of: after.call.id)
                try writer.count(CallCounts(delivered: 1, expired: 1, retried: 1, omitted: 4), of: after.call.id)
            }
            let record = try #require(try await store.read { try $0.callRecord(after.call.id) })
            #expect(record.call == after.call)
            #expect(record.transports.transports == [.sse, .poll])
            #expect(record.candidateTypes == [.host, .relay])
            #expect(record.isRelayed == nil)
            #expect(record.counts == CallCounts(delivered: 3, expired: 1, dropped: 3, retried: 1, omitted: 4))
            let missed = try await store.read { reader in
                let own = try reader.ownCalls(
                    OwnCallQuery(user: User.bob.id, isMissedOnly: true), CallStretch(limit: 9))
                let count = try reader.missedCallCount(of: User.bob.id, after: .fixture, max: 9)
                return (own.map(\.missedAt), count)
            }
            #expect(missed.0 == [end] && missed.1 == 1)
        }
    }

    @Test(arguments: StoreKind.allCases) func placesOfOneMillisecondAreManyAndNoneIsGivenTwice(
        kind: StoreKind
    ) async throws {
        try await kind.runInLobby { store in
            try await store.write { writer in
                var random = SeededGenerator(seed: 2)
                for number in 1...30 {
                    var rows = Self.rows(number, at: .fixture, &random)
                    rows.call.room = Room.lobby.id
                    try writer.save(rows, replacing: nil)
                }
            }
            let records = try await store.read { try $0.callRecords(CallQuery(), CallStretch(limit: 100)) }
            #expect(
                records.map(\.call.id) == (1...30).reversed().map { CallID(ULID(at: .fixture, random: UInt128($0))) })
            #expect(records.last?.position == CallRecord.firstPosition(at: .fixture))
        }
    }

    @Test func unseenCallsAreCountedUpToABound() async throws {
        try await StoreKind.sqlite.runInLobby { store in
            let unseen = {
                try await store.read {
                    try $0.ownCalls(
                        with: nil, isMissedOnly: false, isUnseenOnly: true, before: nil, after: nil, limit: 1, as: .bob
                    ).unseenCount
                }
            }
            for (numbers, expected) in [
                (1...5, 5), (6...Limits.unseenCallsCountMax + 1, Limits.unseenCallsCountMax),
            ] {
                try await store.write { writer in
                    for number in numbers {
                        var random = SeededGenerator(seed: 3)
                        var rows = Self.rows(number, at: .fixture, &random)
                        rows.call.room = Room.lobby.id
                        (rows.call.state, rows.call.endReason, rows.call.endedAt) = (.ended, .missed, .fixture)
                        rows.participants = [
                            Participant(call: rows.call.id, user: User.bob.id, state: .invited, invitedAt: .fixture)
                        ]
                        rows.legs = []
                        try writer.save(rows, replacing: nil)
                    }
                }
                #expect(try await unseen() == expected)
            }
        }
    }

    @Test(arguments: StoreKind.allCases) func whatWasSeenNeverGoesBack(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            #expect(try await store.read { try $0.callsSeen(by: User.bob.id) } == nil)
            for seconds in [5, 9, 7] {
                try await store.write {
                    try $0.setCallsSeen(by: User.bob.id, until: Timestamp.fixture.advanced(by: .seconds(seconds)))
                }
            }
            let seen = try await store.read { try $0.callsSeen(by: User.bob.id) }
            #expect(seen == Timestamp.fixture.advanced(by: .seconds(9)))
        }
    }
}
