import Core
import Foundation
import Gateway
import HTTPTypes
import HummingbirdTesting
import TestSupport
import Testing

/// Who may sign up, and what invites are worth.
struct RegistrationTests {
    private static func signUp(_ server: TestServer, _ name: String, invite: String? = nil) async throws -> Reply {
        var body: [String: JSONValue] = ["username": .string(name)]
        body["invite"] = invite.map { .string($0) }
        return try await server.send(.post, "/v1/users", .object(body))
    }

    private static func invite(_ admin: Person, _ body: JSONValue = [:]) async throws -> (code: String, id: String) {
        let made = try await admin.post("/v1/admin/invites", body)
        return (try #require(made.json["code"]?.stringValue, "\(made.text)"), made.id)
    }

    @Test func whereItIsClosedOnlyAdminsMakeUsers() async throws {
        try await TestServer.run(registration: .closed) { server in
            let admin = try await server.admin()
            let (code, _) = try await Self.invite(admin)
            #expect(try await Self.signUp(server, "siti").slug == "registration-closed")
            #expect(try await Self.signUp(server, "siti", invite: code).slug == "registration-closed")
            #expect(try await admin.post("/v1/users", ["username": "siti"]).status == 201)
            let siti = try await admin.post("/v1/users", ["username": "budi"])
            let token = siti.json["accessToken"]?.stringValue
            // Being signed in is not being an admin, and a key must reach so far.
            #expect(try await server.send(.post, "/v1/users", ["username": "eka"], token: token).status == 403)
            let key = try await server.makeKey([.adminRead], for: nil)
            #expect(try await server.send(.post, "/v1/users", ["username": "eka"], token: key).status == 403)
            let writer = try await server.makeKey([.adminWrite], for: nil)
            #expect(try await server.send(.post, "/v1/users", ["username": "eka"], token: writer).status == 201)
            #expect(try await server.send(.post, "/v1/users", ["username": "ani"], token: "nonsense").status == 403)
        }
    }

    @Test func anInviteIsForSoManyPeople() async throws {
        try await TestServer.run(registration: .invite) { server in
            let admin = try await server.admin()
            let (code, id) = try await Self.invite(admin, ["uses": 2])
            #expect(try await Self.signUp(server, "siti").slug == "invite-required")
            #expect(try await Self.signUp(server, "siti", invite: "cbi_guess").slug == "invite-required")
            #expect(try await Self.signUp(server, "siti", invite: code).status == 201)
            // What fails for another reason uses nothing.
            #expect(try await Self.signUp(server, "siti", invite: code).slug == "name-taken")
            #expect(try await Self.signUp(server, "x", invite: code).slug == "validation-failed")
            #expect(try await Self.signUp(server, "budi", invite: code).status == 201)
            #expect(try await Self.signUp(server, "dewi", invite: code).slug == "invite-required")
            let listed = try await admin.get("/v1/admin/invites").json["items"]?.items.first
            #expect(listed?["id"]?.stringValue == id && listed?["usesLeft"] == 0 && listed?["code"] == nil)
        }
    }

    @Test func anInviteExpiresOrIsDeleted() async throws {
        try await TestServer.run(registration: .invite) { server in
            let admin = try await server.admin()
            let (old, _) = try await Self.invite(admin)
            let (withdrawn, id) = try await Self.invite(admin, ["note": "kelas 7b"])
            #expect(try await admin.delete("/v1/admin/invites/\(id)").status == 204)
            #expect(try await admin.delete("/v1/admin/invites/\(id)").status == 404)
            #expect(try await Self.signUp(server, "siti", invite: withdrawn).slug == "invite-required")
            server.clock.advance(by: Limits.inviteLifetimeDefault - .milliseconds(1))
            #expect(try await Self.signUp(server, "siti", invite: old).status == 201)
            let (next, _) = try await Self.invite(
                try await server.admin(),
                ["expiresAt": .string(server.clock.now.advanced(by: .seconds(60)).rfc3339)])
            server.clock.advance(by: .seconds(60))
            #expect(try await Self.signUp(server, "budi", invite: next).slug == "invite-required")
        }
    }

    @Test func twoPeopleDoNotShareTheLastUse() async throws {
        try await TestServer.run(.ahc(.http), registration: .invite) { server in
            let (code, _) = try await Self.invite(try await server.admin())
            async let one = Self.signUp(server, "siti", invite: code)
            async let other = Self.signUp(server, "budi", invite: code)
            let statuses = [try await one.status, try await other.status]
            #expect(statuses.sorted() == [201, 403])
        }
    }

    @Test func invitesAreAdminsAndAudited() async throws {
        try await TestServer.run { server in
            let siti = try await server.signUp("siti")
            #expect(try await siti.post("/v1/admin/invites").slug == "forbidden")
            let admin = try await server.admin()
            let (code, id) = try await Self.invite(admin)
            _ = try await admin.delete("/v1/admin/invites/\(id)")
            let audit = try await admin.get("/v1/admin/audit?resource=\(id)")
            let actions = audit.json["items"]?.items.compactMap { $0["action"]?.stringValue } ?? []
            #expect(actions.sorted() == ["invites.create", "invites.delete"])
            #expect(!audit.text.contains(code))
        }
    }

    @Test func fieldsOfAnInviteAreChecked() async throws {
        try await TestServer.run { server in
            let admin = try await server.admin()
            let now = server.clock.now
            let far = now.advanced(by: Limits.inviteLifetimeMax + .seconds(1))
            for (body, field) in [
                (["uses": 0], "uses"), (["uses": 10_001], "uses"), (["note": ""], "note"),
                (["note": .string(String(repeating: "n", count: 201))], "note"),
                (["expiresAt": .string(now.rfc3339)], "expiresAt"), (["expiresAt": .string(far.rfc3339)], "expiresAt"),
            ] as [(JSONValue, String)] {
                #expect(try await admin.post("/v1/admin/invites", body).field == field)
            }
            #expect(try await admin.post("/v1/admin/invites", ["uses": 10_000]).status == 201)
        }
    }
}
