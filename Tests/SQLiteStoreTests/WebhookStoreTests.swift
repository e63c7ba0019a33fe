import Core
import Hub
import SQLiteStore
import TestSupport
import Testing

/// Webhooks and their attempts, in every implementation.
@Suite struct WebhookStoreTests {
    private static func webhook(_ number: Int) -> Webhook {
        Webhook(
            id: .fixture(number), url: "https://example.org/\(number)", description: "", room: Room.lobby.id,
            types: ["message.*", "call.ended"], secret: "whsec_x", createdBy: User.alice.id, createdAt: .fixture,
            position: Int64(number))
    }

    private static func attempt(_ number: Int) -> WebhookAttempt {
        WebhookAttempt(
            seq: Int64(number), type: "message.created", number: 1, at: .fixture, milliseconds: 7,
            status: number % 2 == 0 ? 200 : nil, error: number % 2 == 0 ? nil : "refused")
    }

    @Test(arguments: StoreKind.allCases) func webhooksComeBackAsTheyWent(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            var changed = Self.webhook(1)
            changed.room = nil
            changed.types = []
            changed.formerSecret = "whsec_y"
            changed.formerSecretUntil = .fixture
            changed.disabledAt = .fixture
            changed.disabledReason = .failing
            changed.failingSince = .fixture
            changed.attempts = 3
            changed.nextAttemptAt = .fixture
            changed.lastError = "refused"
            changed.revision = 2
            let expected = changed
            try await store.write { writer in
                try writer.insert(Self.webhook(1))
                try writer.insert(Self.webhook(2))
                try writer.update(expected)
            }
            #expect(try await store.read { try $0.webhooks() } == [expected, Self.webhook(2)])
            try await store.write { try $0.delete(expected) }
            #expect(try await store.read { try $0.webhook(.fixture(1)) } == nil)
            #expect(try await store.read { try $0.webhook(.fixture(2)) } == Self.webhook(2))
        }
    }

    @Test(arguments: StoreKind.allCases) func theNewestAttemptsAreKept(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            try await store.write { writer in
                for number in 1...2 { try writer.insert(Self.webhook(number)) }
                for number in 1...6 { try writer.insert(Self.attempt(number), of: .fixture(1)) }
                try writer.insert(Self.attempt(7), of: .fixture(2))
                try writer.deleteWebhookAttempts(of: .fixture(1), keeping: 4)
            }
            let page = try await store.read { try $0.webhookAttempts(of: .fixture(1), before: nil, limit: 3) }
            #expect(page.map(\.attempt) == [6, 5, 4].map(Self.attempt))
            let before = page.last?.id
            let rest = try await store.read { try $0.webhookAttempts(of: .fixture(1), before: before, limit: 3) }
            #expect(rest.map(\.attempt) == [Self.attempt(3)])
            try await store.write { try $0.delete(Self.webhook(1)) }
            #expect(try await store.read { try $0.webhookAttempts(of: .fixture(1), before: nil, limit: 9) }.isEmpty)
            #expect(try await store.read { try $0.webhookAttempts(of: .fixture(2), before: nil, limit: 9) }.count == 1)
        }
    }

    @Test(arguments: StoreKind.allCases) func theLogIsReadAsItIs(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            try await store.write { writer in
                for number in 0..<5 { try writer.append(.chat("\(number)")) }
            }
            let tail = try await store.read { try $0.logBounds().tail }
            let events = try await store.read { try $0.loggedEvents(after: tail - 3, limit: 2) }
            #expect(events.map(\.seq) == [tail - 2, tail - 1])
        }
    }
}
