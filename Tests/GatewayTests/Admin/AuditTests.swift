import Core
import Foundation
import Gateway
import HTTPTypes
import Hub
import HummingbirdTesting
import SQLiteStore
import TestSupport
import Testing

/// The audit log tells every change by an admin, and every read of what is not theirs.
struct AuditTests {
    private static func entries(_ admin: Person, _ query: String = "") async throws -> [JSONValue] {
        let reply = try await admin.get("/v1/admin/audit?\(query)")
        try #require(reply.status == 200, "\(reply.text)")
        return reply.json["items"]?.items ?? []
    }

    private static func actions(_ admin: Person, _ query: String = "") async throws -> [String] {
        try await self.entries(admin, query).compactMap { $0["action"]?.stringValue }
    }

    @Test func anEntrySaysWhoDidWhatToWhomWhenAndInWhichRequest() async throws {
        try await TestServer.run(.ahc(.http)) { server in
            let root = try await server.admin()
            let siti = try await server.signUp("siti")
            let reply = try await root.patch("/v1/admin/users/@siti", ["suspended": true])
            let entry = try #require(try await Self.entries(root).first)
            #expect(entry["admin"] == .string(root.id) && entry["username"] == "admin")
            #expect(entry["action"] == "users.change" && entry["resource"] == .string(siti.id))
            #expect(entry["parameters"] == ["suspended": true])
            #expect(entry["at"] == .string(server.clock.now.rfc3339))
            #expect(entry["requestId"] == reply.headers[.requestID].map { .string($0) })
            #expect(entry["remoteAddress"] == "127.0.0.1")
            #expect(try await Self.actions(root, "resource=\(siti.id)&action=users.change&admin=\(root.id)").count == 1)
            #expect(try await Self.actions(root, "action=calls.end").isEmpty)
            // Reading the log itself tells nothing of anybody.
            #expect(try await Self.actions(root) == ["users.change"])
        }
    }

    @Test func readsArePagedAndFilteredByTime() async throws {
        try await TestServer.run { server in
            let root = try await server.admin()
            var times: [String] = []
            for _ in 0..<5 {
                server.clock.advance(by: .seconds(60))
                times.append(server.clock.now.rfc3339)
                _ = try await root.get("/v1/admin/users?q=siti&limit=7")
            }
            let all = try await Self.entries(root)
            #expect(all.map { $0["parameters"] } == Array(repeating: ["q": "siti", "limit": "7"], count: 5))
            let first = try await root.get("/v1/admin/audit?limit=2")
            let next = try #require(first.json["next"]?.stringValue)
            #expect(first.headers[.link] == "</v1/admin/audit?limit=2&before=\(next)>; rel=\"next\"")
            let rest = try await Self.entries(root, "before=\(next)")
            #expect((first.json["items"]?.items ?? []) + rest == all)
            #expect(try await Self.entries(root, "after=\(next)&limit=9") == all.prefix(1).map { $0 })
            let between = try await Self.entries(root, "since=\(times[1])&until=\(times[3])")
            #expect(between.map { $0["at"]?.stringValue } == [times[2], times[1]])
            for (query, field) in [
                ("since=yesterday", "since"), ("until=1", "until"), ("action=dance", "action"), ("admin=x", "admin"),
                ("before=1", "before"),
            ] {
                #expect(try await root.get("/v1/admin/audit?\(query)").field == field)
            }
        }
    }

    @Test func refusedRequestsLeaveNoEntry() async throws {
        try await TestServer.run { server in
            let root = try await server.admin()
            _ = try await root.patch("/v1/admin/users/me", ["suspended": true])
            _ = try await root.get("/v1/admin/users?role=king")
            _ = try await root.get("/v1/calls/call_00000000000000000000000000")
            #expect(try await Self.actions(root).isEmpty)
        }
    }

    @Test func ordinaryRoutesAreAuditedWhereOnlyAnAdminMay() async throws {
        try await TestServer.run { server in
            let root = try await server.admin()
            let siti = try await server.signUp("siti")
            let budi = try await server.signUp("budi")
            let secret = try await siti.makeRoom(nil)
            let lobby = try await siti.makeRoom("lobby")
            try await budi.join(lobby)
            let call = try await siti.post("/v1/rooms/\(lobby)/calls", ["media": ["audio": true, "video": false]])
            let id = try #require(call.json["call"]?["id"]?.stringValue)

            // Anybody may look at a public room and at oneself.
            for path in ["/v1/rooms/lobby", "/v1/rooms/lobby/members", "/v1/rooms", "/v1/users/me"] {
                #expect(try await root.get(path).status == 200)
            }
            #expect(try await Self.actions(root).isEmpty)

            let expected: [(HTTPRequest.Method, String, JSONValue?, String)] = [
                (.get, "/v1/rooms/\(secret)", nil, "rooms.show"),
                (.get, "/v1/rooms/\(secret)/members", nil, "rooms.show"),
                (.get, "/v1/rooms/lobby/calls", nil, "calls.list"), (.get, "/v1/calls/\(id)", nil, "calls.show"),
                (.get, "/v1/users", nil, "users.list"), (.get, "/v1/users/@siti", nil, "users.show"),
                (.patch, "/v1/rooms/lobby", ["title": "Beranda"], "rooms.change"),
                (.put, "/v1/rooms/lobby/members/@budi", ["role": "moderator"], "members.change"),
                (.delete, "/v1/rooms/lobby/members/@budi", nil, "members.remove"),
                (.delete, "/v1/rooms/lobby", nil, "rooms.change"),
                (.put, "/v1/rooms/\(secret)/members/me", nil, "members.change"),
            ]
            for (method, path, body, action) in expected {
                let before = try await Self.actions(root, "limit=200").count
                // Within a millisecond there is no order.
                server.clock.advance(by: .milliseconds(1))
                let reply = try await root.send(method, path, body)
                #expect(200..<300 ~= reply.status, "\(path): \(reply.text)")
                let actions = try await Self.actions(root, "limit=200")
                #expect(actions.count == before + 1 && actions.first == action, "\(method) \(path): \(actions)")
            }
            // A member of it by now.
            let before = try await Self.actions(root, "limit=200").count
            #expect(try await root.get("/v1/rooms/\(secret)").status == 200)
            #expect(try await root.get("/v1/users/@siti").status == 200)
            #expect(try await Self.actions(root, "limit=200").count == before)
            // Nobody else's requests are anybody's business.
            _ = try await siti.patch("/v1/rooms/\(secret)", ["title": "Kami"])
            #expect(try await Self.actions(root, "limit=200").count == before)
        }
    }

    @Test func longParametersAreCut() async throws {
        try await TestServer.run { server in
            let root = try await server.admin()
            let siti = try await server.signUp("siti")
            let room = try await siti.makeRoom("lobby")
            let call = try await siti.post("/v1/rooms/\(room)/calls", ["media": ["audio": true, "video": false]])
            let id = try #require(call.json["call"]?["id"]?.stringValue)
            let resource = String(repeating: "a", count: Limits.auditTextCharactersMax)
            #expect(try await root.post("/v1/calls/\(id)/end", ["reason": .string(resource)]).status == 200)
            #expect(try await Self.entries(root).first?["parameters"]?["reason"] == .string(resource))
            let (now, ids) = (server.clock.now, server.gateway.ids)
            try await server.store.write { store in
                let user = try store.user(.username("admin"), as: User.fixture())
                let acting = Acting(user: user, device: DeviceID(known: "ses_x"), now: now, ids: ids)
                try store.audit(AuditRecord(.usersListed, ["q": .array([.string(resource + "b")])]), as: acting)
            }
            let kept = try await Self.entries(root, "action=users.list").first
            #expect(kept?["parameters"] == ["q": .array([.string(resource + "…")])])
        }
    }
}
