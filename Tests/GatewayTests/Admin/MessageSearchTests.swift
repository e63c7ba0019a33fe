import Core
import Foundation
import Gateway
import HTTPTypes
import HummingbirdTesting
import SQLiteStore
import TestSupport
import Testing

/// Admins search chat only where operators allow it, and never unseen.
struct MessageSearchTests {
    private static let on = GatewaySettings(adminsSearchMessages: true)

    @Test func searchingIsOffUnlessConfigured() async throws {
        try await TestServer.run { server in
            let root = try await server.admin()
            let refused = try await root.get("/v1/admin/messages?q=halo")
            #expect(refused.status == 403 && refused.slug == "forbidden")
            #expect(refused.json["detail"]?.stringValue?.contains("adminMessageSearch") == true)
            #expect(try await root.get("/v1/admin/audit").json["items"]?.items.isEmpty == true)
        }
    }

    @Test func everyRoomIsSearchedInPagesAndWrittenDown() async throws {
        try await TestServer.run(settings: Self.on) { server in
            let root = try await server.admin()
            let siti = try await server.signUp("siti")
            let budi = try await server.signUp("budi")
            let secret = try await siti.makeRoom(nil)
            let lobby = try await budi.makeRoom("lobby")
            var ids: [String] = []
            for number in 0..<4 {
                ids.append(try await siti.say("halo \(number)", in: secret))
                ids.append(try await budi.say("halo \(number)", in: lobby))
            }
            _ = try await budi.say("lain", in: lobby)
            #expect(try await siti.delete("/v1/rooms/\(secret)/messages/\(ids[0])").status == 204)

            let found = { (query: String) in
                let reply = try await root.get("/v1/admin/messages?\(query)")
                return reply.json["items"]?.items.compactMap { $0["id"]?.stringValue } ?? []
            }
            #expect(try await found("q=HALO") == Array(ids.dropFirst().reversed()))
            #expect(try await found("q=halo&room=lobby") == [ids[7], ids[5], ids[3], ids[1]])
            #expect(try await found("q=halo&user=\(siti.id)") == [ids[6], ids[4], ids[2]])
            #expect(try await found("q=halo&room=lobby&user=\(siti.id)").isEmpty)
            #expect(try await found("room=\(secret)&limit=2") == [ids[6], ids[4]])
            #expect(try await found("q=tidak").isEmpty)
            let first = try await root.get("/v1/admin/messages?q=halo&limit=3")
            let next = try #require(first.json["next"]?.stringValue)
            #expect(next == ids[5])
            #expect(try await found("q=halo&before=\(next)") == [ids[4], ids[3], ids[2], ids[1]])
            #expect(try await found("q=halo&after=\(next)") == [ids[6], ids[7]])

            for (query, field) in [
                ("", "q"), ("q=", "q"), ("q=x&room=nowhere", "room"), ("user=siti", "user"),
                ("q=x&before=msg_00000000000000000000000000", "before"), ("q=x&limit=201", "limit"),
                ("q=\(String(repeating: "x", count: Limits.searchCharactersMax + 1))", "q"),
            ] {
                let refused = try await root.get("/v1/admin/messages?\(query)")
                #expect(refused.status == 422 && refused.field == field, "\(query): \(refused.text)")
            }
            let audited = try await root.get("/v1/admin/audit?action=messages.search&limit=200")
            let entries = audited.json["items"]?.items ?? []
            #expect(entries.count == 9)
            #expect(entries.contains { $0["parameters"] == ["q": "halo", "room": "lobby"] })
        }
    }
}
