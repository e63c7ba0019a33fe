import Core
import Foundation
import Gateway
import HTTPTypes
import Hub
import HummingbirdTesting
import SQLiteStore
import TestSupport
import Testing

/// `/v1/users` and `/v1/tokens/current`.
struct IdentityTests {
    @Test func signingUpMakesAnAccountThatIsSignedIn() async throws {
        try await TestServer.run { server in
            let reply = try await server.send(
                .post, "/v1/users",
                ["username": "siti", "displayName": "Siti", "color": "#7a4fb5", "password": "correct horse"])
            #expect(reply.status == 201)
            #expect(reply.headers[.location] == "/v1/users/\(reply.json["user"]?["id"]?.stringValue ?? "")")
            #expect(reply.json["user"]?["kind"] == "account")
            #expect(reply.json["user"]?["role"] == "user")
            #expect(reply.json["user"]?["displayName"] == "Siti")
            #expect(reply.json["expiresAt"] == .string(Timestamp.fixture.advanced(by: .seconds(900)).rfc3339))
            #expect(!reply.text.contains("scrypt"))
            let token = try #require(reply.json["accessToken"]?.stringValue)
            let me = try await server.send(.get, "/v1/users/me", token: token)
            #expect(me.json["username"] == "siti")
            #expect(me.cursor != nil)
        }
    }

    @Test func guestsNeedOnlyAName() async throws {
        try await TestServer.run { server in
            let guest = try await server.signUp("budi")
            let me = try await guest.get("/v1/users/@budi")
            #expect(me.json["kind"] == "guest")
            #expect(me.json["displayName"] == "budi")
            #expect(me.json["color"]?.stringValue.map { User.isValid(color: $0) } == true)
        }
    }

    @Test func aNameIsTakenOnce() async throws {
        try await TestServer.run { server in
            _ = try await server.signUp("siti")
            let again = try await server.send(.post, "/v1/users", ["username": "siti"])
            #expect(again.status == 409)
            #expect(again.slug == "name-taken")
            #expect(try await server.send(.post, "/v1/users", ["username": "admin"]).slug == "name-taken")
        }
    }

    @Test func ofManySignUpsByOneNameOneWins() async throws {
        try await TestServer.run(.ahc()) { server in
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<16 {
                    group.addTask { try await server.send(.post, "/v1/users", ["username": "siti"]).status }
                }
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(statuses.count { $0 == 201 } == 1)
            #expect(statuses.count { $0 == 409 } == 15)
        }
    }

    @Test func usersOutOfSightLookLikeNone() async throws {
        try await TestServer.run { server in
            let (alice, bob) = (try await server.signUp("alice"), try await server.signUp("bob"))
            let unknown = try await alice.get("/v1/users/@nobody")
            let hidden = try await alice.get("/v1/users/@bob")
            #expect(hidden.status == 404)
            #expect(hidden.withoutInstance == unknown.withoutInstance)
            #expect(try await alice.patch("/v1/users/\(bob.id)", ["displayName": "x"]).status == 404)
            #expect(try await alice.get("/v1/users").json.items.isEmpty)

            let room = try await alice.makeRoom("lobby")
            try await bob.join(room)
            #expect(try await alice.get("/v1/users/@bob").status == 200)
            #expect(try await alice.get("/v1/users").json.items.count == 2)
            #expect(try await alice.patch("/v1/users/@bob", ["displayName": "x"]).slug == "forbidden")
            #expect(try await alice.delete("/v1/users/@bob").slug == "forbidden")
        }
    }

    @Test func adminsAndConfiguredServersSeeEverybody() async throws {
        try await TestServer.run(settings: GatewaySettings(allUsersVisible: true)) { server in
            let alice = try await server.signUp("alice")
            _ = try await server.signUp("bob")
            #expect(try await alice.get("/v1/users/@bob").status == 200)
            #expect(try await alice.get("/v1/users").json.items.count == 2)
        }
        try await TestServer.run { server in
            _ = try await server.signUp("bob")
            let admin = try await server.admin()
            #expect(try await admin.get("/v1/users/@bob").status == 200)
            #expect(try await admin.get("/v1/users").json.items.count == 2)
            #expect(try await admin.get("/v1/users/me").json["role"] == "admin")
        }
    }

    @Test func aChangedProfileShowsAtOnce() async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            let room = try await alice.makeRoom("lobby")
            #expect(try await alice.get("/v1/users/me").status == 200)
            let changed = try await alice.patch("/v1/users/me", ["displayName": "Alice A."])
            #expect(changed.json["displayName"] == "Alice A.")
            #expect(try await alice.get("/v1/rooms/\(room)/members").json.items[0]["displayName"] == "Alice A.")
            let message = try await alice.post("/v1/rooms/\(room)/messages", ["content": "hi"])
            #expect(message.json["displayName"] == "Alice A.")
        }
    }

    @Test func aDeletedUserLeavesOnlyAPseudonym() async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice", password: "long enough")
            let bob = try await server.signUp("bob")
            let room = try await alice.makeRoom("lobby")
            try await bob.join(room)
            let message = try await alice.say("hello", in: room)

            #expect(try await alice.delete("/v1/users/me").status == 204)

            #expect(try await alice.get("/v1/users/me").status == 401)
            let left = try #require(server.log.last { $0.type == .memberLeft })
            #expect(left.data.contains("\"reason\":\"deleted\""))
            #expect(!left.data.contains("alice"))
            let shown = try await bob.get("/v1/rooms/\(room)/messages/\(message)").json
            #expect(shown["displayName"] == "deleted user")
            #expect(shown["username"] == JSONValue.null)
            #expect(shown["content"] == "hello")
            let signIn: JSONValue = ["grant": "password", "username": "alice", "password": "long enough"]
            #expect(try await server.send(.post, "/v1/tokens", signIn).status == 401)
            // The name is free, and the room passed to who is left.
            _ = try await server.signUp("alice")
            #expect(try await bob.get("/v1/rooms/\(room)").json["role"] == "owner")
        }
    }

    @Test func guestsExpireADayAfterTheirLastUse() async throws {
        try await TestServer.run { server in
            let guest = try await server.signUp("guest")
            let account = try await server.signUp("account", password: "long enough")
            let expire = { @Sendable in
                let (now, ids) = (server.clock.now, server.gateway.ids)
                return try await server.store.write { try $0.expireGuests(now: now, ids: ids, limit: 10) }
            }
            server.clock.advance(by: .seconds(14 * 60))
            #expect(try await guest.get("/v1/users/me").status == 200)
            server.clock.advance(by: .seconds(24 * 3600))
            #expect(try await expire() == 0)
            server.clock.advance(by: .seconds(3600))
            #expect(try await expire() == 1)
            _ = try await server.signUp("guest")
            let signIn: JSONValue = ["grant": "password", "username": "account", "password": "long enough"]
            #expect(try await server.send(.post, "/v1/tokens", signIn).status == 200)
            _ = account
        }
    }

    @Test func signingOutEndsTheWholeFamilyAtOnce() async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            #expect(try await alice.get("/v1/users/me").status == 200)
            #expect(try await alice.delete("/v1/tokens/current").status == 204)
            #expect(try await alice.get("/v1/users/me").slug == "unauthorized")
            let refresh: JSONValue = ["grant": "refresh", "refreshToken": .string(alice.refreshToken)]
            #expect(try await server.send(.post, "/v1/tokens", refresh).status == 401)
            let revoked = server.log.filter { $0.type == .sessionRevoked }
            #expect(revoked.count == 1)
            #expect(revoked.first?.audiences == [])
        }
    }

    @Test func aTokenMustBeOursAndFresh() async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            let foreign = try await AccessTokens(secret: Data(repeating: 9, count: 32)).issue(
                for: .fixture("alice", id: UserID(known: alice.id)), session: .fixture(1), now: server.clock.now
            ).token
            for token in ["", "x", "a.b.c", foreign, alice.token + "x", alice.refreshToken] {
                #expect(try await server.send(.get, "/v1/users/me", token: token).status == 401, "\(token)")
            }
            #expect(try await server.send(.get, "/v1/users/me").headers[.wwwAuthenticate] == "Bearer")
            // {"alg":"none"} with alice's own claims.
            let claims = alice.token.split(separator: ".")[1]
            let unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.\(claims)."
            #expect(try await server.send(.get, "/v1/users/me", token: unsigned).status == 401)

            server.clock.advance(by: .seconds(899))
            #expect(try await alice.get("/v1/users/me").status == 200)
            server.clock.advance(by: .seconds(1))
            #expect(try await alice.get("/v1/users/me").status == 401)
        }
    }

    @Test func anotherPasswordNeedsThePresentOneAndEndsOtherSessions() async throws {
        try await TestServer.run { server in
            let siti = try await server.signUp("siti", password: "rahasia sekali")
            let signIn = { (password: String) in
                try await server.send(
                    .post, "/v1/tokens",
                    ["grant": "password", "username": "siti", "password": .string(password)])
            }
            let other = try Person(server: server, signedIn: try await signIn("rahasia sekali").json)
            for body: JSONValue in [
                ["password": "lebih rahasia"], ["password": "lebih rahasia", "currentPassword": "salah sekali"],
            ] {
                let refused = try await siti.patch("/v1/users/me", body)
                #expect(refused.status == 422 && refused.field == "currentPassword", "\(refused.text)")
            }
            let short: JSONValue = ["password": "pendek", "currentPassword": "rahasia sekali"]
            #expect(try await siti.patch("/v1/users/me", short).field == "password")
            let budi = try await server.signUp("budi")
            #expect(try await budi.patch("/v1/users/@siti", ["password": "lebih rahasia"]).status == 404)
            let change: JSONValue = ["password": "lebih rahasia", "currentPassword": "rahasia sekali"]
            #expect(try await siti.patch("/v1/users/me", change).status == 200)
            #expect(try await siti.get("/v1/users/me").status == 200)
            #expect(try await other.get("/v1/users/me").status == 401)
            #expect(try await signIn("rahasia sekali").status == 401)
            #expect(try await signIn("lebih rahasia").status == 200)
        }
    }

    @Test func aGuestBecomesAnAccountByAPassword() async throws {
        try await TestServer.run { server in
            let budi = try await server.signUp("budi")
            let upgraded = try await budi.patch("/v1/users/me", ["password": "rahasia sekali"])
            #expect(upgraded.status == 200 && upgraded.json["kind"] == "account")
            let (now, ids) = (server.clock.now.advanced(by: .seconds(48 * 3600)), server.gateway.ids)
            let expired = try await server.store.write { try $0.expireGuests(now: now, ids: ids, limit: 9) }
            #expect(expired == 0)
            let signedIn = try await server.send(
                .post, "/v1/tokens", ["grant": "password", "username": "budi", "password": "rahasia sekali"])
            #expect(signedIn.status == 200)
        }
    }

    @Test func twoChangesAtOnceAreOne() async throws {
        try await TestServer.run { server in
            let siti = try await server.signUp("siti", password: "rahasia sekali")
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<4 {
                    group.addTask {
                        try await siti.patch(
                            "/v1/users/me",
                            ["password": .string("rahasia \(number)"), "currentPassword": "rahasia sekali"]
                        ).status
                    }
                }
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(statuses.sorted() == [200, 422, 422, 422])
        }
    }

    @Test func aKeyChangesAProfileButNoPassword() async throws {
        try await TestServer.run { server in
            let siti = try await server.signUp("siti", password: "rahasia sekali")
            let made = try await siti.post("/v1/users/me/api-keys", ["name": "bot", "scopes": ["profile:write"]])
            let key = made.json["key"]?.stringValue
            let renamed = try await server.send(.patch, "/v1/users/me", ["displayName": "Siti"], token: key)
            #expect(renamed.status == 200)
            let change: JSONValue = ["password": "lebih rahasia", "currentPassword": "rahasia sekali"]
            let refused = try await server.send(.patch, "/v1/users/me", change, token: key)
            #expect(refused.status == 403 && refused.slug == "insufficient-scope")
        }
    }

    @Test func guessesOfThePresentPasswordAreCounted() async throws {
        var settings = GatewaySettings()
        settings.rates = RateSettings(quotas: [.passwords: RateQuota(3, in: .seconds(60))])
        try await TestServer.run(.ahc(.http), settings: settings) { server in
            let siti = try await server.signUp("siti", password: "rahasia sekali")
            let guess: JSONValue = ["password": "lebih rahasia", "currentPassword": "salah sekali"]
            var statuses: [Int] = []
            for _ in 0..<4 { statuses.append(try await siti.patch("/v1/users/me", guess).status) }
            #expect(statuses == [422, 422, 422, 429])
        }
    }
}
