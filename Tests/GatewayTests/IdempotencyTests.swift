import Core
import Foundation
import Gateway
import HTTPTypes
import Hub
import TestSupport
import Testing

/// A retried write happens once, for as long as its key is kept.
struct IdempotencyTests {
    @Test func aKeyIsForgottenAfterADay() async throws {
        try await TestServer.run { server in
            let room = try await server.admin().makeRoom("lobby")
            let post = {
                // A token lasts for 15 minutes.
                try await server.admin().post("/v1/rooms/\(room)/messages", ["content": "halo"], key: "k")
            }
            let first = try await post()
            server.clock.advance(by: Limits.idempotencyKept - .seconds(1))
            let repeated = try await post()
            server.clock.advance(by: .seconds(2))
            let another = try await post()
            #expect(first.status == 201 && repeated.text == first.text && repeated.cursor == first.cursor)
            #expect(another.status == 201 && another.id != first.id)
            let again = try await post()
            #expect(again.id == another.id)
        }
    }

    @Test func aRefusedRequestKeepsNothingUnderItsKey() async throws {
        try await TestServer.run { server in
            let admin = try await server.admin()
            let room = try await admin.makeRoom("lobby")
            let refused = try await admin.post("/v1/rooms/\(room)/messages", ["content": ""], key: "k")
            let taken = try await admin.post("/v1/rooms/\(room)/messages", ["content": "halo"], key: "k")
            let reused = try await admin.post("/v1/rooms/\(room)/messages", ["content": "hola"], key: "k")
            #expect(refused.status == 422 && taken.status == 201)
            #expect(reused.status == 422 && reused.slug == "idempotency-key-reused")
        }
    }

    @Test func aRepeatShowsTheMessageAsItIsNow() async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            _ = try await alice.makeRoom("lobby")
            let post = { try await alice.post("/v1/rooms/lobby/messages", ["content": "a secret"], key: "k") }
            let first = try await post()
            let path = "/v1/rooms/lobby/messages/\(first.id)"
            _ = try await alice.patch(path, ["content": "something else"])
            let edited = try await post()
            #expect(edited.status == 201 && edited.json["content"] == "something else")
            #expect(edited.text == (try await alice.get(path)).text)
            #expect(edited.cursor == first.cursor && edited.headers[.location] == first.headers[.location])
        }
    }

    @Test func aRepeatAfterADeletionShowsTheTombstone() async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            let room = try await alice.makeRoom("lobby")
            let post = { try await alice.post("/v1/rooms/lobby/messages", ["content": "a secret"], key: "k") }
            let first = try await post()
            let path = "/v1/rooms/\(room)/messages/\(first.id)"
            #expect(try await alice.delete(path).status == 204)
            let repeated = try await post()
            #expect(repeated.status == 201 && repeated.headers[.location] == path)
            #expect(repeated.json["content"] == "" && repeated.json["deletedAt"]?.stringValue != nil)
            #expect(repeated.text == (try await alice.get(path)).text && !repeated.text.contains("secret"))
            let other = try await alice.post("/v1/rooms/lobby/messages", ["content": "another"], key: "k")
            #expect(other.slug == "idempotency-key-reused")
        }
    }

    @Test func whoMayNotReadTheMessageAnyMoreIsNotShownIt() async throws {
        try await TestServer.run { server in
            let (alice, budi) = (try await server.signUp("alice"), try await server.signUp("budi"))
            let room = try await alice.makeRoom(nil)
            _ = try await alice.put("/v1/rooms/\(room)/members/\(budi.id)")
            let post = { try await budi.post("/v1/rooms/\(room)/messages", ["content": "mine"], key: "k") }
            let first = try await post()
            #expect(first.status == 201)
            _ = try await alice.delete("/v1/rooms/\(room)/members/\(budi.id)")
            #expect(try await post().slug == "not-found")
            #expect(server.log.count { $0.type == .messageCreated } == 1)
        }
    }

    @Test func whatIsKeptIsReadWithItsKeyAlone() async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            _ = try await alice.makeRoom("lobby")
            let key = "4f0c8a5e-1b7d-4c56-9a3e-2d81b6f0c7aa"
            let start = {
                try await alice.post("/v1/rooms/lobby/calls", ["media": ["audio": true, "video": false]], key: key)
            }
            let first = try await start()
            let leaveToken = try #require(first.json["leaveToken"]?.stringValue)
            #expect(try await start().json["leaveToken"] == .string(leaveToken))
            let files = try FileManager.default.contentsOfDirectory(atPath: server.directory)
                .map { try Data(contentsOf: URL(fileURLWithPath: server.directory + "/" + $0)) }
            let holds = { (text: String) in files.contains { $0.range(of: Data(text.utf8)) != nil } }
            // The search finds what is there.
            #expect(holds("join_call"))
            #expect(!holds(leaveToken) && !holds(key) && !holds(SecretToken.hash(of: key)))
        }
    }

    @Test func aKeyOpensWhatItSealedForItsUserMethodAndPath() async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            let user = try #require(try await server.store.read { try $0.user(UserID(known: alice.id)) })
            let acting = Acting(
                user: user, device: DeviceID(known: SessionID.prefix), now: server.clock.now, ids: server.gateway.ids)
            let own = try #require(try Self.key("k", "POST", "/a", alice.id))
            try await server.store.write { store in
                try own.keep(Answer(status: .created, body: Data("{}".utf8)), in: store, at: acting.now)
            }
            let found = { (key: IdempotencyKey?) async throws -> Data? in
                try await server.store.read { try key?.answer(in: $0, acting, epoch: "test")?.body }
            }
            #expect(try await found(own) == Data("{}".utf8))
            #expect(try await found(Self.key("K", "POST", "/a", alice.id)) == nil)
            #expect(try await found(Self.key("k", "PUT", "/a", alice.id)) == nil)
            #expect(try await found(Self.key("k", "POST", "/b", alice.id)) == nil)
            #expect(try await found(Self.key("k", "POST", "/a", "usr_other")) == nil)
        }
    }

    private static func key(_ key: String, _ method: String, _ path: String, _ user: String) throws -> IdempotencyKey? {
        try IdempotencyKey(key, method: method, path: path, body: nil, user: UserID(known: user))
    }
}
