import Core
import Foundation
import Gateway
import HTTPTypes
import Hub
import HummingbirdTesting
import TestSupport
import Testing

/// What is counted, as whose, and what an answer says about it.
struct RateLimitTests {
    private static func settings(_ quotas: [RateClass: RateQuota]) -> GatewaySettings {
        var settings = GatewaySettings()
        settings.rates = RateSettings(quotas: quotas)
        return settings
    }

    private static func field(_ name: String, of reply: Reply) -> String? {
        HTTPField.Name(name).flatMap { reply.headers[$0] }
    }

    /// The first post of a connection is the router's, later ones the express lane's: they count alike.
    @Test func bothLanesCountAndTell() async throws {
        let quota = RateQuota(5, in: .seconds(50))
        try await TestServer.run(.ahc(.http), settings: Self.settings([.messages: quota])) { server in
            let siti = try await server.signUp("siti")
            _ = try await siti.makeRoom("lobby")
            for left in (0..<5).reversed() {
                let reply = try await siti.post("/v1/rooms/lobby/messages", ["content": "x"])
                #expect(reply.status == 201)
                #expect(Self.field("RateLimit", of: reply) == "\"messages\";r=\(left);t=\((5 - left) * 10)")
                #expect(Self.field("RateLimit-Policy", of: reply) == "\"messages\";q=5;w=50")
            }
            for _ in 0..<3 {
                let refused = try await siti.post("/v1/rooms/lobby/messages", ["content": "x"])
                #expect(refused.status == 429 && refused.slug == "rate-limited")
                #expect(Self.field("Retry-After", of: refused) == "10")
                #expect(Self.field("RateLimit", of: refused) == "\"messages\";r=0;t=50")
            }
            // Of a user, not of a token, and not of others.
            let tokens = try await server.send(
                .post, "/v1/tokens", ["grant": "refresh", "refreshToken": .string(siti.refreshToken)])
            let again = try Person(server: server, signedIn: tokens.json)
            #expect(try await again.post("/v1/rooms/lobby/messages", ["content": "x"]).status == 429)
            let budi = try await server.signUp("budi")
            try await budi.join("lobby")
            #expect(try await budi.post("/v1/rooms/lobby/messages", ["content": "x"]).status == 201)
            server.clock.advance(by: .seconds(10))
            #expect(try await siti.post("/v1/rooms/lobby/messages", ["content": "x"]).status == 201)
            #expect(try await siti.post("/v1/rooms/lobby/messages", ["content": "x"]).status == 429)
        }
    }

    /// What the express lane leaves to the router is counted once.
    @Test func whatIsRefusedForAnotherReasonIsCountedOnce() async throws {
        let quota = RateQuota(10, in: .seconds(100))
        try await TestServer.run(.ahc(.http), settings: Self.settings([.messages: quota])) { server in
            let siti = try await server.signUp("siti")
            _ = try await siti.makeRoom("lobby")
            for left in [9, 8, 7, 6] {
                let reply = try await siti.post("/v1/rooms/lobby/messages", ["content": ""])
                #expect(reply.status == 422)
                #expect(Self.field("RateLimit", of: reply)?.hasPrefix("\"messages\";r=\(left);") == true)
            }
        }
    }

    @Test func classesAndPathsThatNobodyCountsAreApart() async throws {
        let quota = RateQuota(2, in: .seconds(60))
        try await TestServer.run(settings: Self.settings([.reads: quota])) { server in
            let siti = try await server.signUp("siti")
            for _ in 0..<2 { #expect(try await siti.get("/v1/users/me").status == 200) }
            #expect(try await siti.get("/v1/rooms").slug == "rate-limited")
            #expect(try await siti.post("/v1/rooms", ["title": "Ruang"]).status == 201)
            for _ in 0..<5 {
                let health = try await server.send(.get, "/healthz")
                #expect(health.status == 200 && Self.field("RateLimit", of: health) == nil)
            }
        }
    }

    /// Promise 6: what ends a call gets through; what only says so again does not, for ever.
    @Test func hangingUpIsRefusedOnlyWhenItChangesNothing() async throws {
        let quota = RateQuota(10, in: .seconds(3600))
        try await TestServer.run(.ahc(.http), settings: Self.settings([.writes: quota])) { server in
            let siti = try await server.signUp("siti")
            _ = try await siti.makeRoom("lobby")
            let media: JSONValue = ["media": ["audio": true, "video": false]]
            let call = try await siti.post("/v1/rooms/lobby/calls", media).json["call"]?["id"]?.stringValue ?? ""
            while try await siti.patch("/v1/users/me", ["displayName": "S"]).status != 429 {}
            #expect(try await siti.post("/v1/calls/\(call)/leave").status == 200)
            #expect(try await siti.post("/v1/calls/\(call)/leave").slug == "rate-limited")
            #expect(try await siti.post("/v1/calls/\(call)/end").slug == "rate-limited")
        }
    }

    @Test func passwordsAreTriedTenTimesAndTheRightOneWaitsToo() async throws {
        let settings = Self.settings([.passwords: RateQuota(10, in: .seconds(300))])
        try await TestServer.run(.ahc(.http), settings: settings) { server in
            _ = try await server.signUp("siti", password: "correct horse")
            let attempt = { (name: String, password: String) in
                try await server.send(
                    .post, "/v1/tokens",
                    ["grant": "password", "username": .string(name), "password": .string(password)])
            }
            for _ in 0..<10 { #expect(try await attempt("siti", "wrong horse").status == 401) }
            for _ in 0..<200 { #expect(try await attempt("siti", "correct horse").status == 429) }
            // Others sign in from the same address.
            #expect(try await attempt("budi", "wrong horse").status == 401)
            server.clock.advance(by: .seconds(30))
            // One that is right costs nothing.
            for _ in 0..<5 { #expect(try await attempt("siti", "correct horse").status == 200) }
            #expect(try await attempt("siti", "wrong horse").status == 401)
            #expect(try await attempt("siti", "wrong horse").status == 429)
            // An address alone has ten times as many.
            var refused = false
            for number in 0..<100 where !refused {
                refused = try await attempt("nobody\(number)", "wrong horse").status == 429
            }
            #expect(refused)
        }
    }

    @Test func signUpsAndFailuresAreCountedByTheAddressThatATrustedProxyNames() async throws {
        var settings = Self.settings([
            .signUps: RateQuota(2, in: .seconds(60)), .anonymous: RateQuota(3, in: .seconds(60)),
        ])
        settings.trustedProxies = TrustedProxies(networks: [try #require(IPNetwork("127.0.0.1"))])
        let field = try #require(HTTPField.Name("X-Forwarded-For"))
        try await TestServer.run(.ahc(.http), settings: settings) { server in
            let signUp = { (name: String, address: String) in
                try await server.send(
                    .post, "/v1/users", ["username": .string(name)], headers: [field: address]
                ).status
            }
            #expect(try await signUp("aa", "192.0.2.1") == 201)
            #expect(try await signUp("bb", "2001:db8:0:1::1, 192.0.2.1") == 201)
            #expect(try await signUp("cc", "192.0.2.1") == 429)
            #expect(try await signUp("dd", "2001:db8:0:1::1") == 201)
            #expect(try await signUp("ee", "2001:db8:0:1:ffff::1") == 201)
            #expect(try await signUp("ff", "2001:db8:0:1::2") == 429)
            #expect(try await signUp("gg", "2001:db8:0:2::2") == 201)
            let ask = { (token: String?) in
                try await server.send(.get, "/v1/users/me", token: token, headers: [field: "192.0.2.9"]).status
            }
            for _ in 0..<3 { #expect(try await ask("cbk_nonsense") == 401) }
            #expect(try await ask("cbk_nonsense") == 429)
            #expect(try await ask(nil) == 429)
            // Who has valid credentials is not held up by others at their address.
            let siti = try await server.send(
                .post, "/v1/users", ["username": "siti"], headers: [field: "192.0.2.77"])
            #expect(try await ask(siti.json["accessToken"]?.stringValue) == 200)
        }
    }

    @Test func anSSEStreamOneTooManyIsToldInTheStream() async throws {
        let quota = RateQuota(1, in: .seconds(60))
        try await TestServer.run(.ahc(.http), settings: Self.settings([.events: quota])) { server in
            let siti = try await server.signUp("siti")
            #expect(try await siti.get("/v1/events").status == 200)
            let told = try await siti.get("/v1/events/stream")
            #expect(told.status == 200 && told.text.contains(#""reason":"limit""#))
            #expect(try await siti.get("/v1/events/stream?format=ndjson").status == 429)
            #expect(try await siti.get("/v1/events").status == 429)
        }
    }
}
