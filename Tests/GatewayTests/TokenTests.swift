import Core
import Foundation
import Gateway
import HTTPTypes
import Hub
import HummingbirdTesting
import SQLiteStore
import TestSupport
import Testing

/// Passwords, rotation of refresh tokens, stream tickets.
struct TokenTests {
    private static func refresh(_ token: String, at server: TestServer) async throws -> Reply {
        try await server.send(.post, "/v1/tokens", ["grant": "refresh", "refreshToken": .string(token)])
    }

    private static func refreshToken(_ reply: Reply) throws -> String {
        try #require(reply.json["refreshToken"]?.stringValue, "\(reply.text)")
    }

    @Test func passwordsSignIn() async throws {
        try await TestServer.run { server in
            let siti = try await server.signUp("siti", password: "correct horse")
            let body: JSONValue = ["grant": "password", "username": "siti", "password": "correct horse"]
            let reply = try await server.send(.post, "/v1/tokens", body)
            #expect(reply.status == 200)
            #expect(reply.json["user"]?["id"]?.stringValue == siti.id)
            let again = try Person(server: server, signedIn: reply.json)
            #expect(try await again.get("/v1/users/me").status == 200)
        }
    }

    @Test func aWrongNameLooksLikeAWrongPassword() async throws {
        try await TestServer.run { server in
            _ = try await server.signUp("siti", password: "correct horse")
            _ = try await server.signUp("budi")
            var answers: Set<JSONValue> = []
            for (name, password) in [
                ("siti", "correct hors"), ("nobody", "correct horse"), ("budi", ""), ("budi", "x"),
            ] {
                let body: JSONValue = ["grant": "password", "username": .string(name), "password": .string(password)]
                let reply = try await server.send(.post, "/v1/tokens", body)
                #expect(reply.status == 401)
                answers.insert(reply.withoutInstance)
            }
            #expect(answers.count == 1)
        }
    }

    @Test func grantsNeedTheirFields() async throws {
        try await TestServer.run { server in
            for (body, field) in [
                (["grant": "magic"], "grant"), ([:], "grant"), (["grant": "password"], "username"),
                (["grant": "password", "username": "x"], "password"), (["grant": "refresh"], "refreshToken"),
            ] as [(JSONValue, String)] {
                let reply = try await server.send(.post, "/v1/tokens", body)
                #expect(reply.status == 422)
                #expect(reply.field == field)
            }
        }
    }

    @Test func refreshingRotatesAndKeepsTheSession() async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            server.clock.advance(by: .seconds(3600))
            let reply = try await Self.refresh(alice.refreshToken, at: server)
            #expect(reply.status == 200)
            let next = try Person(server: server, signedIn: reply.json)
            #expect(next.refreshToken != alice.refreshToken)
            #expect(try await next.get("/v1/users/me").status == 200)
            #expect(Self.session(in: next.token) == Self.session(in: alice.token))
        }
    }

    @Test func aLostAnswerIsRepeatedWithin30Seconds() async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            let first = try Self.refreshToken(try await Self.refresh(alice.refreshToken, at: server))
            server.clock.advance(by: .seconds(30))
            let second = try Self.refreshToken(try await Self.refresh(alice.refreshToken, at: server))
            #expect(first != second)
            // Both of the pairs are good: which of them arrived, the server cannot know.
            let third = try Self.refreshToken(try await Self.refresh(second, at: server))
            _ = try Self.refreshToken(try await Self.refresh(first, at: server))
            _ = try Self.refreshToken(try await Self.refresh(third, at: server))
        }
    }

    @Test(arguments: ["newest spent, too late", "older"])
    func aReusedTokenRevokesTheFamily(_ kind: String) async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            var newest = try Self.refreshToken(try await Self.refresh(alice.refreshToken, at: server))
            if kind == "older" {
                newest = try Self.refreshToken(try await Self.refresh(newest, at: server))
            } else {
                server.clock.advance(by: .seconds(31))
            }

            #expect(try await Self.refresh(alice.refreshToken, at: server).slug == "unauthorized")

            #expect(try await Self.refresh(newest, at: server).status == 401)
            #expect(try await alice.get("/v1/users/me").status == 401)
            #expect(server.log.contains { $0.type == .sessionRevoked })
        }
    }

    @Test func twoRefreshesAtOnceBothSucceed() async throws {
        try await TestServer.run(.ahc()) { server in
            let alice = try await server.signUp("alice")
            async let one = Self.refresh(alice.refreshToken, at: server)
            async let other = Self.refresh(alice.refreshToken, at: server)
            let tokens = [try Self.refreshToken(try await one), try Self.refreshToken(try await other)]
            #expect(Set(tokens).count == 2)
            #expect(!server.log.contains { $0.type == .sessionRevoked })
        }
    }

    @Test func aRefreshTokenEndsAfter30DaysUnused() async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice", password: "long enough")
            server.clock.advance(by: Limits.refreshTokenLifetime)
            #expect(try await Self.refresh(alice.refreshToken, at: server).status == 401)
        }
    }

    @Test func nothingSecretIsStored() async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice", password: "correct horse")
            let ticket = try #require(try await alice.post("/v1/stream-tickets").json["ticket"]?.stringValue)
            let stored = try await server.store.read { store in
                let user = try store.user(username: "alice")
                let token = try store.refreshToken(hash: SecretToken.hash(of: alice.refreshToken))
                let ticket = try store.streamTicket(hash: SecretToken.hash(of: ticket))
                return "\(user as Any) \(token as Any) \(ticket as Any)"
            }
            for secret in ["correct horse", alice.refreshToken, alice.token, ticket] {
                #expect(!stored.contains(secret))
            }
            #expect(stored.contains("scrypt$n=16,r=1,p=1$"))
        }
    }

    @Test func hashesKeepTheirOwnCost() async throws {
        let hash = try await PasswordHasher(cost: .negligible).hash("correct horse")
        #expect(try await PasswordHasher(cost: .standard).isRight("correct horse", for: hash))
        #expect(try await !PasswordHasher(cost: .standard).isRight("correct hors", for: hash))
        #expect(try await !PasswordHasher(cost: .negligible).isRight("", for: nil))
        #expect(try await !PasswordHasher(cost: .negligible).isRight("x", for: "scrypt$n=1$$"))
        // One letter typed in two ways.
        let accented = try await PasswordHasher(cost: .negligible).hash("caf\u{E9} au lait")
        #expect(try await PasswordHasher(cost: .negligible).isRight("cafe\u{301} au lait", for: accented))
    }

    @Test func aTicketOpensWithin60SecondsAndThenOnlyResumes() async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            let make = { @Sendable in
                let reply = try await alice.send(
                    .post, "/v1/stream-tickets", headers: [.comblangDevice: "tab-2"])
                #expect(reply.status == 201)
                return try #require(reply.json["ticket"]?.stringValue)
            }
            let open = { @Sendable (ticket: String, use: TicketUse) async -> Bool? in
                try? await server.gateway.authenticator.identity(ticket: ticket, deviceLabel: nil, for: use).isResuming
            }
            let (used, late, socket) = (try await make(), try await make(), try await make())
            server.clock.advance(by: .seconds(60))
            let opened = try await server.gateway.authenticator.identity(
                ticket: used, deviceLabel: nil, for: .stream(isResuming: false))
            #expect(opened.identity.device.text.hasSuffix(".tab-2"))
            #expect(opened.identity.expiresAt == Timestamp.fixture.advanced(by: Limits.ticketLifetime))
            #expect(await open(used, .stream(isResuming: false)) == nil)
            #expect(await open(used, .webSocket) == nil)
            #expect(await open(used, .stream(isResuming: true)) == true)
            #expect(await open(socket, .webSocket) == false)
            #expect(await open(socket, .webSocket) == nil)
            #expect(await open(socket, .stream(isResuming: true)) == nil)
            server.clock.advance(by: .milliseconds(1))
            #expect(await open(late, .stream(isResuming: false)) == nil)
            #expect(await open("cbt_unknown", .stream(isResuming: false)) == nil)

            server.clock.advance(by: Limits.ticketLifetime - .seconds(61))
            #expect(await open(used, .stream(isResuming: true)) == true)
            server.clock.advance(by: .seconds(1))
            #expect(await open(used, .stream(isResuming: true)) == nil)
        }
    }

    @Test func aTicketEndsWithItsSession() async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            let ticket = try #require(try await alice.post("/v1/stream-tickets").json["ticket"]?.stringValue)
            _ = try await alice.delete("/v1/tokens/current")
            await #expect(throws: Problem.self) {
                try await server.gateway.authenticator.identity(
                    ticket: ticket, deviceLabel: nil, for: .stream(isResuming: false))
            }
        }
    }

    /// The `sid` of a JWT.
    private static func session(in token: String) -> String? {
        let text = String(token.split(separator: ".")[1]).replacingOccurrences(of: "-", with: "+")
            .replacingOccurrences(of: "_", with: "/")
        let padding = String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
        let data = Data(base64Encoded: text + padding) ?? Data()
        return try? JSON.decode(JSONValue.self, from: String(decoding: data, as: UTF8.self))["sid"]?.stringValue
    }
}
