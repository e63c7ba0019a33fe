import Core
import Foundation
import Gateway
import HTTPTypes
import Hub
import HummingbirdTesting
import TestSupport
import Testing

/// API keys: what they may, how they end, and that they are kept as hashes.
struct APIKeyTests {
    private static func make(
        _ person: Person, _ scopes: [String], expiresAt: Timestamp? = nil, name: String = "bot"
    ) async throws -> Reply {
        var body: [String: JSONValue] = ["name": .string(name), "scopes": .array(scopes.map { .string($0) })]
        body["expiresAt"] = expiresAt.map { .string($0.rfc3339) }
        return try await person.post("/v1/users/me/api-keys", .object(body))
    }

    /// Somebody with only a key.
    private static func holder(_ person: Person, _ scopes: [String], expiresAt: Timestamp? = nil) async throws -> Person
    {
        let made = try await self.make(person, scopes, expiresAt: expiresAt)
        let key = try #require(made.json["key"]?.stringValue, "\(made.text)")
        return Person(server: person.server, id: person.id, token: key, refreshToken: "")
    }

    @Test func aKeyDoesWhatItsScopesSay() async throws {
        try await TestServer.run { server in
            let siti = try await server.signUp("siti")
            let room = try await siti.makeRoom("lobby")
            let bot = try await Self.holder(siti, ["messages:write"])
            #expect(try await bot.post("/v1/rooms/lobby/messages", ["content": "hujan"]).status == 201)
            for path in ["/v1/rooms/lobby/messages", "/v1/rooms", "/v1/users/me", "/v1/events", "/v1/admin/audit"] {
                let refused = try await bot.get(path)
                #expect(refused.status == 403 && refused.slug == "insufficient-scope", "\(path): \(refused.text)")
            }
            #expect(try await bot.delete("/v1/rooms/\(room)").slug == "insufficient-scope")
            #expect(try await bot.get("/v1/rooms").json["detail"]?.stringValue?.contains("rooms:read") == true)
            // What its user may not, a key may not either.
            let dewi = try await server.signUp("dewi")
            let stranger = try await Self.holder(dewi, ["messages:write"])
            let refused = try await stranger.post("/v1/rooms/lobby/messages", ["content": "x"])
            #expect(refused.slug == "not-a-member")
        }
    }

    @Test func noKeyMakesKeysOrEndsItsUser() async throws {
        try await TestServer.run { server in
            let siti = try await server.signUp("siti")
            let all = Scope.allCases.filter { !$0.isForAdmins }.map(\.rawValue)
            let bot = try await Self.holder(siti, all)
            #expect(try await Self.make(bot, ["messages:read"]).slug == "insufficient-scope")
            #expect(try await bot.get("/v1/users/me/api-keys").slug == "insufficient-scope")
            #expect(try await bot.delete("/v1/users/me").slug == "insufficient-scope")
            #expect(try await bot.delete("/v1/tokens/current").slug == "insufficient-scope")
            #expect(try await bot.get("/v1/users/me").status == 200)
        }
    }

    @Test func keysAreShownOnceAndListedWithoutTheirSecret() async throws {
        try await TestServer.run { server in
            let siti = try await server.signUp("siti")
            let made = try await Self.make(siti, ["events:read", "calls:read"])
            let key = try #require(made.json["key"]?.stringValue)
            #expect(key.hasPrefix("cbk_") && made.status == 201)
            let listed = try await siti.get("/v1/users/me/api-keys")
            #expect(!listed.text.contains(key))
            let item = try #require(listed.json["items"]?.items.first)
            #expect(item["scopes"]?.items == ["calls:read", "events:read"])
            #expect(item["lastUsedAt"] == .null && item["expiresAt"] == .null)
            let bot = Person(server: server, id: siti.id, token: key, refreshToken: "")
            server.clock.advance(by: .seconds(60))
            #expect(try await bot.get("/v1/events").status == 200)
            let used = try await siti.get("/v1/users/me/api-keys").json["items"]?.items.first
            #expect(used?["lastUsedAt"]?.stringValue == server.clock.now.rfc3339)
            #expect(!server.log.contains { $0.data.contains(key) })
            let other = try await server.signUp("budi")
            #expect(try await other.get("/v1/users/me/api-keys").json["items"]?.items.isEmpty == true)
            #expect(try await other.get("/v1/users/\(siti.id)/api-keys").status == 404)
            #expect(try await other.delete("/v1/users/me/api-keys/\(made.id)").status == 404)
        }
    }

    @Test func adminScopesAreForAdmins() async throws {
        try await TestServer.run { server in
            let siti = try await server.signUp("siti", password: "correct horse")
            #expect(try await Self.make(siti, ["admin:read"]).slug == "forbidden")
            let admin = try await server.admin()
            let reader = try await Self.holder(admin, ["admin:read"])
            #expect(try await reader.get("/v1/admin/users").status == 200)
            #expect(
                try await reader.patch("/v1/admin/users/\(siti.id)", ["suspended": true]).slug == "insufficient-scope")
            let writer = try await Self.holder(admin, ["admin:write"])
            #expect(try await writer.patch("/v1/admin/users/\(siti.id)", ["suspended": true]).status == 200)
            #expect(try await writer.get("/v1/admin/users").slug == "insufficient-scope")
        }
    }

    @Test func aKeyEndsWhenItExpires() async throws {
        try await TestServer.run { server in
            let siti = try await server.signUp("siti")
            let end = server.clock.now.advanced(by: .seconds(600))
            let bot = try await Self.holder(siti, ["users:read", "events:read"], expiresAt: end)
            #expect(try await bot.get("/v1/users/me").status == 200)
            let ticket = try await bot.post("/v1/stream-tickets").json["ticket"]?.stringValue
            let identity = try await server.gateway.authenticator.identity(
                ticket: try #require(ticket), deviceLabel: nil, for: .webSocket
            ).identity
            // Nor does what it was traded for outlive it, or reach further.
            #expect(identity.expiresAt == end)
            #expect(identity.reaches(.readEvents) && !identity.reaches(.postMessage))
            server.clock.advance(by: .seconds(600))
            #expect(try await bot.get("/v1/users/me").slug == "unauthorized")
        }
    }

    @Test func aDeletedKeyEndsAtOnceAndOthersStay() async throws {
        try await TestServer.run { server in
            let siti = try await server.signUp("siti")
            let made = try await Self.make(siti, ["users:read"])
            let key = try #require(made.json["key"]?.stringValue)
            let bot = Person(server: server, id: siti.id, token: key, refreshToken: "")
            let other = try await Self.holder(siti, ["users:read"])
            #expect(try await bot.get("/v1/users/me").status == 200)
            #expect(try await siti.delete("/v1/users/me/api-keys/\(made.id)").status == 204)
            #expect(try await bot.get("/v1/users/me").status == 401)
            #expect(try await other.get("/v1/users/me").status == 200)
            #expect(try await siti.get("/v1/users/me").status == 200)
            #expect(try await siti.delete("/v1/users/me/api-keys/\(made.id)").status == 404)
        }
    }

    @Test func keysEndWithTheirUser() async throws {
        try await TestServer.run { server in
            let siti = try await server.signUp("siti", password: "correct horse")
            let budi = try await server.signUp("budi", password: "correct horse")
            let (first, second) = (
                try await Self.holder(siti, ["users:read"]), try await Self.holder(budi, ["users:read"])
            )
            let admin = try await server.admin()
            #expect(try await admin.patch("/v1/admin/users/\(siti.id)", ["suspended": true]).status == 200)
            #expect(try await budi.delete("/v1/users/me").status == 204)
            #expect(try await first.get("/v1/users/me").status == 401)
            #expect(try await second.get("/v1/users/me").status == 401)
            #expect(try await admin.patch("/v1/admin/users/\(siti.id)", ["suspended": false]).status == 200)
            #expect(try await first.get("/v1/users/me").status == 401)
        }
    }

    @Test func expiredKeysMakeRoomAndOthersDoNot() async throws {
        try await TestServer.run { server in
            let siti = try await server.signUp("siti")
            let end = server.clock.now.advanced(by: .seconds(60))
            for _ in 0..<10 { #expect(try await Self.make(siti, ["users:read"], expiresAt: end).status == 201) }
            for _ in 10..<Limits.apiKeysPerUserMax { #expect(try await Self.make(siti, ["users:read"]).status == 201) }
            #expect(try await Self.make(siti, ["users:read"]).slug == "limit-reached")
            server.clock.advance(by: .seconds(60))
            for _ in 0..<10 { #expect(try await Self.make(siti, ["users:read"]).status == 201) }
            #expect(try await Self.make(siti, ["users:read"]).slug == "limit-reached")
            let page = try await siti.get("/v1/users/me/api-keys?limit=30")
            #expect(page.json["items"]?.items.count == 30)
            let next = try #require(page.json["next"]?.stringValue)
            let rest = try await siti.get("/v1/users/me/api-keys?limit=30&after=\(next)")
            #expect(rest.json["items"]?.items.count == Limits.apiKeysPerUserMax - 30)
        }
    }

    @Test func fieldsAreChecked() async throws {
        try await TestServer.run { server in
            let siti = try await server.signUp("siti")
            let past = server.clock.now
            let far = past.advanced(by: Limits.apiKeyLifetimeMax + .seconds(1))
            #expect(try await Self.make(siti, []).field == "scopes")
            #expect(try await Self.make(siti, ["messages:delete"]).field == "scopes[0]")
            #expect(try await Self.make(siti, ["users:read"], name: " ").field == "name")
            #expect(try await Self.make(siti, ["users:read"], name: String(repeating: "n", count: 65)).field == "name")
            #expect(try await Self.make(siti, ["users:read"], name: "a\u{202E}b").field == "name")
            let made = try await Self.make(siti, ["users:read"], name: String(repeating: "n", count: 64))
            // Nothing is at its path to be read.
            #expect(made.status == 201 && made.headers[.location] == nil)
            #expect(try await Self.make(siti, ["users:read"], expiresAt: past).field == "expiresAt")
            #expect(try await Self.make(siti, ["users:read"], expiresAt: far).field == "expiresAt")
            let last = past.advanced(by: Limits.apiKeyLifetimeMax)
            #expect(try await Self.make(siti, ["users:read"], expiresAt: last).status == 201)
        }
    }

    /// The second request of a connection is the express lane's; it must know what a key may, and that it has ended.
    @Test func theExpressLaneKnowsKeys() async throws {
        try await TestServer.run(.ahc(.http)) { server in
            let siti = try await server.signUp("siti")
            _ = try await siti.makeRoom("lobby")
            let (writer, reader) = (
                try await Self.holder(siti, ["messages:write"]), try await Self.holder(siti, ["users:read"])
            )
            for _ in 0..<3 {
                #expect(try await writer.post("/v1/rooms/lobby/messages", ["content": "x"]).status == 201)
                #expect(try await reader.get("/v1/users/me").status == 200)
                let refused = try await reader.post("/v1/rooms/lobby/messages", ["content": "x"])
                #expect(refused.slug == "insufficient-scope")
            }
            let keys = try await siti.get("/v1/users/me/api-keys").json["items"]?.items ?? []
            let id = try #require(
                keys.first { $0["scopes"]?.items == ["messages:write"] }?["id"]?.stringValue)
            #expect(try await siti.delete("/v1/users/me/api-keys/\(id)").status == 204)
            #expect(try await writer.post("/v1/rooms/lobby/messages", ["content": "x"]).status == 401)
        }
    }
}
