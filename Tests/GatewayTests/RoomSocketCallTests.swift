import Core
import Foundation
import Gateway
import Hub
import TestSupport
import Testing

/// Calls between `/ws/{room}` and everybody else: neither side knows how the other speaks.
@Suite(.timeLimit(.minutes(2)))
struct RoomSocketCallTests {
    private static let offer = #"{"type":"offer","sdp":"v=0\r\na=ice-ufrag:abcd\r\n"}"#
    private static let answer = #"{"type":"answer","sdp":"v=0\r\na=ice-ufrag:efgh\r\n"}"#
    private static let candidate =
        #"{"type":"candidate","candidate":{"candidate":"candidate:1","sdpMid":"0","sdpMLineIndex":0}}"#

    private static func withDewi(
        _ body: @escaping @Sendable (TestServer, Person, RoomSocket) async throws -> Void
    ) async throws {
        try await RoomSocketTests.withLobby { server, siti in
            try await body(server, siti, RoomSocket.enter(server, "/ws/lobby?username=Dewi"))
        }
    }

    /// The seed's invitation.
    private static func invite(_ socket: RoomSocket) async throws -> String {
        try await socket.send(
            ["type": "message", "content": "📞 [KLIK DI SINI] ", "metadata": ["action": "join_call"]])
        return try #require(try await socket.next("message")["metadata"]?["call"]?.stringValue)
    }

    /// The signals for a person's only device that the log has.
    private static func signals(_ server: TestServer, for person: Person) -> [JSONValue] {
        server.log.filter { $0.type == .signal }
            .compactMap { try? JSON.decode(JSONValue.self, from: $0.data) }
            .filter { $0["to"] == .string(person.id) }
    }

    private static func until(_ condition: () async throws -> Bool) async throws {
        while try await !condition() { try await Task.sleep(for: .milliseconds(5)) }
    }

    @Test func aUserOfRequestsTakesUpTheInvitationOfAFrame() async throws {
        try await Self.withDewi { server, siti, dewi in
            let call = try await Self.invite(dewi)
            let joined = try await siti.post("/v1/calls/\(call)/join", [:])
            #expect(joined.json["peers"]?.items.map { $0["user"] } == [.string(dewi.userID)])
            let sent = try await siti.post(
                "/v1/calls/\(call)/signals",
                ["to": .string(dewi.userID), "type": "offer", "sdp": "v=0\r\na=ice-ufrag:abcd\r\n"])
            #expect(sent.status == 202 && sent.json["delivery"] == "live")
            let offer = try await dewi.next("signal")
            #expect(offer["content"] == .string(Self.offer))
            #expect(offer["userId"] == .string(siti.id) && offer["username"] == "siti" && offer["timestamp"] != nil)
            try await dewi.signal(Self.answer, to: siti.id)
            try await dewi.signal(Self.candidate, to: siti.id)
            try await Self.until { Self.signals(server, for: siti).count == 2 }
            let signals = Self.signals(server, for: siti)
            #expect(signals[0]["type"] == "answer" && signals[0]["offer"] == sent.json["id"])
            #expect(signals[0]["displayName"] == "Dewi")
            #expect(signals[1]["candidates"]?.items.first?["candidate"] == "candidate:1")
            let batch: JSONValue = [
                "to": .string(dewi.userID), "type": "candidates", "end": true,
                "candidates": [
                    ["candidate": "candidate:1", "sdpMid": "0", "sdpMLineIndex": 0], ["candidate": "candidate:2"],
                ],
            ]
            #expect(try await siti.post("/v1/calls/\(call)/signals", batch).status == 202)
            #expect(try await dewi.next("signal")["content"] == .string(Self.candidate))
            #expect(
                try await dewi.next("signal")["content"]
                    == #"{"type":"candidate","candidate":{"candidate":"candidate:2"}}"#)
            #expect(try await siti.post("/v1/calls/\(call)/leave", [:]).status == 200)
            // The seed has no word for it, and its page passes over ours.
            let leave = try await dewi.next("signal")
            #expect(leave["content"] == #"{"type":"leave"}"# && leave["userId"] == .string(siti.id))
            let ended = try await siti.get("/v1/calls/\(call)").json
            #expect(ended["endReason"] == "completed")
            #expect(ended["participants"]?.items.map { $0["transport"] } == ["websocket", .null])
        }
    }

    @Test func aFrameTakesUpTheInvitationOfAUserOfRequests() async throws {
        try await Self.withDewi { server, siti, dewi in
            let created = try await siti.post("/v1/rooms/lobby/calls", ["media": ["audio": true, "video": true]])
            let call = try #require(created.json["call"]?["id"]?.stringValue)
            let invitation = try await dewi.next("message")
            #expect(invitation["metadata"]?["action"] == "join_call" && invitation["userId"] == .string(siti.id))
            try await dewi.signal(Self.offer, to: siti.id)
            try await Self.until { !Self.signals(server, for: siti).isEmpty }
            let offer = try #require(Self.signals(server, for: siti).first)
            #expect(offer["call"] == .string(call))
            let answered = try await siti.post(
                "/v1/calls/\(call)/signals",
                [
                    "to": .string(dewi.userID), "type": "answer", "offer": offer["id"] ?? .null,
                    "sdp": "v=0\r\na=ice-ufrag:efgh\r\n",
                ])
            #expect(answered.status == 202)
            #expect(try await dewi.next("signal")["content"] == .string(Self.answer))

            // It hangs up by going.
            try await dewi.send(Frame.masked(Frame.close, Frame.closing(1001)))
            _ = try await dewi.close()
            try await Self.until { try await siti.get("/v1/calls/\(call)").json["state"] == "ended" }
            let id = CallID(known: call)
            let record = try await server.store.read { try $0.timeline(of: id) }
            #expect(record.contains { $0.data.contains("inferred: closed") })
        }
    }

    @Test func signalsReachTheirAddresseeAlone() async throws {
        try await Self.withDewi { server, siti, dewi in
            let budi = try await RoomSocket.enter(server, "/ws/lobby?username=Budi")
            let citra = try await RoomSocket.enter(server, "/ws/lobby?username=Citra")
            try await dewi.signal(Self.offer, to: budi.userID)
            #expect(try await budi.next("signal")["userId"] == .string(dewi.userID))
            try await budi.signal(#"{"type":"reject"}"#, to: dewi.userID)
            #expect(try await dewi.next("signal")["content"] == #"{"type":"reject"}"#)
            _ = try await siti.say("afterwards", in: "lobby")
            for socket in [budi, citra, dewi] {
                let frame = try await socket.next()
                #expect(frame["content"] == "afterwards", "\(frame)")
            }
        }
    }

    @Test func whoHasGoneIsToldToBeOffline() async throws {
        try await Self.withDewi { server, _, dewi in
            let budi = try await RoomSocket.enter(server, "/ws/lobby?username=Budi")
            try await budi.send(Frame.masked(Frame.close, Frame.closing(1000)))
            _ = try await budi.close()
            let id = UserID(known: budi.userID)
            try await Self.until { !server.gateway.hub.registry.isPresent(id, grace: .seconds(45)) }
            try await dewi.signal(Self.offer, to: budi.userID)
            #expect(try await dewi.next("error")["code"] == "recipient-offline")
        }
    }

    @Test func aLostConnectionKeepsItsPlaceAndFindsItsSignalsWhenItResumes() async throws {
        try await Self.withDewi { server, siti, dewi in
            let call = try await Self.invite(dewi)
            #expect(try await siti.post("/v1/calls/\(call)/join", [:]).status == 200)
            try await dewi.vanish()
            let device = UserID(known: dewi.userID)
            try await Self.until { server.gateway.hub.registry.seat(of: device, in: RoomID(known: "room_")) == nil }
            let sent = try await siti.post(
                "/v1/calls/\(call)/signals",
                ["to": .string(dewi.userID), "type": "offer", "sdp": "v=0\r\na=ice-ufrag:abcd\r\n"])
            #expect(sent.status == 202)
            let back = try await RoomSocket.enter(
                server, "/ws/lobby?resume=\(dewi.resumeToken)&after=\(dewi.cursor)")
            #expect(try await back.next("signal")["content"] == .string(Self.offer))
            try await back.signal(Self.answer, to: siti.id)
            try await Self.until { try await siti.get("/v1/calls/\(call)").json["state"] == "active" }
        }
    }
}
