import Core
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
}
