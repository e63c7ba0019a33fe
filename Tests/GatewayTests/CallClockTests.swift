import Core
import Foundation
import Gateway
import HTTPTypes
import Hub
import TestSupport
import Testing

/// What the server does to calls by itself, as clients see it.
struct CallClockTests {
    /// A room with Siti, Budi and Dewi.
    private struct Lobby {
        let server: TestServer
        let siti: Person
        let budi: Person
        let dewi: Person

        init(_ server: TestServer) async throws {
            self.server = server
            self.siti = try await server.signUp("siti")
            self.budi = try await server.signUp("budi")
            self.dewi = try await server.signUp("dewi")
            let room = try await self.siti.makeRoom("lobby")
            for person in [self.budi, self.dewi] { try await person.join(room) }
        }

        func create(_ caller: Person, inviting users: [JSONValue]? = nil, seconds: Int64 = 60) async throws -> Reply {
            var body: [String: JSONValue] = ["media": ["audio": true, "video": true]]
            body["invite"] = users.map { .array($0) }
            body["ringTimeoutSeconds"] = .integer(seconds)
            return try await caller.post("/v1/rooms/lobby/calls", .object(body))
        }

        /// Siti calls; the path of the call.
        func call(inviting users: [JSONValue]? = nil, seconds: Int64 = 60) async throws -> String {
            let reply = try await self.create(self.siti, inviting: users, seconds: seconds)
            try #require(reply.status == 201, "\(reply.text)")
            return "/v1/calls/" + (reply.json["call"]?["id"]?.stringValue ?? "")
        }

        func signal(_ path: String, _ from: Person, _ to: Person, _ more: [String: JSONValue]) async throws -> Reply {
            var body = more
            body["to"] = .string(to.id)
            return try await from.post(path + "/signals", .object(body))
        }

        /// Siti and Budi hear each other.
        func active() async throws -> String {
            let path = try await self.call()
            try #require(try await self.budi.post(path + "/join").status == 200)
            let offer = try await self.signal(path, self.budi, self.siti, ["type": "offer", "sdp": "v=0"])
            let answer = try await self.signal(
                path, self.siti, self.budi, ["type": "answer", "sdp": "v=0", "offer": .string(offer.id)])
            try #require(answer.status == 202)
            return path
        }

        /// What a person's device finds in the log of the call, from its beginning on.
        func events(_ path: String, _ person: Person, types: String = "*") async throws -> [JSONValue] {
            let reply = try await person.get(path + "/events?after=earliest&wait=0&types=\(types)")
            return reply.json["events"]?.items ?? []
        }
    }

    @Test func ringThatNobodyAnswersEndsForAll() async throws {
        try await TestServer.run { server in
            let lobby = try await Lobby(server)
            let path = try await lobby.call(inviting: ["@budi"], seconds: 10)
            try await server.turn(after: .milliseconds(9_999))
            #expect(try await lobby.budi.get(path).json["state"] == "ringing")
            try await server.turn(after: .milliseconds(1))
            for person in [lobby.siti, lobby.budi, lobby.dewi] {
                let ended = try #require(try await lobby.events(path, person, types: "call.ended").first)
                #expect(ended["data"]?["endReason"] == "missed")
                #expect(ended["data"]?["endedBy"] == .null)
                #expect(ended["actor"] == nil)
                #expect(ended["data"] == (try await person.get(path)).json)
            }
            let late = try await lobby.budi.post(path + "/join")
            #expect(late.slug == "call-ended")
            #expect(late.json["call"]?["endReason"] == "missed")
        }
    }

    @Test func offerThatIsNotAnsweredIsRejectedByTheServer() async throws {
        try await TestServer.run { server in
            let lobby = try await Lobby(server)
            let path = try await lobby.call()
            _ = try await lobby.budi.post(path + "/join")
            let offer = try await lobby.signal(path, lobby.budi, lobby.siti, ["type": "offer", "sdp": "v=0"])
            try await server.turn(after: .seconds(60))
            let told = try #require(try await lobby.events(path, lobby.budi, types: "signal").first?["data"])
            #expect(told["type"] == "reject" && told["reason"] == "timeout")
            #expect(told["offer"] == .string(offer.id) && told["from"] == .string(lobby.siti.id))
            let call = try await lobby.siti.get(path).json
            #expect(call["state"] == "ringing")
            #expect(call["participants"]?.items.last?["state"] == "rejected")
        }
    }

    @Test func failedConnectionsEndTheCall() async throws {
        try await TestServer.run { server in
            let lobby = try await Lobby(server)
            let path = try await lobby.active()
            for person in [lobby.siti, lobby.budi] {
                _ = try await person.patch(path + "/participants/me", ["connection": "failed"])
            }
            try await server.turn(after: .seconds(30))
            #expect(try await lobby.siti.get(path).json["endReason"] == "failed")
        }
    }

    @Test func callsThatCrossAreSettledByTheServer() async throws {
        try await TestServer.run { server in
            let lobby = try await Lobby(server)
            let path = try await lobby.call(inviting: ["@budi"])
            let refused = try await lobby.create(lobby.budi, inviting: ["@siti"])
            #expect(refused.status == 409 && refused.slug == "call-glare")
            #expect(refused.json["call"] == (try await lobby.budi.get(path)).json)
            #expect(try await lobby.budi.post(path + "/join").status == 200)
            #expect(try await lobby.budi.get("/v1/rooms/lobby/calls").json.items.count == 1)
        }
    }

    @Test func callerIsToldThatTheCalleeIsBusyAndTheCalleeIsRungAllTheSame() async throws {
        try await TestServer.run { server in
            let lobby = try await Lobby(server)
            _ = try await lobby.active()
            let created = try await lobby.create(lobby.dewi, inviting: ["@budi"], seconds: 10)
            let callee = try #require(created.json["call"]?["participants"]?.items.last)
            #expect(callee["state"] == "invited" && callee["busy"] == true)
            let ring = server.log.last { $0.type == .callRinging }
            #expect(ring?.audiences == [.user(UserID(known: lobby.budi.id))])
            #expect(ring?.data.contains(#""busy":true"#) == true)
            try await server.turn(after: .seconds(10))
            let path = "/v1/calls/" + (created.json["call"]?["id"]?.stringValue ?? "")
            #expect(try await lobby.dewi.get(path).json["endReason"] == "busy")
        }
    }

    @Test func deviceThatAsksForNothingIsLostAndOneThatAsksIsNot() async throws {
        try await TestServer.run { server in
            let lobby = try await Lobby(server)
            let path = try await lobby.active()
            for _ in 1...10 {
                for person in [lobby.siti, lobby.budi] { _ = try await person.get("/v1/users/me") }
                try await server.turn(after: .seconds(70))
            }
            #expect(try await lobby.siti.get(path).json["state"] == "active")
            // Another device of Budi's does not speak for the one that is in the call.
            _ = try await lobby.budi.send(.get, "/v1/users/me", headers: [.comblangDevice: "other"])
            try await server.turn(after: .seconds(5))
            #expect(try await lobby.siti.get(path).json["endReason"] == "lost")
            let states = try await lobby.siti.get(path).json["participants"]?.items.map { $0["state"] }
            #expect(states == ["left", "lost"])
        }
    }

    @Test func signalThatWasPolledIsDeliveredAndOneThatWasNotExpires() async throws {
        try await TestServer.run { server in
            let lobby = try await Lobby(server)
            let path = try await lobby.active()
            let read = try await lobby.signal(path, lobby.budi, lobby.siti, ["type": "custom", "payload": 1])
            #expect(read.json["delivery"] == "queued")
            let polled = try await lobby.events(path, lobby.siti, types: "signal").map { $0["data"]?["id"] }
            #expect(polled.contains(.string(read.id)))
            let lost = try await lobby.signal(path, lobby.budi, lobby.siti, ["type": "custom", "payload": 2])
            // A poll whose filter keeps signals back delivers none.
            _ = try await lobby.events(path, lobby.siti, types: "call.*")
            for _ in 1...3 {
                for person in [lobby.siti, lobby.budi] { _ = try await person.get("/v1/users/me") }
                try await server.turn(after: .seconds(25))
            }
            let again = try await lobby.events(path, lobby.siti, types: "signal").map { $0["data"]?["id"] }
            #expect(again == polled, "reading does not consume, and what expired is not replayed")
            let told = try await lobby.events(path, lobby.budi, types: "signal.expired").map { $0["data"]?["signal"] }
            #expect(told.contains(.string(lost.id)) && !told.contains(.string(read.id)))
        }
    }

    @Test func undeliveredSignalOfAnEndedCallIsToldOf() async throws {
        try await TestServer.run { server in
            let lobby = try await Lobby(server)
            let path = try await lobby.active()
            let lost = try await lobby.signal(path, lobby.budi, lobby.siti, ["type": "custom", "payload": 1])
            _ = try await lobby.siti.post(path + "/end")
            #expect(try await lobby.events(path, lobby.siti, types: "signal").isEmpty)
            try await server.turn(after: .milliseconds(500))
            let told = try await lobby.events(path, lobby.budi, types: "signal.expired").map { $0["data"]?["signal"] }
            #expect(told.contains(.string(lost.id)))
        }
    }

    @Test func administratorEndsACallOfOthers() async throws {
        try await TestServer.run { server in
            let lobby = try await Lobby(server)
            let path = try await lobby.active()
            let admin = try await server.admin()
            let ended = try await admin.post(path + "/end", ["reason": "maintenance"])
            #expect(ended.json["endReason"] == "ended-by-admin")
            #expect(try await lobby.siti.get(path).json["endedBy"] == .string(admin.id))
            #expect(try await admin.post(path + "/end").status == 200)
        }
    }
}
