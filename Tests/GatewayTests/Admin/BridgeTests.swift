import Core
import Foundation
import Gateway
import HTTPTypes
import Hub
import TestSupport
import Testing

/// Bridges as admins make and find them.
struct BridgeTests {
    private static func new(_ name: String, room: String = "lobby", more: [String: JSONValue] = [:]) -> JSONValue {
        var body: [String: JSONValue] = [
            "name": .string(name), "room": .string(room), "url": "ws://127.0.0.1:1/{room}",
        ]
        body.merge(more) { $1 }
        return .object(body)
    }

    private static func withLobby(
        _ body: @escaping @Sendable (TestServer, _ admin: Person, _ siti: Person) async throws -> Void
    ) async throws {
        try await TestServer.run { server in
            let siti = try await server.signUp("siti")
            _ = try await server.send(.post, "/v1/rooms", ["name": "lobby"], token: siti.token)
            try await body(server, try await server.admin(), siti)
        }
    }

    @Test func aBridgeIsMadeShownPausedAndRemoved() async throws {
        try await Self.withLobby { server, admin, siti in
            let made = try await server.send(
                .post, "/v1/admin/bridges",
                Self.new("notebook", more: ["headers": ["Authorization": "Bearer secret"], "remoteRoom": "general"]),
                token: admin.token)
            #expect(made.status == 201 && made.headers[.location] == "/v1/admin/bridges/notebook")
            #expect(made.json["state"] == "down" && made.json["remoteRoom"] == "general")
            #expect(made.json["headers"] == ["Authorization"] && !made.text.contains("secret"))
            let room = try await server.send(.get, "/v1/rooms/lobby", token: siti.token)
            #expect(room.json["bridge"] == "notebook" && room.json["bridgeState"] == "down")
            let paused = try await server.send(
                .patch, "/v1/admin/bridges/notebook", ["paused": true], token: admin.token)
            #expect(paused.status == 200 && paused.json["state"] == "paused")
            let removed = try await server.send(.delete, "/v1/admin/bridges/notebook", token: admin.token)
            #expect(removed.status == 204)
            let free = try await server.send(.get, "/v1/rooms/lobby", token: siti.token)
            #expect(free.json["bridge"] == .null && free.json["bridgeState"] == .null)
            let events = try await server.events(visibleTo: siti)
            #expect(events.filter { $0.type == .roomUpdated }.count == 3, "made, paused, removed")
            #expect(server.log.filter { $0.type == .bridgeChanged }.count == 3)
            let audit = try await server.send(.get, "/v1/admin/audit", token: admin.token)
            for action in ["bridges.create", "bridges.change", "bridges.remove"] {
                #expect(audit.text.contains(action))
            }
            #expect(!audit.text.contains("secret"))
        }
    }

    @Test func bridgesAreBoundedAndARoomHasOne() async throws {
        try await Self.withLobby { server, admin, siti in
            _ = try await server.send(.post, "/v1/admin/bridges", Self.new("first"), token: admin.token)
            let second = try await server.send(.post, "/v1/admin/bridges", Self.new("second"), token: admin.token)
            #expect(second.status == 422 && second.text.contains("room"))
            let acting = Acting(
                user: try #require(try await server.store.read { try $0.user(username: "siti") }),
                device: DeviceID(known: "ses_x"), now: server.clock.now, ids: server.gateway.ids)
            try await server.store.write { store in
                for number in 1..<Limits.bridgesMax {
                    let room = try store.createRoom(NewRoom(), as: acting)
                    let target = BridgeTarget(url: "ws://127.0.0.1:1/", remoteRoom: "r")
                    _ = try store.createBridge(
                        NewBridge(name: "b\(number)", room: .id(room.id), target: target, isPaused: true), by: nil,
                        now: acting.now)
                }
            }
            _ = try await server.send(.post, "/v1/rooms", ["name": "other"], token: siti.token)
            let past = try await server.send(
                .post, "/v1/admin/bridges", Self.new("past", room: "other"), token: admin.token)
            #expect(past.status == 409 && past.json["type"] == "/problems/limit-reached")
        }
    }

    @Test(
        arguments: [
            ("name", JSONValue.string("A B")), ("room", "nowhere"), ("url", "http://far/"), ("url", "ws://u:p@far/"),
            ("headers", ["Host": "x"]), ("certificateAuthority", "x"), ("remoteRoom", ""), ("userIdMember", ""),
        ] as [(String, JSONValue)]) func aFieldThatCannotBeIsNamed(field: String, value: JSONValue) async throws
    {
        try await Self.withLobby { server, admin, _ in
            let refused = try await server.send(
                .post, "/v1/admin/bridges", Self.new("far", more: [field: value]), token: admin.token)
            #expect(refused.status == 422 && refused.text.contains(field), "\(refused.text)")
        }
    }

    @Test func whatTheFileSaysComesAndGoesAndLeavesOthersAlone() async throws {
        try await Self.withLobby { server, _, siti in
            let (now, ids) = (server.clock.now, server.gateway.ids)
            _ = try await server.send(.post, "/v1/rooms", ["name": "other"], token: siti.token)
            let target = BridgeTarget(url: "ws://127.0.0.1:1/", remoteRoom: "r")
            let own = NewBridge(name: "own", room: .name("other"), target: target)
            let filed = NewBridge(name: "filed", room: .name("lobby"), target: target, isFromFile: true)
            try await server.store.write { store in
                _ = try store.createBridge(own, by: nil, now: now)
                try store.applyBridgeFile([filed], now: now, ids: ids)
                let before = store.lastAppendedSeq
                try store.applyBridgeFile([filed], now: now, ids: ids)
                #expect(store.lastAppendedSeq == before, "the same again is nothing new")
                var moved = filed
                moved.target.remoteRoom = "elsewhere"
                try store.applyBridgeFile([moved], now: now, ids: ids)
                #expect(try store.bridge(BridgeName(known: "filed"))?.target.remoteRoom == "elsewhere")
                // Two change places.
                var (one, two) = (filed, filed)
                (two.name, two.room) = ("second", .name("other"))
                try store.deleteBridge(store.bridge(named: "own"), by: nil, now: now, ids: ids)
                try store.applyBridgeFile([one, two], now: now, ids: ids)
                swap(&one.room, &two.room)
                try store.applyBridgeFile([one, two], now: now, ids: ids)
                let other = try store.room(name: "other")?.id
                #expect(try store.bridge(BridgeName(known: "filed"))?.room == other)
                try store.applyBridgeFile([two], now: now, ids: ids)
                _ = try store.createBridge(own, by: nil, now: now)
                try store.applyBridgeFile([], now: now, ids: ids)
                #expect(try store.bridges(after: nil, limit: 9).map(\.name.text) == ["own"])
            }
        }
    }
}
