import Core
import Hub
import SQLiteStore
import TestSupport
import Testing

/// Calls as rows, in every implementation.
@Suite struct CallTests {
    private static func call(_ number: Int, state: CallState = .ringing) -> CallRows {
        let id = CallID.fixture(number)
        let call = Call(
            id: id, room: Room.lobby.id, initiator: User.alice.id, state: state,
            media: CallMedia(audio: true, video: false), ringTimeoutSeconds: 60, createdAt: .fixture,
            ringingAt: .fixture)
        let alice = Participant(
            call: id, user: User.alice.id, device: DeviceID(known: "ses_a.tab"), leg: .fixture(number * 10),
            state: .joined,
            joinedAt: .fixture, media: ParticipantMedia(audio: true, video: false, screen: true),
            connection: .connected, connectionAt: .fixture, transport: .sse, isBusy: true,
            leaseCheckAt: Timestamp.fixture.advanced(by: .seconds(60)), leaveTokenHash: "hash", holdsCandidates: true)
        let bob = Participant(call: id, user: User.bob.id, state: .invited, invitedAt: .fixture)
        let leg = Leg(
            id: .fixture(number * 10), call: id, user: User.alice.id, device: DeviceID(known: "ses_a.tab"),
            transport: .sse, joinedAt: .fixture)
        return CallRows(call: call, participants: [bob, alice], legs: [leg])
    }

    private static func description(_ number: Int, call: CallID) -> Description {
        Description(
            signal: .fixture(number), call: call, kind: .offer, state: .pending, from: User.alice.id,
            fromLeg: .fixture(10), to: User.bob.id, toLeg: .fixture(11), ufrags: ["a+/b", "c"], isInitial: true,
            createdAt: .fixture)
    }

    private static func held(_ number: Int, call: CallID) -> HeldCandidates {
        HeldCandidates(
            signal: .fixture(number), call: call, from: User.bob.id, fromLeg: .fixture(11), to: User.alice.id,
            toLeg: .fixture(10), ufrags: number % 2 == 0 ? [] : ["c"], count: number, payload: "{\"candidates\":[]}",
            createdAt: .fixture)
    }

    @Test(arguments: StoreKind.allCases) func everyRowOfACallComesBackAsSaved(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            var rows = Self.call(1)
            rows.descriptions = [Self.description(5, call: rows.call.id), Self.description(4, call: rows.call.id)]
            rows.held = [9, 7, 8].map { Self.held($0, call: rows.call.id) }
            rows.candidateCounts = [
                CandidateCount(from: User.alice.id, to: User.bob.id, generation: "b", count: 3, dropped: 1),
                CandidateCount(from: User.alice.id, to: User.bob.id, generation: "a", count: 2),
            ]
            let first = rows
            try await store.write { writer in
                try writer.save(first, replacing: nil)
                #expect(try writer.callRows(first.call.id) == first)
            }
            let find = { (id: CallID) async throws in try await store.read { try $0.callRows(id) } }
            #expect(try await find(first.call.id) == first)
            #expect(try await find(.fixture(99)) == nil)

            // What is gone is deleted, what differs updated, what is new added at the end.
            rows.call.state = .active
            rows.call.answeredAt = .fixture
            rows.call.endReason = .endedByAdmin
            rows.call.endedBy = User.bob.id
            rows.participants[0].state = .joined
            rows.participants.append(Participant(call: rows.call.id, user: User.carol.id, state: .rejected))
            rows.legs[0].leftAt = .fixture
            rows.legs.append(
                Leg(
                    id: .fixture(3), call: rows.call.id, user: User.bob.id, device: DeviceID(known: "ses_b"),
                    transport: nil, joinedAt: .fixture))
            rows.descriptions.removeFirst()
            rows.descriptions[0].state = .settled
            rows.held = [rows.held[1], Self.held(12, call: rows.call.id)]
            rows.candidateCounts[1].count = 50
            rows.candidateCounts.removeFirst()
            let second = rows
            try await store.write { try $0.save(second, replacing: first) }
            #expect(try await find(first.call.id) == second)

            // Participants and legs are the record: never deleted.
            var bare = second
            bare.participants = []
            bare.legs = []
            (bare.descriptions, bare.held, bare.candidateCounts) = ([], [], [])
            let third = bare
            try await store.write { try $0.save(third, replacing: second) }
            let stored = try await find(first.call.id)
            #expect(stored?.participants == second.participants)
            #expect(stored?.legs == second.legs)
            #expect(stored?.descriptions == [] && stored?.held == [] && stored?.candidateCounts == [])
        }
    }

    @Test(arguments: StoreKind.allCases) func aCallIsNewOnceAndItsRoomMustExist(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            try await store.write { try $0.save(Self.call(1), replacing: nil) }
            await expectFailure((any Error).self) {
                try await store.write { try $0.save(Self.call(1), replacing: nil) }
            }
            await expectFailure((any Error).self) {
                try await store.write { writer in
                    var rows = Self.call(2)
                    rows.call.room = .fixture(77)
                    try writer.save(rows, replacing: nil)
                }
            }
        }
    }

    @Test(arguments: StoreKind.allCases) func callsOfARoomAreNewestFirstAndByState(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            try await store.write { writer in
                try writer.insert(Room.fixture("den", id: .fixture(2), createdBy: User.alice.id))
                for number in [3, 1, 4, 2] {
                    try writer.save(Self.call(number, state: number % 2 == 0 ? .ended : .active), replacing: nil)
                }
                var elsewhere = Self.call(9)
                elsewhere.call.room = .fixture(2)
                try writer.save(elsewhere, replacing: nil)
            }
            try await store.read { reader throws in
                let lobby = Room.lobby.id
                let ids = { (numbers: [Int]) in numbers.map(CallID.fixture) }
                #expect(try reader.calls(in: lobby, state: nil, before: nil, limit: 9) == ids([4, 3, 2, 1]))
                #expect(try reader.calls(in: lobby, state: nil, before: .fixture(3), limit: 1) == ids([2]))
                #expect(try reader.calls(in: lobby, state: .ended, before: nil, limit: 9) == ids([4, 2]))
                #expect(try reader.calls(in: lobby, state: .active, before: .fixture(3), limit: 9) == ids([1]))
                #expect(try reader.calls(in: lobby, state: .ringing, before: nil, limit: 9) == [])
            }
        }
    }

    @Test(arguments: StoreKind.allCases) func liveCallsAreThoseInWhichAUserIsInvitedOrJoined(
        kind: StoreKind
    ) async throws {
        try await kind.runInLobby { store in
            var second = Self.call(2)
            second.call.room = .fixture(2)
            var left = Self.call(3)
            left.participants[0].state = .left
            let elsewhere = second
            let leftByBob = left
            try await store.write { writer in
                try writer.insert(Room.fixture("den", id: .fixture(2), createdBy: User.alice.id))
                try writer.save(leftByBob, replacing: nil)
                try writer.save(elsewhere, replacing: nil)
                try writer.save(Self.call(1), replacing: nil)
                try writer.save(Self.call(4, state: .ended), replacing: nil)
            }
            let live = { (user: UserID, room: RoomID?) async throws in
                try await store.read { try $0.liveCalls(of: user, in: room) }
            }
            #expect(try await live(User.bob.id, nil) == [.fixture(1), .fixture(2)])
            #expect(try await live(User.bob.id, .fixture(2)) == [.fixture(2)])
            #expect(try await live(User.alice.id, Room.lobby.id) == [.fixture(1), .fixture(3)])
            #expect(try await live(User.carol.id, nil) == [])
            // A missed call keeps its invited participant, unchanged, and is not live.
            try await store.write { writer in
                var ended = Self.call(1)
                ended.call.state = .ended
                try writer.save(ended, replacing: Self.call(1))
            }
            #expect(try await live(User.bob.id, nil) == [.fixture(2)])
        }
    }

    @Test(arguments: StoreKind.allCases) func qualityIsOneRowForEachLegAndPeer(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            try await store.write { try $0.save(Self.call(1), replacing: nil) }
            let quality = { (peer: UserID?, count: Int) in
                CallQuality(
                    call: .fixture(1), user: User.alice.id, leg: .fixture(10), peer: peer, firstAt: .fixture,
                    lastAt: Timestamp.fixture.advanced(by: .seconds(count)), reportCount: count,
                    localCandidateType: .relay, remoteCandidateType: count > 1 ? .prflx : nil,
                    candidateProtocol: .udp, relayProtocol: .tls,
                    metrics: [.rttMs: .init(last: 0.1, worst: 60_000, mean: 1 / 3, count: count)])
            }
            let (unnamed, bob, carol) = (quality(nil, 1), quality(User.bob.id, 1), quality(User.carol.id, 2))
            let later = quality(nil, 7)
            try await store.write { writer in
                for row in [unnamed, bob, carol] { try writer.save(row) }
                try writer.save(later)
                #expect(try writer.quality(of: .fixture(10), peer: nil) == later)
            }
            try await store.read { reader throws in
                #expect(try reader.qualities(of: .fixture(1)) == [later, bob, carol])
                #expect(try reader.qualityCount(of: .fixture(1)) == 3)
                #expect(try reader.quality(of: .fixture(10), peer: User.bob.id) == bob)
                #expect(try reader.quality(of: .fixture(10), peer: User.alice.id) == nil)
                #expect(try reader.qualities(of: .fixture(2)) == [])
            }
            await expectFailure((any Error).self) {
                try await store.write { writer in
                    var stray = bob
                    stray.leg = .fixture(77)
                    try writer.save(stray)
                }
            }
        }
    }

    @Test(arguments: StoreKind.allCases) func timelineKeepsItsOrder(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            let entries = (0..<5).map { number in
                TimelineEntry(
                    at: .fixture, kind: "state", user: number == 2 ? nil : User.alice.id, data: "{\"n\":\(number)}")
            }
            try await store.write { writer in
                try writer.save(Self.call(1), replacing: nil)
                try writer.save(Self.call(2), replacing: nil)
                for entry in entries { try writer.insert(entry, of: .fixture(1)) }
                try writer.insert(entries[0], of: .fixture(2))
            }
            expect(try await store.read { try $0.timeline(of: .fixture(1)) }, is: entries)
            expect(try await store.read { try $0.timeline(of: .fixture(3)) }, is: [])
        }
    }
}
