import Core
import Foundation
import Gateway
import HTTPTypes
import Hub
import SQLiteStore
import TestSupport
import Testing

/// What requests of identity, rooms and chat must look like, beyond the single bounds of `LimitsTests`.
struct RequestBoundsTests {
    /// Alice with a room `lobby`.
    private static func withAlice(
        _ body: @escaping @Sendable (TestServer, Person) async throws -> Void
    ) async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            _ = try await alice.makeRoom("lobby")
            try await body(server, alice)
        }
    }

    /// 422 that names the field, and nothing logged.
    private static func expectRefused(
        _ field: String, at server: TestServer, location: SourceLocation = #_sourceLocation,
        _ request: () async throws -> Reply
    ) async throws {
        let before = server.log.count
        let reply = try await request()
        #expect(reply.status == 422, "\(reply.text)", sourceLocation: location)
        #expect(reply.slug == "validation-failed", sourceLocation: location)
        #expect(reply.field == field, sourceLocation: location)
        #expect(server.log.count == before, sourceLocation: location)
    }

    @Test(arguments: ["{", "", "[]", "\"x\"", "{\"name\":\"lobby2\"", "{\"name\":\"\u{0}\"}"])
    func bodiesMustBeJSONObjects(_ text: String) async throws {
        try await Self.withAlice { server, alice in
            let reply = try await server.send(.post, "/v1/rooms", text: text, token: alice.token)
            #expect(reply.status == 400)
            #expect(reply.slug == "invalid-json")
            #expect(reply.headers[.contentType] == "application/problem+json")
        }
    }

    @Test func bodiesMustBeDeclaredAsJSON() async throws {
        try await Self.withAlice { server, alice in
            let reply = try await server.send(
                .post, "/v1/rooms", text: "<a/>", token: alice.token, headers: [.contentType: "text/xml"])
            #expect(reply.slug == "unsupported-media-type")
            // What `curl -d` declares unasked.
            let curl = try await server.send(
                .post, "/v1/rooms", text: "{\"name\":\"curls\"}", token: alice.token,
                headers: [.contentType: "application/x-www-form-urlencoded"])
            #expect(curl.status == 201)
        }
    }

    @Test func aSecondValueOfAParameterIsRefused() async throws {
        try await Self.withAlice { _, alice in
            for path in [
                "/v1/rooms?limit=1&limit=9", "/v1/rooms?limit=1&limit=1", "/v1/events?wait=0&w%61it=0",
                "/v1/users/me?device=a&device=b", "/v1/rooms?other=1&other=2",
            ] {
                let reply = try await alice.get(path)
                #expect(reply.status == 400 && reply.slug == "invalid-request", "\(path): \(reply.text)")
            }
            for path in [
                "/v1/rooms?limit=&limit=9", "/v1/events?wait=0&types=signal&types=message.*",
                "/v1/events?wait=0&room=lobby&room=lobby",
            ] {
                let reply = try await alice.get(path)
                #expect(reply.status == 200, "\(path): \(reply.text)")
            }
        }
    }

    @Test(arguments: ["users", "rooms", "rooms/lobby/members", "rooms/lobby/messages"])
    func listsRefuseOtherPages(_ path: String) async throws {
        try await Self.withAlice { server, alice in
            for limit in ["0", "201", "-1", "x", "1.5", "99999999999999999999"] {
                try await Self.expectRefused("limit", at: server) { try await alice.get("/v1/\(path)?limit=\(limit)") }
            }
            try await Self.expectRefused("after", at: server) { try await alice.get("/v1/\(path)?after=x") }
            #expect(try await alice.get("/v1/\(path)?limit=200&unknown=1").status == 200)
        }
    }

    @Test func whatIsNotUsedMustBeRightAllTheSame() async throws {
        try await Self.withAlice { server, alice in
            try await Self.expectRefused("device", at: server) {
                try await alice.send(.get, "/v1/users/me?device=tab.2", headers: [.comblangDevice: "tab-1"])
            }
            let cursor = try await alice.get("/v1/rooms").cursor ?? ""
            let polled = try await alice.send(.get, "/v1/events?after=null", headers: [.lastEventID: cursor])
            #expect(polled.slug == "invalid-cursor")
            // Only a guest's colour counts, and only an upgrade gets further.
            try await Self.expectRefused("color", at: server) { try await alice.get("/ws/lobby?color=red") }
            try await Self.expectRefused("types", at: server) { try await alice.get("/v1/ws?types=letter.*") }
            #expect(try await alice.get("/ws/lobby?color=%23ff0000").slug == "upgrade-required")
        }
    }

    @Test func unknownEnumValuesAreRefusedAndUnknownFieldsIgnored() async throws {
        try await Self.withAlice { server, alice in
            try await Self.expectRefused("visibility", at: server) {
                try await alice.post("/v1/rooms", ["visibility": "secret"])
            }
            try await Self.expectRefused("role", at: server) {
                try await alice.put("/v1/rooms/lobby/members/me", ["role": "king"])
            }
            #expect(try await alice.post("/v1/rooms", ["name": "other", "colour": "red"]).status == 201)
        }
    }

    @Test func changesAreBoundedLikeCreations() async throws {
        try await Self.withAlice { server, alice in
            let message = try await alice.say("x", in: "lobby")
            let path = "/v1/rooms/lobby/messages/\(message)"
            let tooLong = String(repeating: "\u{1F600}", count: Limits.messageCharactersMax + 1)
            for content in ["", "a\u{0}b", tooLong] {
                try await Self.expectRefused("content", at: server) {
                    try await alice.patch(path, ["content": .string(content)])
                }
            }
            try await Self.expectRefused("metadata", at: server) { try await alice.patch(path, ["metadata": [1]]) }
            try await Self.expectRefused("name", at: server) {
                try await alice.patch("/v1/rooms/lobby", ["name": "Up"])
            }
            try await Self.expectRefused("title", at: server) {
                try await alice.patch("/v1/rooms/lobby", ["title": "two\nlines"])
            }
            try await Self.expectRefused("displayName", at: server) {
                try await server.send(.post, "/v1/users", ["username": "bob", "displayName": " "])
            }
            try await Self.expectRefused("color", at: server) {
                try await server.send(.post, "/v1/users", ["username": "bob", "color": "123456#"])
            }
        }
    }

    @Test func contentAndMetadataHaveTheirTypes() async throws {
        try await Self.withAlice { server, alice in
            let path = "/v1/rooms/lobby/messages"
            for body in [[:], ["content": 1], ["content": nil]] as [JSONValue] {
                try await Self.expectRefused("content", at: server) { try await alice.post(path, body) }
            }
            for metadata in [[1], "x", 1, true] as [JSONValue] {
                try await Self.expectRefused("metadata", at: server) {
                    try await alice.post(path, ["content": "x", "metadata": metadata])
                }
            }
            #expect(try await alice.post(path, ["content": "x", "metadata": nil]).status == 201)
        }
    }

    @Test func deeplyNestedMetadataDoesNoHarm() async throws {
        try await Self.withAlice { server, alice in
            let depth = 60_000
            let nested = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
            let text = "{\"content\":\"x\",\"metadata\":{\"a\":\(nested)}}"
            let reply = try await server.send(.post, "/v1/rooms/lobby/messages", text: text, token: alice.token)
            #expect(reply.status == 400)
            #expect(try await alice.get("/v1/rooms").status == 200)
        }
    }

    @Test func nobodyIsBroughtIntoMoreRoomsThanAUserMayHave() async throws {
        try await Self.withAlice { server, alice in
            let user = try #require(try await server.store.read { try $0.user(UserID(known: alice.id)) })
            let acting = Acting(
                user: user, device: DeviceID(known: "ses_none"), now: server.clock.now, ids: server.gateway.ids)
            try await server.store.write { store in
                for _ in 1..<Limits.roomsPerUserMax { _ = try store.createRoom(NewRoom(), as: acting) }
            }
            let bob = try await server.signUp("bob")
            _ = try await bob.makeRoom("bobs")
            let before = server.log.count
            #expect(try await alice.put("/v1/rooms/bobs/members/me").slug == "limit-reached")
            #expect(try await bob.put("/v1/rooms/bobs/members/\(alice.id)").slug == "limit-reached")
            #expect(server.log.count == before)
        }
    }

    @Test(arguments: [("x=%00", "U+0000"), ("%00=x", "U+0000"), ("x=%FF", "UTF-8"), ("x=%zz", "UTF-8")])
    func whatAQueryStringMustNotHoldIsNamed(query: String, told: String) async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            let reply = try await alice.get("/v1/rooms?\(query)")
            #expect(reply.status == 400 && reply.slug == "invalid-request")
            #expect(reply.json["detail"]?.stringValue?.contains(told) == true, "\(reply.text)")
        }
    }
}
