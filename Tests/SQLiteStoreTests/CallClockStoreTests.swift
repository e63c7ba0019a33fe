import CMigrations
import Core
import Foundation
import GRDB
import Hub
import SQLiteStore
import TestSupport
import Testing

/// What is due in calls, in every implementation.
@Suite struct CallClockStoreTests {
    private static func time(_ seconds: Int) -> Timestamp { Timestamp.fixture.advanced(by: .seconds(seconds)) }

    /// Alice calls Bob, who is rung from `ringsAt` on.
    private static func call(_ number: Int, ringsAt: Int) -> CallRows {
        let id = CallID.fixture(number)
        let call = Call(
            id: id, room: Room.lobby.id, initiator: User.alice.id, media: CallMedia(audio: true, video: false),
            ringTimeoutSeconds: 60, createdAt: .fixture)
        let alice = Participant(
            call: id, user: User.alice.id, device: DeviceID(known: "ses_a"), leg: .fixture(number), state: .joined,
            joinedAt: .fixture, leaseCheckAt: Self.time(number))
        let bob = Participant(call: id, user: User.bob.id, state: .invited, invitedAt: Self.time(ringsAt))
        let leg = Leg(
            id: .fixture(number), call: id, user: User.alice.id, device: DeviceID(known: "ses_a"), transport: nil,
            joinedAt: .fixture)
        return CallRows(call: call, participants: [alice, bob], legs: [leg])
    }

    @Test(arguments: StoreKind.allCases) func callsAreDueByTheirDeadlineUntilTheyEnd(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            let due = { (seconds: Int, limit: Int) async throws in
                try await store.read { try $0.callsDue(by: Self.time(seconds), limit: limit) }
            }
            let calls = [Self.call(1, ringsAt: 30), Self.call(2, ringsAt: 10), Self.call(3, ringsAt: 20)]
            try await store.write { writer in for call in calls { try writer.save(call, replacing: nil) } }
            #expect(try await due(69, 9) == [])
            #expect(try await due(80, 9) == [.fixture(2), .fixture(3)])
            #expect(try await due(1000, 1) == [.fixture(2)])

            // Nothing of the call's own row changes, yet its deadline does.
            var answered = calls[1]
            answered.participants[1].state = .joined
            var ended = calls[2]
            ended.call.state = .ended
            let (second, third) = (answered, ended)
            try await store.write { writer in
                try writer.save(second, replacing: calls[1])
                try writer.save(third, replacing: calls[2])
            }
            #expect(try await due(1000, 9) == [.fixture(1)])
            #expect(try await due(3600, 9) == [.fixture(1)])
            #expect(try await due(12 * 3600, 9) == [.fixture(1), .fixture(2)])
            try await store.write { try $0.setDeadline(of: .fixture(1), to: Self.time(5000)) }
            #expect(try await due(4999, 9) == [])
            #expect(try await due(5000, 9) == [.fixture(1)])
        }
    }

    @Test(arguments: StoreKind.allCases) func iceServersAreDueForRefreshUntilTheyAreSetAnew(
        kind: StoreKind
    ) async throws {
        try await kind.runInLobby { store in
            let due = { (seconds: Int, limit: Int) async throws in
                try await store.read { try $0.iceRefreshesDue(by: Self.time(seconds), limit: limit) }
            }
            let calls = [1, 2].map { number in
                var rows = Self.call(number, ringsAt: 0)
                rows.participants[0].iceRefreshAt = Self.time(30 - 10 * number)
                return rows
            }
            try await store.write { writer in for call in calls { try writer.save(call, replacing: nil) } }
            let refresh = { @Sendable (number: Int) in
                DueICERefresh(
                    call: .fixture(number), room: Room.lobby.id, user: User.alice.id, device: DeviceID(known: "ses_a"))
            }
            #expect(try await due(9, 9) == [])
            #expect(try await due(10, 9) == [refresh(2)])
            #expect(try await due(20, 9) == [refresh(2), refresh(1)])
            #expect(try await due(20, 1) == [refresh(2)])
            try await store.write { writer in
                try writer.setICERefresh(of: refresh(2), to: Self.time(50))
                try writer.setICERefresh(of: refresh(1), to: nil)
            }
            #expect(try await due(49, 9) == [])
            #expect(try await due(50, 9) == [refresh(2)])
            // Whoever has left is told nothing, and no late turn brings it back.
            let stored = try #require(try await store.read { try $0.callRows(.fixture(2)) })
            var left = stored
            left.participants[0].state = .left
            left.participants[0].iceRefreshAt = nil
            let gone = left
            try await store.write { writer in
                try writer.save(gone, replacing: stored)
                try writer.setICERefresh(of: refresh(2), to: Self.time(50))
            }
            #expect(try await due(1000, 9) == [])
        }
    }

    @Test(arguments: StoreKind.allCases) func leasesAreDueUntilTheyAreRenewed(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            let due = { (seconds: Int) async throws in
                try await store.read { try $0.leasesDue(by: Self.time(seconds), limit: 9) }
            }
            try await store.write { writer in
                try writer.save(Self.call(2, ringsAt: 0), replacing: nil)
                try writer.save(Self.call(1, ringsAt: 0), replacing: nil)
            }
            let leases = [1, 2].map { number in
                DueLease(
                    call: .fixture(number), user: User.alice.id, device: DeviceID(known: "ses_a"),
                    leg: .fixture(number))
            }
            #expect(try await due(0) == [])
            #expect(try await due(5) == leases)
            try await store.write { try $0.renew(leases[0], checkAt: Self.time(90), transport: .poll) }
            #expect(try await due(5) == [leases[1]])
            let renewed = try await store.read { try $0.callRows(.fixture(1)) }
            #expect(renewed?.participants.first?.transport == .poll && renewed?.legs.first?.transport == .poll)
            try await store.write { try $0.renew(leases[0], checkAt: Self.time(91), transport: nil) }
            #expect(try await store.read { try $0.callRows(.fixture(1)) }?.participants.first?.transport == .poll)

            // A leg that was replaced meanwhile is not renewed.
            let former = DueLease(
                call: .fixture(2), user: User.alice.id, device: DeviceID(known: "ses_a"), leg: .fixture(77))
            try await store.write { try $0.renew(former, checkAt: Self.time(500), transport: nil) }
            #expect(try await due(100) == [leases[1], leases[0]])
        }
    }

    private static func pending(_ number: Int, _ expiresAt: Int) -> PendingSignal {
        PendingSignal(
            seq: Int64(number), signal: .fixture(number), call: .fixture(1), room: Room.lobby.id,
            sender: number == 3 ? nil : DeviceID(known: "ses_a"), expiresAt: Self.time(expiresAt))
    }

    @Test(arguments: StoreKind.allCases) func signalsAreDueUntilTheyAreKnownToBeDelivered(
        kind: StoreKind
    ) async throws {
        try await kind.runInLobby { store in
            let device = DeviceID(known: "ses_b")
            try await store.write { writer in
                for number in 1...4 {
                    try writer.append(.signal(.fixture(number), call: .fixture(1), to: device))
                    try writer.insert(Self.pending(number, 80 - number))
                }
            }
            let due = { (seconds: Int) async throws in
                try await store.read { try $0.signalsDue(by: Self.time(seconds), limit: 9) }
            }
            #expect(try await due(75) == [])
            #expect(try await due(80) == [4, 3, 2, 1].map { Self.pending($0, 80 - $0) })
            try await store.write { try $0.deletePendingSignals([4, 99]) }
            #expect(try await due(77) == [Self.pending(3, 77)])

            // Those whose events are gone are due at once, the others keep their time.
            try await store.write { writer in
                try writer.deleteEvents(of: [.fixture(1)])
                try writer.expireDeletedSignals(of: .fixture(1), at: Self.time(5))
            }
            #expect(try await due(5) == [Self.pending(1, 5)])
        }
    }

    /// A database as the first version left it: its live calls get their clocks, and nothing else changes.
    @Test func databaseOfTheFirstVersionGetsItsClocks() async throws {
        let directory = try TemporaryDirectory()
        var count = 0
        let first = try #require(comblang_migrations(&count))
        let initial = String(
            decoding: UnsafeBufferPointer(start: first.pointee.bytes, count: first.pointee.size), as: UTF8.self)
        let queue = try DatabaseQueue(path: directory.path + "/comblang.sqlite")
        try await queue.write { db in
            try db.execute(sql: initial)
            try db.execute(
                sql: """
                    CREATE TABLE migration (position INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
                    INSERT INTO migration (name) VALUES ('0001_initial');
                    """)
            try db.execute(sql: Self.firstVersionRows)
        }
        try queue.close()

        let store = try SQLiteStore.open(directory: directory.path, logger: .quiet)
        expect(store.appliedMigrations.first, is: "0002_calls")
        try await store.read { reader in
            #expect(try reader.callsDue(by: Timestamp(milliseconds: 1000), limit: 9) == [CallID(known: "call_live")])
            let leases = try reader.leasesDue(by: Timestamp(milliseconds: 2000), limit: 9)
            #expect(leases.map(\.user) == [UserID(known: "usr_a")])
            let pending = try reader.signalsDue(by: Timestamp(milliseconds: 78_000), limit: 9)
            #expect(pending.map(\.signal) == [SignalID(known: "sig_1")] && pending.first?.sender == nil)
            let rows = try reader.callRows(CallID(known: "call_live"))
            #expect(rows?.participants.map(\.isBusy) == [false, false])
        }
        // The first turn finds nothing to do yet and stores the real deadline.
        try await store.write { try $0.callTimePassed(CallID(known: "call_live"), now: Self.time(0), ids: .seeded(1)) }
        let ended = try await store.read { try $0.callRows(CallID(known: "call_live"))?.call }
        #expect(ended?.state == .ended && ended?.endReason == .missed)
        await store.close()
    }

    /// A turn must not walk all calls of all time: what is due is found by the indices made for it.
    @Test func whatIsDueIsFoundByIndex() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path
        await (try SQLiteStore.open(directory: path, logger: .quiet)).close()
        let queue = try DatabaseQueue(path: path + "/comblang.sqlite")
        try await queue.read { db in
            for (query, index) in [
                ("SELECT id FROM call WHERE deadlineAt <= ?1 ORDER BY deadlineAt, id LIMIT ?2", "callByDeadline"),
                (
                    "SELECT call FROM participant WHERE leaseCheckAt <= ?1 ORDER BY leaseCheckAt, position LIMIT ?2",
                    "participantByLease"
                ),
                (
                    "SELECT call FROM participant WHERE iceRefreshAt <= ?1 ORDER BY iceRefreshAt, position LIMIT ?2",
                    "participantByIceRefresh"
                ),
                ("SELECT seq FROM pendingSignal WHERE expiresAt <= ?1 ORDER BY expiresAt, seq LIMIT ?2", "ByExpiry"),
            ] {
                let plan = try Row.fetchAll(db, sql: "EXPLAIN QUERY PLAN " + query, arguments: [1, 1])
                    .map { $0["detail"] as String }.joined(separator: "\n")
                #expect(plan.contains(index) && !plan.contains("TEMP B-TREE"), "\(plan)")
            }
        }
        try queue.close()
    }

    private static let firstVersionRows = """
        INSERT INTO user VALUES
            ('usr_a', 'a', 'A', '#000000', 'user', 'account', 0, 0, 1, 1, NULL, NULL),
            ('usr_b', 'b', 'B', '#000000', 'user', 'account', 0, 0, 1, 1, NULL, NULL);
        INSERT INTO room VALUES ('room_1', 'lobby', 'Lobby', 'public', 'usr_a', 1, 0, NULL);
        INSERT INTO call VALUES
            ('call_live', 'room_1', 'usr_a', 'ringing', NULL, NULL, 1, 1, 60, 1000, 1000, NULL, NULL, NULL),
            ('call_over', 'room_1', 'usr_a', 'ended', 'missed', NULL, 1, 1, 60, 500, 500, NULL, NULL, 900);
        INSERT INTO participant (call, user, device, leg, state, invitedAt, joinedAt, leftAt, audio, video, screen,
            connection, transport, leaveTokenHash, holdsCandidates, isLive) VALUES
            ('call_live', 'usr_a', 'ses_a', 'leg_1', 'joined', NULL, 1000, NULL, 1, 1, 0, NULL, NULL, NULL, 0, 1),
            ('call_live', 'usr_b', NULL, NULL, 'invited', 1000, NULL, NULL, 1, 1, 0, NULL, NULL, NULL, 0, 1),
            ('call_over', 'usr_a', 'ses_a', 'leg_0', 'left', NULL, 500, 900, 1, 1, 0, NULL, NULL, NULL, 0, 0);
        INSERT INTO leg (id, call, user, device, transport, joinedAt, leftAt) VALUES
            ('leg_1', 'call_live', 'usr_a', 'ses_a', NULL, 1000, NULL);
        INSERT INTO event (seq, type, audiences, room, call, actor, at, data, message, signal) VALUES
            (1000, 'signal', 'ses_a', 'room_1', 'call_live', 'usr_b', 3000, '{}', NULL, 'sig_1'),
            (1001, 'call.created', 'room_1', 'room_1', 'call_live', 'usr_a', 3000, '{}', NULL, NULL);
        """
}
