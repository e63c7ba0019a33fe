import Core
import Hub
import TestSupport
import Testing

/// Bounds that only many rows reach.
struct BoundsTests {
    private let store = MemoryStore()
    private let ids = IDSource.seeded(1)

    private func signUp(
        _ username: String, refreshTokenHash: String = "0"
    ) async throws -> (user: User, session: Session) {
        let ids = self.ids
        return try await self.store.write {
            try $0.signUp(NewUser(username: username), refreshTokenHash: refreshTokenHash, now: .fixture, ids: ids)
        }
    }

    @Test func membersOfARoomAreBounded() async throws {
        let (owner, session) = try await self.signUp("owner")
        let late = try await self.signUp("late", refreshTokenHash: "1")
        let ids = self.ids
        let acting = Acting(user: owner, device: DeviceID(session: session.id, label: nil), now: .fixture, ids: ids)
        let joining = Acting(
            user: late.user, device: DeviceID(session: late.session.id, label: nil), now: .fixture, ids: ids)
        let room = try await self.store.write { store in
            let room = try store.createRoom(NewRoom(name: "lobby"), as: acting)
            for number in 1..<Limits.membersPerRoomMax {
                var member = User.fixture("u\(number)", id: ids.next(at: .fixture))
                // This store compares a name with all others.
                member.username = nil
                try store.insert(member)
                try store.insert(Member.fixture(member.id, of: room.id))
            }
            return room
        }
        var refusal: Problem?
        do {
            try await self.store.write { _ = try $0.putMember(.me, of: .id(room.id), role: nil, as: joining) }
        } catch let problem as Problem {
            refusal = problem
        }
        #expect(refusal?.kind == .limitReached)
    }

    @Test func spentRefreshTokensAreRememberedForAThousandGenerations() async throws {
        let (_, session) = try await self.signUp("alice")
        let generations = Limits.spentRefreshTokensKept + 2
        try await self.store.write { store in
            for number in 1...generations {
                _ = try store.refresh(tokenHash: "\(number - 1)", newTokenHash: "\(number)", now: .fixture)
            }
        }
        // Forgotten: refused, and the family stands.
        let forgotten = try await self.store.write { store in
            _ = try store.refresh(tokenHash: "0", newTokenHash: "copy", now: .fixture)
            return try store.session(session.id)?.revokedAt
        }
        #expect(forgotten == nil)
        // Remembered: a copy, so the family is revoked.
        let remembered = try await self.store.write { store in
            _ = try store.refresh(tokenHash: "5", newTokenHash: "copy", now: .fixture)
            return try store.session(session.id)?.revokedAt
        }
        #expect(remembered != nil)
    }
}
