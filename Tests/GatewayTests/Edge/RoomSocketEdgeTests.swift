import Core
import Gateway
import Hub
import HummingbirdTesting
import TestSupport
import Testing

/// `/ws/{room}` at the edge: a guest is a sign-up, frames count as requests do, and keys reach as far as their scopes.
@Suite(.timeLimit(.minutes(2)))
struct RoomSocketEdgeTests {
    @Test(arguments: [(Registration.closed, "registration-closed"), (.invite, "invite-required")])
    func whereNobodyMaySignUpThereAreNoGuests(_ registration: Registration, _ slug: String) async throws {
        try await TestServer.run(.ahc(.http), registration: registration) { server in
            let admin = try await server.admin()
            _ = try await admin.makeRoom("lobby")
            await #expect(throws: RoomSocket.Refusal(status: 403, slug: slug)) {
                try await RoomSocket(server, "/ws/lobby?username=Dewi")
            }
        }
    }

    @Test func guestsAreCountedAsSignUps() async throws {
        var settings = GatewaySettings()
        settings.rates = RateSettings(quotas: [.signUps: RateQuota(3, in: .seconds(3600))])
        try await RoomSocketTests.withLobby(settings: settings) { server, _ in
            _ = try await RoomSocket.enter(server, "/ws/lobby?username=Dewi")
            _ = try await RoomSocket.enter(server, "/ws/lobby?username=Budi")
            await #expect(throws: RoomSocket.Refusal(status: 429, slug: "rate-limited")) {
                try await RoomSocket(server, "/ws/lobby?username=Citra")
            }
        }
    }

    @Test func framesAreCountedAsRequestsAreButHangingUpGetsThrough() async throws {
        var settings = GatewaySettings()
        settings.rates = RateSettings(quotas: [
            .messages: RateQuota(1, in: .seconds(3600)), .signals: RateQuota(1, in: .seconds(3600)),
        ])
        try await RoomSocketTests.withLobby(settings: settings) { server, _ in
            let dewi = try await RoomSocket.enter(server, "/ws/lobby?username=Dewi")
            let budi = try await RoomSocket.enter(server, "/ws/lobby?username=Budi")
            for expected in ["message", "error"] {
                try await dewi.send(["type": "message", "content": "Halo"])
                let frame = try await dewi.next("message", "error")
                #expect(frame["type"] == .string(expected))
                #expect(expected == "message" || frame["code"] == "rate-limited")
            }
            try await dewi.signal(#"{"type":"offer","sdp":"v=0"}"#, to: budi.userID)
            _ = try await budi.next("signal")
            try await dewi.signal(#"{"type":"mute"}"#, to: budi.userID)
            #expect(try await dewi.next("error")["code"] == "rate-limited")
            try await dewi.signal(#"{"type":"leave"}"#, to: budi.userID)
            while !server.log.contains(where: { $0.type == .callEnded }) { await Task.yield() }
        }
    }

    @Test func aKeyReachesAsFarAsItsScopes() async throws {
        try await RoomSocketTests.withLobby { server, siti in
            let reading = try await server.makeKey([.eventsRead], for: UserID(known: siti.id), as: "reading")
            let socket = try await RoomSocket.enter(server, "/ws/lobby", token: reading)
            for frame: JSONValue in [
                ["type": "message", "content": "Halo"], ["type": "typing"],
                ["type": "signal", "to": .string(siti.id), "content": "{}"],
                ["type": "message", "content": "x", "metadata": ["action": "join_call"]],
            ] {
                try await socket.send(frame)
                #expect(try await socket.next("error")["code"] == "insufficient-scope")
            }
            // Nor does it join where its user is no member.
            let budi = try await server.signUp("budi")
            let other = try await server.makeKey([.eventsRead], for: UserID(known: budi.id), as: "other")
            await #expect(throws: RoomSocket.Refusal(status: 403, slug: "insufficient-scope")) {
                try await RoomSocket(server, "/ws/lobby", token: other)
            }
            let writing = try await server.makeKey([.messagesWrite], for: UserID(known: siti.id), as: "writing")
            await #expect(throws: RoomSocket.Refusal(status: 403, slug: "insufficient-scope")) {
                try await RoomSocket(server, "/ws/lobby", token: writing)
            }
        }
    }
}
