import Core
import Hub
import SQLiteStore
import TestSupport
import Testing

/// API keys and invites, in every implementation.
@Suite struct CredentialTests {
    @Test(arguments: StoreKind.allCases) func keysAreFoundByHashSessionAndUser(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            let keys = (1...3).map { number in
                APIKey(
                    id: .fixture(number), hash: "h\(number)", user: number == 3 ? User.bob.id : User.alice.id,
                    session: .fixture(number), name: "key", scopes: number == 1 ? [.eventsRead, .callsWrite] : [],
                    createdAt: .fixture, expiresAt: number == 2 ? nil : Timestamp.fixture.advanced(by: .seconds(1)))
            }
            try await store.write { writer in
                for key in keys {
                    try writer.insert(
                        Session(id: key.session, user: key.user, createdAt: .fixture, lastUsedAt: .fixture))
                    try writer.insert(key)
                }
            }
            let (byHash, bySession, ofAlice) = try await store.read {
                try ($0.apiKey(hash: "h1"), $0.apiKey(of: .fixture(2)), $0.apiKeys(of: User.alice.id))
            }
            #expect(byHash == keys[0] && bySession == keys[1] && ofAlice == [keys[0], keys[1]])
            await #expect(throws: (any Error).self) { try await store.write { try $0.insert(keys[0]) } }
            try await store.write { try $0.delete(keys[0]) }
            let gone = try await store.read { try ($0.apiKey(hash: "h1"), $0.apiKeys(of: User.alice.id)) }
            #expect(gone.0 == nil && gone.1 == [keys[1]])
        }
    }

    @Test(arguments: StoreKind.allCases) func invitesAreKeptUntilTheyExpire(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            let invites = (1...3).map { number in
                Invite(
                    id: .fixture(number), hash: "h\(number)", note: number == 1 ? "kelas" : nil,
                    createdBy: User.alice.id, createdAt: .fixture,
                    expiresAt: Timestamp.fixture.advanced(by: .seconds(number)), usesMax: number)
            }
            try await store.write { writer in
                for invite in invites { try writer.insert(invite) }
                var used = invites[2]
                used.uses = 2
                try writer.update(used)
            }
            let found = try await store.read { store in
                (
                    try store.invite(hash: "h1"), try store.invite(.fixture(3))?.uses,
                    try store.invites(after: nil, limit: 2)
                )
            }
            #expect(found.0 == invites[0] && found.1 == 2 && found.2 == [invites[0], invites[1]])
            try await store.write { try $0.deleteInvites(expiredBy: Timestamp.fixture.advanced(by: .seconds(2))) }
            let left = try await store.read { try $0.invites(after: .fixture(1), limit: 9).map(\.id) }
            #expect(left == [.fixture(3)])
            try await store.write { writer in
                if let invite = try writer.invite(.fixture(3)) { try writer.delete(invite) }
            }
            #expect(try await store.read { try $0.invites(after: nil, limit: 9) }.isEmpty)
        }
    }
}
