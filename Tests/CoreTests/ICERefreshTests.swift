import Core
import Hub
import TestSupport
import Testing

/// When participants need other TURN credentials, as the store has it.
struct ICERefreshTests {
    private let store = MemoryStore()
    private let ids = IDSource.seeded(11)
    private let alice = User.fixture("alice")
    private let bob = User.fixture("bob")
    private let room = Room.fixture(createdBy: User.fixture("alice").id)
    private static let lifetime = Duration.seconds(600)

    private func acting(_ user: User, _ seconds: Int = 0, device: String? = nil) -> Acting {
        Acting(
            user: user, device: DeviceID(session: SessionID(known: "ses_\(user.displayName)"), label: device),
            now: Self.time(seconds), ids: self.ids)
    }

    private static func time(_ seconds: Int) -> Timestamp { Timestamp.fixture.advanced(by: .seconds(seconds)) }

    /// Alice calls with credentials at 0 s, Bob joins with some at 10 s.
    private func call() async throws -> CallID {
        let (room, users) = (self.room, [self.alice, self.bob])
        let (asAlice, asBob) = (self.acting(self.alice), self.acting(self.bob, 10))
        return try await self.store.write { store in
            for user in users { try store.insert(user) }
            try store.insert(room)
            for user in users { try store.insert(Member.fixture(user.id, of: room.id)) }
            let new = NewCall(
                media: CallMedia(audio: true, video: true), leaveTokenHash: "a", credentialsLifetime: Self.lifetime)
            let id = try store.createCall(in: .id(room.id), new, as: asAlice).call.id
            let joining = CallJoining(leaveTokenHash: "b", credentialsLifetime: Self.lifetime)
            _ = try store.joinCall(id, joining, as: asBob)
            return id
        }
    }

    private func due(_ seconds: Int) async throws -> [DueICERefresh] {
        try await self.store.read { try $0.iceRefreshesDue(by: Self.time(seconds), limit: 9) }
    }

    private func refresh(_ seconds: Int, lifetime: Duration?) async throws {
        let due = try await self.due(seconds)
        try await self.store.write {
            try $0.refreshICEServers(due, lifetime: lifetime, now: Self.time(seconds))
        }
    }

    private func tail() async throws -> Int64 { try await self.store.read { try $0.logBounds().tail } }

    @Test func credentialsAreReplacedAtHalfOfTheirLifeFromWhenTheyWereGiven() async throws {
        _ = try await self.call()
        #expect(try await self.due(299) == [])
        #expect(try await self.due(300).map(\.user) == [self.alice.id])
        #expect(try await self.due(310).map(\.user) == [self.alice.id, self.bob.id])
        let before = try await self.tail()
        try await self.refresh(310, lifetime: .seconds(100))
        #expect(try await self.tail() == before + 2)
        #expect(try await self.due(359) == [])
        #expect(try await self.due(360).count == 2)
        // Long away: told once, not once for each time that was missed.
        try await self.refresh(5000, lifetime: .seconds(100))
        #expect(try await self.tail() == before + 4)
        #expect(try await self.due(5049) == [])
    }

    @Test func whereThereAreNoRelaysAnyMoreNobodyIsTold() async throws {
        _ = try await self.call()
        let before = try await self.tail()
        try await self.refresh(310, lifetime: nil)
        #expect(try await self.tail() == before)
        #expect(try await self.due(100_000) == [])
    }

    @Test func aReloadedPageIsToldByItsOwnCredentialsAndWhoLeftIsNot() async throws {
        let call = try await self.call()
        let (again, leaving) = (self.acting(self.bob, 200), self.acting(self.alice, 250))
        try await self.store.write { store in
            let joining = CallJoining(leaveTokenHash: "c", credentialsLifetime: Self.lifetime)
            _ = try store.joinCall(call, joining, as: again)
        }
        #expect(try await self.due(310).map(\.user) == [self.alice.id])
        #expect(try await self.due(500).map(\.user) == [self.alice.id, self.bob.id])
        try await self.store.write { _ = try $0.leaveCall(call, reason: nil, by: .user(leaving)) }
        #expect(try await self.due(100_000).isEmpty, "the call of one is over")
    }
}
