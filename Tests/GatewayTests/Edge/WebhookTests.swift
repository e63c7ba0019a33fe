import Core
import Foundation
import Gateway
import HTTPTypes
import Hub
import HummingbirdTesting
import TestSupport
import Testing

/// `/v1/webhooks` as admins use it; deliveries are in `Tests/EndToEnd/test_webhooks.py`.
struct WebhookTests {
    private static let url: JSONValue = "https://example.org/hook"

    @Test func secretsAreShownOnceAndNeverAgain() async throws {
        try await TestServer.run { server in
            let admin = try await server.admin()
            let made = try await admin.post("/v1/webhooks", ["url": Self.url, "types": ["message.*"]])
            let secret = try #require(made.json["secret"]?.stringValue, "\(made.text)")
            #expect(made.status == 201 && secret.hasPrefix("whsec_"))
            #expect(Data(base64Encoded: String(secret.dropFirst(6)))?.count == 32)
            for path in ["/v1/webhooks", "/v1/webhooks/\(made.id)", "/v1/admin/audit"] {
                let shown = try await admin.get(path)
                #expect(shown.status == 200 && !shown.text.contains(secret), "\(path)")
            }
            let rotated = try await admin.post("/v1/webhooks/\(made.id)/secret")
            let next = try #require(rotated.json["secret"]?.stringValue)
            #expect(next != secret)
            let stored = try await server.store.read { try $0.webhooks().first }
            #expect(stored?.secrets(at: server.clock.now) == [next, secret])
            #expect(!server.log.contains { $0.data.contains(secret) || $0.data.contains(next) })
        }
    }

    @Test func onlyAdminsAndTheirKeys() async throws {
        try await TestServer.run { server in
            let siti = try await server.signUp("siti")
            #expect(try await siti.post("/v1/webhooks", ["url": Self.url]).slug == "forbidden")
            #expect(try await siti.get("/v1/webhooks").slug == "forbidden")
            _ = try await server.admin()
            let key = try await server.makeKey([.adminRead], for: nil)
            let reader = Person(server: server, id: "", token: key, refreshToken: "")
            #expect(try await reader.get("/v1/webhooks").status == 200)
            #expect(try await reader.post("/v1/webhooks", ["url": Self.url]).slug == "insufficient-scope")
        }
    }

    @Test func fieldsAreChecked() async throws {
        try await TestServer.run { server in
            let admin = try await server.admin()
            for url in [
                "", "example.org", "ftp://example.org", "https://", "https://user:secret@example.org/",
                "https://example.org/#part", "https://example.org/a b", "https://example.org:99999/",
                "https://example.org/" + String(repeating: "x", count: 2048), "javascript:alert(1)", "HTTPS", ":",
            ] {
                #expect(try await admin.post("/v1/webhooks", ["url": .string(url)]).field == "url", "\(url)")
            }
            let loud = try await admin.post("/v1/webhooks", ["url": "HTTPS://EXAMPLE.ORG/X"])
            #expect(loud.status == 201 && loud.json["url"] == "https://EXAMPLE.ORG/X", "\(loud.text)")
            for types in [["signal"], ["typing"], ["ice-servers.refresh"], ["nothing.*"], ["read.updated"]] {
                let body: JSONValue = ["url": Self.url, "types": .array(types.map { .string($0) })]
                #expect(try await admin.post("/v1/webhooks", body).field == "types", "\(types)")
            }
            let many: JSONValue = .array(Array(repeating: "message.*", count: 51))
            #expect(try await admin.post("/v1/webhooks", ["url": Self.url, "types": many]).field == "types")
            let long = JSONValue.string(String(repeating: "d", count: 201))
            #expect(
                try await admin.post("/v1/webhooks", ["url": Self.url, "description": long]).field == "description")
            #expect(try await admin.post("/v1/webhooks", ["url": Self.url, "room": "nowhere"]).status == 404)
            let made = try await admin.post("/v1/webhooks", ["url": Self.url])
            #expect(try await admin.post("/v1/webhooks/\(made.id)/redeliver", ["after": "x"]).field == "after")
            let gone = try await admin.post("/v1/webhooks/\(made.id)/redeliver", ["after": "0000.7"])
            #expect(gone.slug == "cursor-expired")
            // The detail is true of a cursor of the future, too.
            let tail = try #require(made.json["cursor"]?.stringValue)
            #expect(gone.json["detail"]?.stringValue?.contains("up to \(tail)") == true, "\(gone.text)")
        }
    }

    @Test func webhooksAreBounded() async throws {
        try await TestServer.run { server in
            let admin = try await server.admin()
            for _ in 0..<Limits.webhooksMax {
                #expect(try await admin.post("/v1/webhooks", ["url": Self.url]).status == 201)
            }
            #expect(try await admin.post("/v1/webhooks", ["url": Self.url]).slug == "limit-reached")
        }
    }

    @Test func aChangeIsNotUndoneByADeliveryThatWasUnderWay() async throws {
        try await TestServer.run { server in
            let admin = try await server.admin()
            let made = try await admin.post("/v1/webhooks", ["url": Self.url])
            let underWay = try #require(try await server.store.read { try $0.webhooks().first })
            #expect(try await admin.patch("/v1/webhooks/\(made.id)", ["enabled": false]).status == 200)
            var delivered = underWay
            delivered.position += 1
            let (after, now) = (delivered, server.clock.now)
            #expect(!(try await server.store.write { try $0.record(after, [], now: now) }))
            let shown = try await admin.get("/v1/webhooks/\(made.id)")
            #expect(shown.json["enabled"] == false && shown.json["disabledReason"] == "admin")
            #expect(try await admin.delete("/v1/webhooks/\(made.id)").status == 204)
            #expect(try await admin.get("/v1/webhooks/\(made.id)").status == 404)
        }
    }

    @Test func whatIsDisabledTellsItsAdmins() async throws {
        try await TestServer.run { server in
            let admin = try await server.admin()
            let siti = try await server.signUp("siti")
            _ = try await admin.post("/v1/webhooks", ["url": Self.url])
            let webhook = try #require(try await server.store.read { try $0.webhooks().first })
            let now = server.clock.now
            let gone = WebhookSchedule.next(webhook, seq: webhook.position + 1, .gone, jitter: 0, now: now)
            #expect(try await server.store.write { try $0.record(gone, [], now: now) })
            let seen = try await server.events(visibleTo: admin).filter { $0.type == .webhookDisabled }
            #expect(seen.count == 1 && seen.first?.data.contains("\"gone\"") == true)
            #expect(try await server.events(visibleTo: siti).allSatisfy { $0.type != .webhookDisabled })
        }
    }

    /// The log is the outbox: what a webhook waits for stays, unless it is hopelessly behind.
    @Test func theLogWaitsForActiveWebhooks() async throws {
        try await TestServer.run { server in
            let admin = try await server.admin()
            let siti = try await server.signUp("siti")
            _ = try await siti.makeRoom("lobby")
            _ = try await admin.post("/v1/webhooks", ["url": Self.url])
            let position = try #require(try await server.store.read { try $0.webhooks().first?.position })
            for number in 0..<50 { _ = try await siti.say("\(number)", in: "lobby") }
            var retention = Retention()
            retention.eventsMax = 10
            server.clock.advance(by: .seconds(48 * 3600))
            try await retention.sweep(server.store, now: server.clock.now)
            #expect(try await server.store.read { try $0.logBounds().trimmedThrough } == position)
            let id = try #require(try await server.store.read { try $0.webhooks().first?.id })
            let again = try await server.admin()
            #expect(try await again.patch("/v1/webhooks/\(id)", ["enabled": false]).status == 200)
            try await retention.sweep(server.store, now: server.clock.now)
            #expect(try await server.store.read { try $0.logBounds().trimmedThrough } > position)
        }
    }
}
