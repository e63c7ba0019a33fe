import Core
import Foundation
import Gateway
import HTTPTypes
import Hub
import TestSupport
import Testing

/// One's own calls, and those that one missed.
struct OwnCallTests {
    private static func ids(_ reply: Reply) -> [String] { reply.json.items.compactMap { $0["id"]?.stringValue } }

    /// A call of Siti's for Budi that nobody answers; its id.
    private static func missed(_ lobby: CallLobby, caller: Person? = nil) async throws -> String {
        let path = try await lobby.call(caller, inviting: ["@budi"], seconds: 10)
        try await lobby.server.turn(after: .seconds(10))
        return String(path.dropFirst("/v1/calls/".count))
    }

    @Test func missedCallsAreCountedUntilTheyAreSeen() async throws {
        try await TestServer.run { server in
            let lobby = try await CallLobby(server)
            let first = try await Self.missed(lobby)
            let second = try await Self.missed(lobby, caller: lobby.dewi)
            let declined = try await lobby.call(inviting: ["@budi"])
            _ = try await lobby.budi.post(declined + "/reject")
            let open = try await lobby.call()
            _ = try await lobby.siti.post(open + "/leave")

            let missed = try await lobby.budi.get("/v1/calls?missed=true")
            #expect(Self.ids(missed) == [second, first])
            #expect(missed.json["unseenCount"] == 2)
            #expect(missed.json.items.allSatisfy { $0["unseen"] == true && $0["missed"] == true })
            #expect(try await lobby.siti.get("/v1/calls").json["unseenCount"] == 0)
            #expect(try await lobby.budi.get("/v1/calls?with=@dewi").json.items.count == 1)
            #expect(try await lobby.budi.get("/v1/calls?with=@nobody").json.items.isEmpty)
            #expect(try await lobby.dewi.get("/v1/calls?with=@siti").json.items.isEmpty)

            let until = try #require(missed.json.items.last?["missedAt"])
            let seen = try await lobby.budi.put("/v1/calls/seen", ["until": until])
            #expect(seen.json == ["until": until, "unseenCount": 1])
            let told = try #require(server.log.last { $0.type == .callSeen })
            #expect(told.audiences == [.user(UserID(known: lobby.budi.id))])
            #expect(try JSON.decode(JSONValue.self, from: told.data) == seen.json)
            #expect(Self.ids(try await lobby.budi.get("/v1/calls?unseen=true")) == [second])

            // Never back, and never ahead of what can have been seen.
            let back = try await lobby.budi.put("/v1/calls/seen", ["until": "2020-01-01T00:00:00Z"])
            #expect(back.json == seen.json)
            let ahead = try await lobby.budi.put("/v1/calls/seen", ["until": "2099-01-01T00:00:00Z"])
            #expect(ahead.json["until"] == .string(server.clock.now.rfc3339))
            #expect(server.log.count { $0.type == .callSeen } == 2)
            _ = try await Self.missed(lobby)
            #expect(try await lobby.budi.get("/v1/calls").json["unseenCount"] == 1)
        }
    }

    @Test func ringThatEndsAfterALaterOneWasSeenIsUnseen() async throws {
        try await TestServer.run { server in
            let lobby = try await CallLobby(server)
            let long = try await lobby.call(inviting: ["@budi"], seconds: 60)
            _ = try await Self.missed(lobby, caller: lobby.dewi)
            let seen = try await lobby.budi.put("/v1/calls/seen", ["until": .string(server.clock.now.rfc3339)])
            #expect(seen.json["unseenCount"] == 0)
            try await server.turn(after: .seconds(50))
            let unseen = try await lobby.budi.get("/v1/calls?unseen=true")
            #expect(Self.ids(unseen).map { "/v1/calls/\($0)" } == [long])
        }
    }

    @Test func callOfARoomThatOneHasLeftIsNotShown() async throws {
        try await TestServer.run { server in
            let lobby = try await CallLobby(server)
            _ = try await Self.missed(lobby)
            _ = try await lobby.budi.delete("/v1/rooms/lobby/members/me")
            let own = try await lobby.budi.get("/v1/calls")
            #expect(own.json.items.isEmpty && own.json["unseenCount"] == 0)
        }
    }

    @Test func listIsPagedBothWays() async throws {
        try await TestServer.run { server in
            let lobby = try await CallLobby(server)
            var made: [String] = []
            for _ in 1...5 { made.append(try await Self.missed(lobby)) }
            var found: [String] = []
            var next: String? = "/v1/calls?missed=true&limit=2"
            while let path = next {
                let page = try await lobby.budi.get(path)
                found += Self.ids(page)
                let link = page.headers[.link]
                next = link.map { String($0.dropFirst().prefix { $0 != ">" }) }
                #expect((page.json["next"] == .null) == (next == nil))
            }
            #expect(found == made.reversed())
            let newer = try await lobby.budi.get("/v1/calls?after=\(made[1])&limit=2")
            #expect(Self.ids(newer) == [made[2], made[3]])
            let foreign = try await lobby.call(lobby.dewi)
            let refused = try await lobby.budi.get("/v1/calls?before=\(foreign.dropFirst("/v1/calls/".count))")
            #expect(refused.status == 422 && refused.field == "before")
        }
    }
}
