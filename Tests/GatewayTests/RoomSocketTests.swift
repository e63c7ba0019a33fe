import Core
import Foundation
import Gateway
import Hub
import HummingbirdTesting
import TestSupport
import Testing

/// `/ws/{room}` over real sockets: who comes in, what they are told, and that both worlds hear one another.
@Suite(.timeLimit(.minutes(2)))
struct RoomSocketTests {
    /// Siti owns the public room `lobby`.
    static func withLobby(
        settings: GatewaySettings = GatewaySettings(),
        _ body: @escaping @Sendable (TestServer, Person) async throws -> Void
    ) async throws {
        try await TestServer.run(.ahc(.http), settings: settings) { server in
            server.gateway.readiness.becameReady()
            let siti = try await server.signUp("siti")
            _ = try await siti.makeRoom("lobby")
            try await body(server, siti)
        }
    }

    @Test func whatIsSaidInOneWorldIsHeardInTheOther() async throws {
        try await Self.withLobby { server, siti in
            let socket = try await RoomSocket.enter(server, "/ws/lobby?username=Dewi&color=%23112233")
            try await socket.send(["type": "message", "content": "Halo", "metadata": ["pin": true]])
            let own = try await socket.next("message")
            #expect(own["userId"] == .string(socket.userID))
            #expect(own["username"] == "Dewi" && own["color"] == "#112233" && own["content"] == "Halo")
            #expect(own["metadata"] == ["pin": true])
            #expect(own["timestamp"]?.intValue == server.clock.now.milliseconds)
            let event = try #require(server.log.last { $0.type == .messageCreated })
            let data = try JSON.decode(JSONValue.self, from: event.data)
            #expect(data["id"] == own["id"] && data["origin"] == "websocket" && data["displayName"] == "Dewi")

            let id = try await siti.say("Selamat datang, Dewi", in: "lobby")
            let other = try await socket.next("message")
            #expect(other["id"] == .string(id) && other["username"] == "siti" && other["metadata"] == .null)
            #expect(other["userId"] == .string(siti.id))
            let edited = try await siti.patch("/v1/rooms/lobby/messages/\(id)", ["content": "Selamat datang"])
            #expect(edited.status == 200)
            let again = try await socket.next("message")
            #expect(again["id"] == .string(id) && again["content"] == "Selamat datang")
        }
    }

    @Test func welcomeTellsWhoOneIsWhoIsThereAndWhatWasSaid() async throws {
        try await Self.withLobby { server, siti in
            for number in 0..<(Limits.roomHistoryMax + 5) { _ = try await siti.say("\(number)", in: "lobby") }
            let first = try await RoomSocket.enter(server, "/ws/lobby?username=Dewi")
            try await server.turnOfPresence(after: .seconds(1))
            _ = try await first.next("join")
            let second = try await RoomSocket.enter(server, "/ws/lobby?username=Budi")
            let welcome = second.welcome
            #expect(welcome["username"] == "Budi")
            #expect(welcome["users"]?.items.compactMap { $0["username"]?.stringValue }.sorted() == ["Budi", "Dewi"])
            let history = try #require(welcome["history"]).items
            #expect(history.count == Limits.roomHistoryMax)
            #expect(history.first?["content"] == "5" && history.last?["content"] == "54")
            #expect(history.last?["type"] == "message" && history.last?["userId"] == .string(siti.id))
            #expect(!second.cursor.isEmpty && second.resumeToken.hasPrefix("cbw_"))
        }
    }

    @Test func resumingKeepsTheIdReplaysWhatWasMissedAndReplacesTheOlderConnection() async throws {
        try await Self.withLobby { server, siti in
            let socket = try await RoomSocket.enter(server, "/ws/lobby?username=Dewi")
            _ = try await siti.say("one", in: "lobby")
            _ = try await socket.next("message")
            let back = try await RoomSocket.enter(
                server, "/ws/lobby?resume=\(socket.resumeToken)&after=\(socket.cursor)")
            #expect(back.userID == socket.userID && back.resumeToken == socket.resumeToken)
            #expect(back.welcome["history"] == [])
            #expect(try await back.next("message")["content"] == "one")
            let end = try await socket.close()
            #expect(end.code == 1000 && end.reason == "replaced")
            _ = try await siti.say("two", in: "lobby")
            #expect(try await back.next("message")["content"] == "two")
        }
    }

    @Test func aCursorThatIsNotKeptIsSaidToBeGone() async throws {
        try await Self.withLobby { server, siti in
            _ = try await siti.say("one", in: "lobby")
            let socket = try await RoomSocket.enter(server, "/ws/lobby?username=Dewi&after=0000000.7")
            #expect(socket.welcome["history"]?.items.map { $0["content"] } == ["one"])
            #expect(try await socket.next()["code"] == "cursor-expired")
        }
    }

    @Test func messagesOfOneClientKeepTheirOrder() async throws {
        try await Self.withLobby { server, _ in
            let socket = try await RoomSocket.enter(server, "/ws/lobby?username=Dewi")
            var bytes: [UInt8] = []
            for number in 0..<500 {
                let text = #"{"type":"message","content":"\#(number)"}"#
                bytes += Frame.masked(Frame.text, Array(text.utf8)).bytes
            }
            try await socket.send(bytes: bytes)
            for number in 0..<500 { #expect(try await socket.next("message")["content"] == .string("\(number)")) }
        }
    }

    @Test func whoTypesIsSeenByOthersOnly() async throws {
        try await Self.withLobby { server, siti in
            let dewi = try await RoomSocket.enter(server, "/ws/lobby?username=Dewi")
            let budi = try await RoomSocket.enter(server, "/ws/lobby?username=Budi")
            try await dewi.send(["type": "typing"])
            #expect(try await budi.next("typing")["userId"] == .string(dewi.userID))
            #expect(try await siti.post("/v1/rooms/lobby/typing").status == 204)
            let seen = try await dewi.next("typing")
            #expect(seen["userId"] == .string(siti.id) && seen["username"] == "siti")
        }
    }

    @Test func whoComesAndGoesIsAnnounced() async throws {
        try await Self.withLobby { server, _ in
            let dewi = try await RoomSocket.enter(server, "/ws/lobby?username=Dewi")
            try await server.turnOfPresence(after: .seconds(1))
            let budi = try await RoomSocket.enter(server, "/ws/lobby?username=Budi")
            try await server.turnOfPresence(after: .seconds(1))
            _ = try await dewi.next("join")
            #expect(try await dewi.next("join")["username"] == "Budi")
            // A goodbye is believed at once, a connection that is lost after a grace.
            try await budi.send(Frame.masked(Frame.close, Frame.closing(1000)))
            _ = try await budi.close()
            await self.until { !server.gateway.hub.registry.isPresent(UserID(known: budi.userID), grace: .zero) }
            try await server.turnOfPresence(after: .seconds(10))
            let leave = try await dewi.next("leave")
            #expect(leave["userId"] == .string(budi.userID) && leave["username"] == "Budi")
            #expect(leave["timestamp"]?.intValue == server.clock.now.milliseconds)
        }
    }

    private func until(_ condition: () -> Bool) async {
        while !condition() { await Task.yield() }
    }

    // MARK: Who comes in

    @Test func outsidersJoinPublicRoomsByComing() async throws {
        try await Self.withLobby { server, siti in
            let budi = try await server.signUp("budi")
            let socket = try await RoomSocket.enter(server, "lobby", as: budi)
            #expect(socket.userID == budi.id)
            #expect(try await budi.get("/v1/rooms/lobby/messages").status == 200)
            #expect(try await siti.get("/v1/rooms/lobby").json["memberCount"] == 2)
        }
    }

    @Test func privateRoomsDoNotExistForOutsidersAndGuests() async throws {
        try await Self.withLobby { server, siti in
            let room = try await siti.makeRoom(nil)
            let budi = try await server.signUp("budi")
            let admin = try await server.admin()
            let events = server.log.count
            for target in ["/ws/\(room)", "/ws/room_00000000000000000000000000", "/ws/nowhere"] {
                for token in [budi.token] + (target.hasSuffix(room) ? [] : [admin.token]) {
                    await #expect(throws: RoomSocket.Refusal(status: 404, slug: "not-found")) {
                        try await RoomSocket(server, target, token: token)
                    }
                }
                await #expect(throws: RoomSocket.Refusal(status: 404, slug: "not-found")) {
                    try await RoomSocket(server, target + "?username=Dewi")
                }
            }
            // Nobody joined, and no guest was made.
            #expect(server.log.count == events)
            let users = try await admin.get("/v1/users").json.items.compactMap { $0["displayName"]?.stringValue }
            #expect(!users.contains("Dewi"))
            let socket = try await RoomSocket.enter(server, room, as: siti)
            #expect(socket.userID == siti.id)
        }
    }

    @Test func whoeverHasNoCredentialsIsRefused() async throws {
        try await Self.withLobby { server, siti in
            let socket = try await RoomSocket.enter(server, "lobby", as: siti)
            for target in [
                "/ws/lobby", "/ws/lobby?username=", "/ws/lobby?ticket=cbt_none", "/ws/lobby?resume=cbw_none",
                "/ws/lobby?resume=\(socket.resumeToken.dropFirst(4))",
            ] {
                await #expect(throws: RoomSocket.Refusal(status: 401, slug: "unauthorized"), "\(target)") {
                    try await RoomSocket(server, target)
                }
            }
            #expect(try await siti.delete("/v1/tokens/current").status == 204)
            await #expect(throws: RoomSocket.Refusal(status: 401, slug: "unauthorized")) {
                try await RoomSocket(server, "/ws/lobby?resume=\(socket.resumeToken)")
            }
            let end = try await socket.close()
            #expect(end.code == 1008 && end.reason == "revoked")
        }
    }

    @Test func suspendedUsersStayOutside() async throws {
        try await Self.withLobby { server, siti in
            let id = UserID(known: siti.id)
            let socket = try await RoomSocket.enter(server, "lobby", as: siti)
            try await server.store.write { store in
                var user = try #require(try store.user(id))
                user.isSuspended = true
                try store.update(user)
                try store.append(
                    EventDraft(.userChanged, to: [], actor: id, at: .fixture, data: #"{"user":"\#(id)"}"#))
            }
            for query in ["resume=\(socket.resumeToken)", "username=Dewi"] {
                let opening = try? await RoomSocket.enter(server, "/ws/lobby?\(query)")
                #expect((opening == nil) == query.hasPrefix("resume"))
            }
            // Whoever was connected says nothing more.
            try await socket.send(["type": "message", "content": "Halo"])
            #expect(try await socket.next("error")["code"] == "unauthorized")
        }
    }

    @Test(arguments: [
        ("username=\(String(repeating: "x", count: 65))", "username"), ("username=%20", "username"),
        ("username=a%0Ab", "username"), ("username=Dewi&color=red", "color"),
    ])
    func guestsAreNamedByTheRules(_ query: String, _ field: String) async throws {
        try await Self.withLobby { server, _ in
            await #expect(throws: RoomSocket.Refusal(status: 422, slug: "validation-failed")) {
                try await RoomSocket(server, "/ws/lobby?\(query)")
            }
        }
    }

    @Test func guestsMayBeRefusedBySetting() async throws {
        try await Self.withLobby(settings: GatewaySettings(roomGuestsAllowed: false)) { server, siti in
            await #expect(throws: RoomSocket.Refusal(status: 401, slug: "unauthorized")) {
                try await RoomSocket(server, "/ws/lobby?username=Dewi")
            }
            _ = try await RoomSocket.enter(server, "lobby", as: siti)
        }
    }

    @Test(arguments: ["/ws/lobby?username=Dewi", "/v1/ws"])
    func pagesOfOtherOriginsAreRefusedBySetting(_ target: String) async throws {
        try await Self.withLobby(settings: GatewaySettings(allowedOrigins: ["https://chat.example"])) { server, siti in
            let port = try #require(server.client.port)
            for origin in ["https://evil.example", "null", "https://chat.example.evil.example"] {
                await #expect(throws: RoomSocket.Refusal(status: 403, slug: "forbidden"), "\(origin)") {
                    try await RoomSocket(server, target, token: siti.token, headers: ["Origin": origin])
                }
            }
            for origin in ["https://chat.example", "http://127.0.0.1:\(port)", nil] {
                let headers = origin.map { ["Origin": $0] } ?? [:]
                _ = try await RoomSocket(server, target, token: siti.token, headers: headers)
            }
        }
    }

    @Test func newcomersDoNotComeToAnArchivedRoom() async throws {
        try await Self.withLobby { server, siti in
            #expect(try await siti.patch("/v1/rooms/lobby", ["archived": true]).status == 200)
            await #expect(throws: RoomSocket.Refusal(status: 409, slug: "room-archived")) {
                try await RoomSocket(server, "/ws/lobby?username=Dewi")
            }
            let socket = try await RoomSocket.enter(server, "lobby", as: siti)
            try await socket.send(["type": "message", "content": "Halo"])
            #expect(try await socket.next("error")["code"] == "room-archived")
        }
    }
}
