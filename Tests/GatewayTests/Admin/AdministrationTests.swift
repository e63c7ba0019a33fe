import Core
import Foundation
import HTTPTypes
import HummingbirdTesting
import SQLiteStore
import TestSupport
import Testing

/// What only admins may do, and that it is written down.
struct AdministrationTests {
    // MARK: Who may

    @Test func everyAdminRouteIsForAdminsAlone() async throws {
        let contract = try Contract()
        try await TestServer.run { server in
            let root = try await server.admin()
            let owner = try await server.signUp("owner", password: "rahasia sekali")
            let guest = try await server.signUp("guest")
            let former = try await server.signUp("former", password: "rahasia sekali")
            let suspended = try await server.signUp("suspended", password: "rahasia sekali")
            for person in [former, suspended] {
                let promoted = try await root.patch("/v1/admin/users/\(person.id)", ["role": "admin"])
                #expect(promoted.status == 200)
                #expect(try await person.get("/v1/admin/audit").status == 200)
            }
            #expect(try await root.patch("/v1/admin/users/\(former.id)", ["role": "user"]).status == 200)
            #expect(try await root.patch("/v1/admin/users/\(suspended.id)", ["suspended": true]).status == 200)
            let before = server.log.count
            let operations = contract.operations.filter(\.isForAdmins)
            #expect(operations.count >= 4)
            for operation in operations {
                let method = try #require(HTTPRequest.Method(operation.method))
                let path = ContractPlace().filling(operation.path)
                let body = operation.bodyMediaTypes.isEmpty ? nil : "{}"
                for (token, status, slug) in [
                    (nil, 401, "unauthorized"), (suspended.token, 401, "unauthorized"),
                    (guest.token, 403, "forbidden"), (owner.token, 403, "forbidden"),
                    (former.token, 403, "forbidden"),
                ] {
                    let reply = try await server.send(method, path, text: body, token: token)
                    #expect(reply.status == status && reply.slug == slug, "\(operation.id): \(reply.text)")
                }
            }
            #expect(server.log.count == before)
            let audited = try await root.get("/v1/admin/audit?admin=\(owner.id)")
            #expect(audited.json["items"]?.items.isEmpty == true)
        }
    }

    // MARK: Users

    @Test func usersAreListedInPagesByFilter() async throws {
        try await TestServer.run { server in
            let root = try await server.admin()
            for name in ["siti", "budi", "dewi"] { _ = try await server.signUp(name) }
            let first = try await root.get("/v1/admin/users?limit=3")
            #expect(first.json["items"]?.items.count == 3)
            let next = try #require(first.json["next"]?.stringValue)
            let second = try await root.get("/v1/admin/users?limit=3&after=\(next)")
            #expect(second.json["items"]?.items.count == 1 && second.json["next"] == .null)
            let found = try await root.get("/v1/admin/users?q=BUD&kind=guest&role=user&suspended=false&online=false")
            #expect(found.json["items"]?.items.map { $0["username"] } == ["budi"])
            #expect(found.json["items"]?.items.first?["sessionCount"] == 1)
            for (query, field) in [
                ("role=king", "role"), ("kind=bot", "kind"), ("suspended=maybe", "suspended"),
                ("online=2", "online"), ("after=x", "after"),
                ("q=\(String(repeating: "x", count: Limits.searchCharactersMax + 1))", "q"),
            ] {
                let refused = try await root.get("/v1/admin/users?\(query)")
                #expect(refused.status == 422 && refused.field == field, "\(query)")
            }
        }
    }

    @Test func suspendingEndsSessionsAndCallsAndKeepsThemOut() async throws {
        try await TestServer.run { server in
            let root = try await server.admin()
            let siti = try await server.signUp("siti", password: "rahasia sekali")
            let budi = try await server.signUp("budi")
            let room = try await siti.makeRoom("lobby")
            try await budi.join(room)
            let call = try await siti.post(
                "/v1/rooms/\(room)/calls", ["media": ["audio": true, "video": false], "invite": ["@budi"]])
            let id = try #require(call.json["call"]?["id"]?.stringValue)

            let suspended = try await root.patch("/v1/admin/users/@siti", ["suspended": true])
            #expect(suspended.status == 200 && suspended.json["suspended"] == true, "\(suspended.text)")
            #expect(try await siti.get("/v1/users/me").status == 401)
            let ended = try await budi.get("/v1/calls/\(id)")
            #expect(ended.json["state"] == "ended")
            let signIn: JSONValue = ["grant": "password", "username": "siti", "password": "rahasia sekali"]
            let refused = try await server.send(.post, "/v1/tokens", signIn)
            #expect(refused.status == 403 && refused.slug == "account-suspended")
            // Who does not know the password learns nothing.
            let wrong: JSONValue = ["grant": "password", "username": "siti", "password": "salah sekali"]
            #expect(try await server.send(.post, "/v1/tokens", wrong).slug == "unauthorized")
            let refresh: JSONValue = ["grant": "refresh", "refreshToken": .string(siti.refreshToken)]
            #expect(try await server.send(.post, "/v1/tokens", refresh).status == 401)

            // Again changes nothing.
            let before = server.log.count
            #expect(try await root.patch("/v1/admin/users/@siti", ["suspended": true]).status == 200)
            #expect(server.log.count == before)

            #expect(try await root.patch("/v1/admin/users/@siti", ["suspended": false]).status == 200)
            #expect(try await siti.get("/v1/users/me").status == 401)
            let back = try await server.send(.post, "/v1/tokens", signIn)
            #expect(back.status == 200)
            let members = try await budi.get("/v1/rooms/\(room)/members")
            #expect(members.json["items"]?.items.count == 2)
        }
    }

    @Test func theLastAdminStays() async throws {
        try await TestServer.run { server in
            let root = try await server.admin()
            for body: JSONValue in [["role": "user"], ["suspended": true], ["role": "user", "suspended": true]] {
                let refused = try await root.patch("/v1/admin/users/me", body)
                #expect(refused.status == 409 && refused.slug == "last-admin", "\(refused.text)")
            }
            #expect(try await root.delete("/v1/users/me").slug == "last-admin")
            let siti = try await server.signUp("siti", password: "rahasia sekali")
            #expect(try await root.patch("/v1/admin/users/@siti", ["role": "admin"]).status == 200)
            #expect(try await root.patch("/v1/admin/users/me", ["role": "user"]).status == 200)
            #expect(try await root.get("/v1/admin/users").status == 403)
            #expect(try await siti.patch("/v1/admin/users/me", ["suspended": true]).slug == "last-admin")
            // Whoever holds the data directory gets in again.
            let again = try await server.admin()
            #expect(try await again.get("/v1/admin/users").status == 200)
        }
    }

    @Test func guestsAreNoAdmins() async throws {
        try await TestServer.run { server in
            let root = try await server.admin()
            _ = try await server.signUp("guest")
            let refused = try await root.patch("/v1/admin/users/@guest", ["role": "admin"])
            #expect(refused.status == 422 && refused.field == "role")
            #expect(try await root.patch("/v1/admin/users/@guest", ["role": "king"]).field == "role")
            #expect(try await root.patch("/v1/admin/users/@nobody", ["role": "user"]).status == 404)
        }
    }

    // MARK: Rooms and calls

    @Test func roomsOfOthersAreListedToo() async throws {
        try await TestServer.run { server in
            let root = try await server.admin()
            let siti = try await server.signUp("siti")
            let secret = try await siti.makeRoom(nil)
            let lobby = try await siti.makeRoom("lobby")
            _ = try await siti.say("halo", in: secret)
            #expect(try await siti.delete("/v1/rooms/\(lobby)").status == 204)
            let all = try await root.get("/v1/admin/rooms")
            #expect(all.json["items"]?.items.compactMap { $0["id"]?.stringValue } == [secret, lobby].sorted())
            let hidden = try await root.get("/v1/admin/rooms?visibility=private&archived=false")
            let room = try #require(hidden.json["items"]?.items.first)
            #expect(room["memberCount"] == 1 && room["messageCount"] == 1 && room["liveCallCount"] == 0)
            #expect(!all.text.contains("halo"))
            #expect(try await root.get("/v1/admin/rooms?archived=maybe").field == "archived")
        }
    }

    @Test func anAdminEndsACallOfOthersAndTheRecordSaysSo() async throws {
        try await TestServer.run { server in
            let root = try await server.admin()
            let siti = try await server.signUp("siti")
            let room = try await siti.makeRoom("lobby")
            // Being an ordinary member takes no rights away.
            try await root.join(room)
            let call = try await siti.post("/v1/rooms/\(room)/calls", ["media": ["audio": true, "video": false]])
            let id = try #require(call.json["call"]?["id"]?.stringValue)
            let ended = try await root.post("/v1/calls/\(id)/end", ["reason": "larut malam"])
            #expect(ended.status == 200 && ended.json["endReason"] == "ended-by-admin", "\(ended.text)")
            #expect(ended.json["endedBy"] == .string(root.id))
            #expect(try await root.post("/v1/calls/\(id)/end").status == 200)
            let audited = try await root.get("/v1/admin/audit?action=calls.end")
            #expect(audited.json["items"]?.items.map { $0["resource"] } == [.string(id)])
            #expect(audited.json["items"]?.items.first?["parameters"] == ["reason": "larut malam"])
        }
    }
}
