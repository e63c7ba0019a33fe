import Core
import Foundation
import Gateway
import HTTPTypes
import Hub
import HummingbirdTesting
import SQLiteStore
import TestSupport
import Testing

/// Calls over HTTP: from the first ring to the record.
struct CallTests {
    private static let media: JSONValue = ["media": ["audio": true, "video": true]]

    /// Siti's room with Budi in it.
    private struct Lobby {
        let siti: Person
        let budi: Person
        let room: String

        init(_ server: TestServer) async throws {
            self.siti = try await server.signUp("siti")
            self.budi = try await server.signUp("budi")
            self.room = try await self.siti.makeRoom("lobby")
            try await self.budi.join(self.room)
        }

        /// Siti calls; `call` is the created call's answer.
        func call(_ more: [String: JSONValue] = [:]) async throws -> Reply {
            var body: [String: JSONValue] = ["media": ["audio": true, "video": true]]
            body.merge(more) { $1 }
            let reply = try await self.siti.post("/v1/rooms/lobby/calls", .object(body))
            try #require(reply.status == 201, "\(reply.text)")
            return reply
        }

        /// Siti calls and Budi joins; the path of the call.
        func joined(_ more: [String: JSONValue] = [:]) async throws -> String {
            let path = "/v1/calls/\(try await self.call(more).callID)"
            try #require(try await self.budi.post(path + "/join").status == 200)
            return path
        }

        func offer(_ path: String, from: Person, to: Person, ufrag: String = "abcd") async throws -> Reply {
            try await from.post(
                path + "/signals",
                ["to": .string(to.id), "type": "offer", "sdp": .string("v=0\r\na=ice-ufrag:\(ufrag)\r\n")])
        }
    }

    @Test func theSeedsSixPhasesRun() async throws {
        try await TestServer.run { server in
            let lobby = try await Lobby(server)
            let created = try await lobby.call()
            #expect(created.headers[.location] == "/v1/calls/\(created.callID)")
            #expect(created.json["call"]?["state"] == "ringing")
            #expect(created.json["iceServers"]?["iceServers"]?.items.count == 5)
            let path = "/v1/calls/\(created.callID)"

            let history = try await lobby.budi.get("/v1/rooms/lobby/messages")
            let invitation = try #require(history.json.items.first)
            #expect(invitation["content"] == "📞 [KLIK DI SINI] ")
            #expect(invitation["metadata"] == ["action": "join_call", "call": .string(created.callID)])

            let joined = try await lobby.budi.post(path + "/join")
            #expect(joined.status == 200)
            let peer = try #require(joined.json["peers"]?.items.first)
            #expect(peer["user"] == .string(lobby.siti.id))
            #expect(peer["polite"] == .bool(lobby.budi.id < lobby.siti.id))

            let offer = try await lobby.offer(path, from: lobby.budi, to: lobby.siti)
            #expect(offer.status == 202)
            #expect(offer.json["delivery"] == "queued")
            #expect(offer.json["devices"] == 0)
            let answer = try await lobby.siti.post(
                path + "/signals",
                ["to": "@budi", "type": "answer", "offer": .string(offer.id), "sdp": "v=0\r\na=ice-ufrag:wxyz\r\n"])
            #expect(answer.status == 202)
            for (person, peer, ufrag) in [(lobby.budi, lobby.siti, "abcd"), (lobby.siti, lobby.budi, "wxyz")] {
                let line = "candidate:1 1 udp 1 192.0.2.1 1 typ host generation 0 ufrag \(ufrag)"
                let reply = try await person.post(
                    path + "/signals",
                    [
                        "to": .string(peer.id), "type": "candidates",
                        "candidates": [["candidate": .string(line), "sdpMid": "0", "sdpMLineIndex": 0]],
                    ])
                #expect(reply.status == 202)
            }
            let connected = try await lobby.budi.patch(path + "/participants/me", ["connection": "connected"])
            #expect(connected.json["state"] == "active")
            #expect(connected.json["connectedAt"] == connected.json["answeredAt"])

            server.clock.advance(by: .seconds(42))
            let left = try await lobby.siti.post(path + "/leave")
            #expect(left.json["state"] == "ended")
            #expect(left.json["endReason"] == "completed")
            #expect(left.json["durationSeconds"] == 42)
            #expect(try await lobby.siti.post(path + "/leave").json == left.json)
            #expect(try await lobby.budi.get(path).json == left.json)
        }
    }

    @Test func signalsReachTheAddresseesDeviceAndVanishWithTheCall() async throws {
        try await TestServer.run { server in
            let lobby = try await Lobby(server)
            let path = try await lobby.joined()
            let start = try #require(try await lobby.siti.get(path).cursor)
            let offer = try await lobby.offer(path, from: lobby.budi, to: lobby.siti)
            let poll = { (person: Person, device: String?) in
                let headers: HTTPFields = device.map { [.comblangDevice: $0] } ?? [:]
                let reply = try await person.send(
                    .get, path + "/events?types=signal&wait=0&after=\(start)", headers: headers)
                return reply.json["events"]?.items.compactMap { $0["data"]?["id"]?.stringValue } ?? []
            }
            #expect(try await poll(lobby.siti, nil) == [offer.id])
            #expect(try await poll(lobby.siti, "other-tab") == [])
            #expect(try await poll(lobby.budi, nil) == [])
            #expect(try await lobby.budi.post(path + "/end").status == 200)
            #expect(try await poll(lobby.siti, nil) == [])
        }
    }

    @Test func receiptSaysLiveWhileTheAddresseeReads() async throws {
        try await TestServer.run(.ahc(.http)) { server in
            let lobby = try await Lobby(server)
            let path = try await lobby.joined()
            let start = try #require(try await lobby.siti.get(path).cursor)
            async let poll = lobby.siti.get("/v1/events?types=signal&wait=20&after=\(start)")
            while server.gateway.hub.registry.readerCount == 0 { await Task.yield() }
            let offer = try await lobby.offer(path, from: lobby.budi, to: lobby.siti)
            #expect(offer.json["delivery"] == "live")
            #expect(offer.json["devices"] == 1)
            #expect(try await poll.json["events"]?.items.first?["data"]?["id"] == .string(offer.id))
        }
    }

    @Test func retriedCallAndSignalHappenOnce() async throws {
        try await TestServer.run { server in
            let lobby = try await Lobby(server)
            let first = try await lobby.siti.post("/v1/rooms/lobby/calls", Self.media, key: "one")
            let second = try await lobby.siti.post("/v1/rooms/lobby/calls", Self.media, key: "one")
            #expect(first.text == second.text)
            #expect(try await lobby.siti.get("/v1/rooms/lobby/calls").json.items.count == 1)
            let path = "/v1/calls/\(first.callID)"
            _ = try await lobby.budi.post(path + "/join")
            let signal: JSONValue = ["to": "@siti", "type": "custom", "payload": ["hi": 1]]
            let ids = try await [
                lobby.budi.post(path + "/signals", signal, key: "two").id,
                lobby.budi.post(path + "/signals", signal, key: "two").id,
            ]
            #expect(ids[0] == ids[1])
            #expect(server.log.filter { $0.type == .signal }.count == 1)
        }
    }

    @Test func ringIsAnsweredOnOneDeviceAndTakenOverOnRequest() async throws {
        try await TestServer.run { server in
            let lobby = try await Lobby(server)
            let id = try await lobby.call(["invite": ["@budi"]]).callID
            let ring = try #require(server.log.first { $0.type == .callRinging })
            #expect(ring.audiences == [.user(UserID(known: lobby.budi.id))])
            let answered = try await Self.budi(lobby, "/v1/calls/\(id)/join", device: "phone")
            #expect(answered.status == 200)
            let refused = try await Self.budi(lobby, "/v1/calls/\(id)/join", device: "tab")
            #expect(refused.status == 409)
            #expect(refused.slug == "joined-elsewhere")
            #expect(refused.json["call"]?["id"] == .string(id))
            let moved = try await Self.budi(lobby, "/v1/calls/\(id)/join", device: "tab", ["takeover": true])
            #expect(moved.status == 200)
            let told = server.log.filter { $0.type == .callAnsweredElsewhere }.map(\.data)
            #expect(told.count == 2)
            #expect(told.first?.contains(".phone\"") == true)
            #expect(told.last?.contains(".tab\"") == true)
            let leave = try await Self.budi(lobby, "/v1/calls/\(id)/leave", device: "phone")
            #expect(leave.slug == "joined-elsewhere")
        }
    }

    private static func budi(
        _ lobby: Lobby, _ path: String, device: String, _ body: JSONValue? = nil
    ) async throws -> Reply {
        try await lobby.budi.send(.post, path, body, headers: [.comblangDevice: device])
    }

    @Test func ringCanBeDeclined() async throws {
        try await TestServer.run { server in
            let lobby = try await Lobby(server)
            let path = "/v1/calls/\(try await lobby.call(["invite": ["@budi"], "ringTimeoutSeconds": 10]).callID)"
            let declined = try await lobby.budi.post(path + "/reject", ["reason": "sedang rapat"])
            #expect(declined.json["endReason"] == "rejected")
            #expect(try await lobby.budi.post(path + "/reject").status == 200)
            let open = "/v1/calls/\(try await lobby.call().callID)"
            #expect(try await lobby.budi.post(open + "/reject").slug == "illegal-move")
            let rung = try await lobby.siti.post(open + "/invite", ["users": ["@budi"]])
            #expect(rung.json["participants"]?.items.last?["state"] == "invited")
        }
    }

    @Test func beaconHangsUpWithItsTokenAlone() async throws {
        try await TestServer.run { server in
            let lobby = try await Lobby(server)
            let created = try await lobby.call()
            let path = "/v1/calls/\(created.callID)"
            let token = try #require(created.json["leaveToken"]?.stringValue)
            let beacon = { (path: String, text: String) in
                try await server.send(.post, path, text: text, headers: [.contentType: "text/plain;charset=UTF-8"])
            }
            #expect(try await beacon(path + "/leave", "{}").status == 401)
            #expect(try await beacon(path + "/leave", #"{"leaveToken":"cbl_wrong"}"#).status == 401)
            #expect(try await beacon("/v1/calls/nonsense/leave", "{\"leaveToken\":\"\(token)\"}").status == 401)
            #expect(try await beacon(path + "/end", "{\"leaveToken\":\"\(token)\"}").json["endReason"] == "cancelled")
            #expect(try await beacon(path + "/leave", "{\"leaveToken\":\"\(token)\"}").status == 200)
        }
    }

    @Test func politeSideLosesGlareAndLearnsOfTheOffer() async throws {
        try await TestServer.run { server in
            let lobby = try await Lobby(server)
            let path = try await lobby.joined()
            let polite = lobby.siti.id < lobby.budi.id ? lobby.siti : lobby.budi
            let impolite = lobby.siti.id < lobby.budi.id ? lobby.budi : lobby.siti
            let pending = try await lobby.offer(path, from: impolite, to: polite)
            let refused = try await lobby.offer(path, from: polite, to: impolite)
            #expect(refused.slug == "glare")
            #expect(refused.json["offer"] == .string(pending.id))
            let newer = try await lobby.offer(path, from: impolite, to: polite)
            let notices = server.log.filter { $0.data.contains("\"superseded\"") }
            #expect(notices.count == 2)
            #expect(notices.allSatisfy { $0.data.contains(pending.id) })
            let stale = try await polite.post(
                path + "/signals",
                ["to": .string(impolite.id), "type": "answer", "offer": .string(pending.id), "sdp": "v=0"])
            #expect(stale.slug == "stale-offer")
            #expect(newer.status == 202)
        }
    }

    @Test func refusedCandidatesAreRecordedAlthoughTheRequestFails() async throws {
        try await TestServer.run { server in
            let lobby = try await Lobby(server)
            let path = try await lobby.joined()
            let batch = JSONValue.array(Array(repeating: ["candidate": "c"], count: Limits.heldCandidatesMax + 1))
            let body: JSONValue = ["to": "@siti", "type": "candidates", "candidates": batch]
            for _ in 1...2 {
                #expect(try await lobby.budi.post(path + "/signals", body, key: "same").slug == "candidate-queue-full")
            }
            let call = try #require(CallID(path.replacing("/v1/calls/", with: "")))
            let record = try await server.store.read { try $0.timeline(of: call) }
            #expect(record.filter { $0.kind == "dropped" }.count == 2)
        }
    }

    @Test func everyBoundNamesItsField() async throws {
        try await TestServer.run { server in
            let lobby = try await Lobby(server)
            let path = try await lobby.joined()
            let long: JSONValue = .string(String(repeating: "x", count: 300))
            let many = JSONValue.array(Array(repeating: "@budi", count: Limits.invitedUsersMax + 1))
            let signals = path + "/signals"
            for (path, body, field) in [
                ("/v1/rooms/lobby/calls", [:], "media"),
                ("/v1/rooms/lobby/calls", ["media": ["audio": 1, "video": true]], "media.audio"),
                (
                    "/v1/rooms/lobby/calls", ["media": ["audio": true, "video": true], "ringTimeoutSeconds": 9],
                    "ringTimeoutSeconds"
                ),
                (
                    "/v1/rooms/lobby/calls", ["media": ["audio": true, "video": true], "ringTimeoutSeconds": 301],
                    "ringTimeoutSeconds"
                ),
                ("/v1/rooms/lobby/calls", ["media": ["audio": true, "video": true], "invite": many], "invite"),
                ("/v1/rooms/lobby/calls", ["media": ["audio": true, "video": true], "invite": ["me"]], "invite[0]"),
                (path + "/invite", ["users": []], "users"), (path + "/invite", ["users": ["@nobody"]], "users[0]"),
                (path + "/reject", ["reason": long], "reason"), (path + "/leave", ["reason": long], "reason"),
                (path + "/end", ["reason": long], "reason"), (signals, ["type": "offer", "sdp": "v=0"], "to"),
                (signals, ["to": "@siti", "type": "offer", "sdp": "v=0"], "to"),
                (signals, ["to": "@nobody", "type": "offer", "sdp": "v=0"], "to"),
                (signals, ["to": "@budi", "type": "shout"], "type"),
                (signals, ["to": "@budi", "type": "superseded"], "type"),
                (signals, ["to": "@budi", "type": "custom", "encrypted": true], "payload"),
                (signals, ["to": "@budi", "type": "offer", "encrypted": true], "payload"),
                (signals, ["to": "@budi", "type": "offer"], "sdp"),
                (signals, ["to": "@budi", "type": "offer", "sdp": "x"], "sdp"),
                (signals, ["to": "@budi", "type": "answer", "sdp": "v=0"], "offer"),
                (signals, ["to": "@budi", "type": "answer", "sdp": "v=0", "offer": "x"], "offer"),
                (signals, ["to": "@budi", "type": "candidates"], "candidates"),
                (signals, ["to": "@budi", "type": "candidates", "candidates": [[:]]], "candidates[0].candidate"),
                (signals, ["to": "@budi", "type": "custom"], "payload"),
            ] as [(String, JSONValue, String)] {
                let reply = try await lobby.siti.post(path, body)
                #expect(reply.status == 422, "\(path) \(field): \(reply.text)")
                #expect(reply.field == field, "\(path) \(field): \(reply.text)")
            }
            let change = try await lobby.siti.patch(path + "/participants/me", ["connection": "fine"])
            #expect(change.field == "connection")
        }
    }

    @Test func callsAreListedNewestFirstAndByState() async throws {
        try await TestServer.run { server in
            let lobby = try await Lobby(server)
            var ids: [String] = []
            for _ in 1...3 {
                server.clock.advance(by: .seconds(1))
                ids.append(try await lobby.call().callID)
            }
            _ = try await lobby.siti.post("/v1/calls/\(ids[0])/end")
            let page = try await lobby.budi.get("/v1/rooms/lobby/calls?limit=2")
            #expect(page.json.items.map { $0["id"]?.stringValue } == [ids[2], ids[1]])
            let next = try #require(page.json["next"]?.stringValue)
            let rest = try await lobby.budi.get("/v1/rooms/lobby/calls?limit=2&before=\(next)")
            #expect(rest.json.items.map { $0["id"]?.stringValue } == [ids[0]])
            let ended = try await lobby.budi.get("/v1/rooms/lobby/calls?state=ended")
            #expect(ended.json.items.map { $0["id"]?.stringValue } == [ids[0]])
            #expect(try await lobby.budi.get("/v1/rooms/lobby/calls?state=over").field == "state")
        }
    }

    @Test func strangersLearnNothingOfPrivateCalls() async throws {
        try await TestServer.run { server in
            let siti = try await server.signUp("siti")
            let dewi = try await server.signUp("dewi")
            let room = try await siti.makeRoom(nil)
            let created = try await siti.post("/v1/rooms/\(room)/calls", Self.media)
            let path = "/v1/calls/\(created.callID)"
            let absent = "/v1/calls/call_00000000000000000000000000"
            for suffix in ["/join", "/reject", "/leave", "/end"] {
                let hidden = try await dewi.post(path + suffix)
                let missing = try await dewi.post(absent + suffix)
                #expect(hidden.status == 404)
                #expect(hidden.withoutInstance == missing.withoutInstance)
            }
            #expect(try await dewi.get(path).status == 404)
            #expect(try await dewi.get("/v1/rooms/\(room)/calls").status == 404)
            #expect(try await dewi.get("/v1/ice-servers?call=\(created.callID)").status == 404)
            #expect(try await siti.get("/v1/ice-servers?call=\(created.callID)").status == 200)
        }
    }

    @Test func iceServersAreTheConfiguredOnes() async throws {
        var settings = GatewaySettings()
        settings.stunURLs = ["stun:stun.example.test:3478"]
        try await TestServer.run(settings: settings) { server in
            let siti = try await server.signUp("siti")
            let reply = try await siti.get("/v1/ice-servers")
            #expect(
                reply.json == [
                    "iceServers": [["urls": ["stun:stun.example.test:3478"]]], "iceCandidatePoolSize": 10,
                    "ttlSeconds": nil,
                ])
        }
    }

    @Test func fullCallRefusesTheNext() async throws {
        var settings = GatewaySettings()
        settings.joinedParticipantsMax = 1
        try await TestServer.run(settings: settings) { server in
            let lobby = try await Lobby(server)
            let path = "/v1/calls/\(try await lobby.call().callID)"
            #expect(try await lobby.budi.post(path + "/join").slug == "call-full")
        }
    }
}

extension Reply {
    /// Of a created call.
    fileprivate var callID: String { self.json["call"]?["id"]?.stringValue ?? "" }
}
