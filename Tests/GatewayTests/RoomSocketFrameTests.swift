import Core
import Foundation
import Gateway
import Hub
import HummingbirdTesting
import TestSupport
import Testing

/// `/ws/{room}` frame by frame: what is answered and lived with, what closes the socket, and why the server closes it.
@Suite(.timeLimit(.minutes(2)))
struct RoomSocketFrameTests {
    private static func withDewi(
        hubSettings: HubSettings = HubSettings(),
        _ body: @escaping @Sendable (TestServer, Person, RoomSocket) async throws -> Void
    ) async throws {
        try await TestServer.run(.ahc(.http), hubSettings: hubSettings) { server in
            server.gateway.readiness.becameReady()
            let siti = try await server.signUp("siti")
            _ = try await siti.makeRoom("lobby")
            try await body(server, siti, RoomSocket.enter(server, "/ws/lobby?username=Dewi"))
        }
    }

    @Test(arguments: [
        ("Halo", "invalid-json"), ("[1]", "invalid-json"), (#"{"type":"dance"}"#, "unknown-type"),
        ("{}", "unknown-type"), (#"{"type":"message"}"#, "validation-failed"),
        (#"{"type":"message","content":""}"#, "validation-failed"),
        (#"{"type":"message","content":"x","metadata":[]}"#, "validation-failed"),
        (#"{"type":"message","content":"x","metadata":"# + String(repeating: "[", count: 100), "invalid-json"),
        (#"{"type":"signal","to":"x","content":"{}"}"#, "recipient-offline"),
        (#"{"type":"signal","to":"usr_00000000000000000000000000","content":"{}"}"#, "recipient-offline"),
        (#"{"type":"signal","to":"usr_00000000000000000000000000","content":"x"}"#, "validation-failed"),
    ])
    func whatIsWrongIsAnsweredAndTheSocketStays(_ text: String, _ code: String) async throws {
        try await Self.withDewi { server, _, socket in
            let events = server.log.count
            try await socket.send(Frame.masked(Frame.text, Array(text.utf8)))
            let error = try await socket.next()
            #expect(error["type"] == "error" && error["code"] == .string(code), "\(error)")
            #expect(error["message"]?.stringValue?.isEmpty == false)
            try await socket.send(["type": "ping"])
            #expect(try await socket.next() == ["type": "pong"])
            #expect(server.log.count == events)
        }
    }

    @Test func binaryFramesAreAnsweredAndTheSocketStays() async throws {
        try await Self.withDewi { _, _, socket in
            try await socket.send(Frame.masked(Frame.binary, [1, 2, 3]))
            #expect(try await socket.next()["code"] == "binary-frame")
            try await socket.send(["type": "ping"])
            #expect(try await socket.next() == ["type": "pong"])
        }
    }

    @Test func fragmentsAreOneMessageAndControlFramesComeBetween() async throws {
        try await Self.withDewi { _, _, socket in
            let bytes = Array(#"{"type":"message","content":"📞 mak comblang"}"#.utf8)
            // The first cut is within a character.
            let cut = bytes.firstIndex(of: 0xF0).map { $0 + 2 } ?? 10
            try await socket.send(Frame.masked(Frame.text, Array(bytes[..<cut]), isFinal: false))
            try await socket.send(Frame.masked(Frame.ping, [7]))
            let pong = try await socket.nextFrame()
            #expect(pong.opcode == Frame.pong && pong.payload == [7])
            for byte in bytes[cut...] {
                try await socket.send(Frame.masked(Frame.continuation, [byte], isFinal: false))
            }
            try await socket.send(Frame.masked(Frame.continuation, []))
            #expect(try await socket.next("message")["content"] == "📞 mak comblang")
        }
    }

    @Test(arguments: [
        (Frame.masked(Frame.text, [0x22, 0xC3, 0x28, 0x22]), 1007), (Frame(Frame.text, Array("{}".utf8)), 1002),
        (Frame.masked(Frame.text, [], reserved: 4), 1002), (Frame.masked(3, []), 1002),
        (Frame.masked(Frame.continuation, []), 1002),
        (Frame.masked(Frame.text, [UInt8](repeating: 0x20, count: Limits.bodyBytesMax + 1)), 1009),
        (Frame.masked(Frame.close, Frame.closing(1005)), 1002),
    ])
    func whatBreaksTheProtocolCloses(_ frame: Frame, _ code: Int) async throws {
        try await Self.withDewi { _, _, socket in
            try await socket.send(frame)
            #expect(try await socket.close().code == code)
        }
    }

    @Test func fragmentsThatAreTooMuchTogetherClose() async throws {
        try await Self.withDewi { _, _, socket in
            let piece = [UInt8](repeating: 0x20, count: Limits.bodyBytesMax / 4)
            try await socket.send(Frame.masked(Frame.text, piece, isFinal: false))
            for _ in 0..<4 { try? await socket.send(Frame.masked(Frame.continuation, piece, isFinal: false)) }
            #expect(try await socket.close().code == 1009)
        }
    }

    @Test func aMessageOfTheLargestSizePasses() async throws {
        try await Self.withDewi { _, _, socket in
            let content = String(repeating: "📞", count: Limits.messageCharactersMax)
            try await socket.send(["type": "message", "content": .string(content)])
            #expect(try await socket.next("message")["content"] == .string(content))
            try await socket.send(["type": "message", "content": .string(content + "x")])
            #expect(try await socket.next("error")["code"] == "validation-failed")
        }
    }

    @Test func marksOfServersAreTakenOutOfWhatUsersSay() async throws {
        try await Self.withDewi { server, siti, socket in
            let room = try await siti.post("/v1/rooms", ["visibility": "private"]).id
            let secret = try await siti.say("sangat rahasia", in: room)
            for headers in [[:], ["Comblang-Bridge": "forged"]] {
                let eve = try await RoomSocket.enter(server, "/ws/lobby?username=Eve", headers: headers)
                let mark: JSONValue = ["id": .string(secret), "via": ["x"]]
                try await eve.send(["type": "message", "content": "coba", "metadata": ["_comblang": mark, "a": 1]])
                let echo = try await eve.next("message")
                #expect(echo["content"] == "coba", "what another room has is none of this one's business")
                #expect(echo["metadata"] == (headers.isEmpty ? ["a": 1] : ["_comblang": mark, "a": 1]))
                // Another server says it again: here it was said already.
                guard !headers.isEmpty else { continue }
                try await eve.send(["type": "message", "content": "lagi", "metadata": ["_comblang": mark]])
                #expect(try await eve.next("message")["content"] == "coba")
            }
        }
    }

    @Test func whoHangsUpByAFrameToThemselvesLeavesACallThatNobodyJoined() async throws {
        try await Self.withDewi { server, siti, socket in
            let open: JSONValue = ["type": "message", "content": "📞", "metadata": ["action": "join_call"]]
            try await socket.send(open)
            let call = try await socket.next("message")["metadata"]?["call"]?.stringValue ?? ""
            let signal = { (type: String) -> JSONValue in
                [
                    "type": "signal", "to": .string(socket.userID),
                    "content": .string(#"{"type":"\#(type)","sdp":"v=0"}"#),
                ]
            }
            try await socket.send(signal("offer"))
            #expect(try await socket.next("error")["code"] == "validation-failed")
            try await socket.send(signal("leave"))
            try await socket.send(["type": "ping"])
            #expect(try await socket.next() == ["type": "pong"])
            let found = try await siti.get("/v1/calls/\(call)").json
            #expect(found["state"] == "ended" && found["endReason"] == "cancelled")
        }
    }

    @Test func aFloodIsCarriedOutToItsEnd() async throws {
        try await Self.withDewi { _, _, socket in
            let ping = Frame.masked(Frame.text, Array(#"{"type":"ping"}"#.utf8)).bytes
            let typing = Frame.masked(Frame.text, Array(#"{"type":"typing"}"#.utf8)).bytes
            let nonsense = Frame.masked(Frame.text, [0x78]).bytes
            for _ in 0..<20 { try await socket.send(bytes: (0..<200).flatMap { _ in ping + typing + nonsense }) }
            try await socket.send(["type": "message", "content": "still here"])
            var counts: [String: Int] = [:]
            while true {
                let frame = try await socket.next()
                counts[frame["type"]?.stringValue ?? "", default: 0] += 1
                if frame["content"] == "still here" { break }
            }
            // Of answers that nobody reads fast enough, the newest is sent.
            #expect((1...4000).contains(counts["pong"] ?? 0), "\(counts)")
            #expect(counts["typing"] == nil, "one's own")
        }
    }

    // MARK: Ends

    @Test func aRemovedMembersSocketClosesAtOnce() async throws {
        try await Self.withDewi { _, siti, socket in
            #expect(try await siti.delete("/v1/rooms/lobby/members/\(socket.userID)").status == 204)
            let end = try await socket.close()
            #expect(end.code == 1008 && end.reason == "revoked")
        }
    }

    @Test func aTokensSocketEndsWithTheTokenAndAGuestsDoesNot() async throws {
        try await Self.withDewi { server, siti, dewi in
            let socket = try await RoomSocket.enter(server, "/ws/lobby", token: siti.token)
            server.clock.advance(by: Limits.accessTokenLifetime)
            let end = try await socket.close()
            #expect(end.code == 1008 && end.reason == "expired")
            // The resume token is good for longer.
            let back = try await RoomSocket.enter(server, "/ws/lobby?resume=\(socket.resumeToken)")
            #expect(back.userID == siti.id)
            try await dewi.send(["type": "ping"])
            #expect(try await dewi.next("pong") == ["type": "pong"])
        }
    }

    @Test func aRoomsSocketDoesNotRotate() async throws {
        var settings = HubSettings()
        settings.rotateAfter = .seconds(1)
        try await Self.withDewi(hubSettings: settings) { server, siti, dewi in
            let reader = try await RoomSocket(server, "/v1/ws", token: siti.token)
            server.clock.advance(by: .seconds(60))
            _ = try await reader.close()
            try await dewi.send(["type": "ping"])
            #expect(try await dewi.next("pong") == ["type": "pong"])
        }
    }

    @Test func aServerThatStopsSaysSo() async throws {
        var settings = HubSettings()
        settings.drainSpread = .zero
        try await Self.withDewi(hubSettings: settings) { server, _, socket in
            server.gateway.hub.drain()
            let end = try await socket.close()
            #expect(end.code == 1012 && end.reason == "drain")
        }
    }

    @Test func placesAreThoseOfStreams() async throws {
        var settings = HubSettings()
        settings.streamsPerDeviceMax = 1
        try await Self.withDewi(hubSettings: settings) { server, siti, _ in
            let socket = try await RoomSocket.enter(server, "/ws/lobby", token: siti.token)
            await #expect(throws: RoomSocket.Refusal(status: 429, slug: "too-many-streams")) {
                try await RoomSocket(server, "/ws/lobby", token: siti.token)
            }
            // The newer one of a resume token takes the place of the older.
            let back = try await RoomSocket.enter(server, "/ws/lobby?resume=\(socket.resumeToken)")
            #expect(back.userID == siti.id)
        }
    }
}
