import Core
import Foundation
import Gateway
import HTTPTypes
import Hub
import NIOCore
import NIOPosix
import TestSupport
import Testing

/// Records of calls, as admins ask for them.
struct CallRecordTests {
    private static func ids(_ reply: Reply) -> [String] {
        reply.json.items.compactMap { $0["id"]?.stringValue.map { "/v1/calls/\($0)" } }
    }

    @Test func recordHasAllThatHappened() async throws {
        try await TestServer.run { server in
            let lobby = try await CallLobby(server)
            let path = try await lobby.call()
            server.clock.advance(by: .seconds(3))
            try await lobby.answered(path)
            try await lobby.candidates(path, lobby.budi, lobby.siti, ["host", "srflx"])
            server.clock.advance(by: .milliseconds(700))
            try await lobby.report(path, lobby.budi, "connected")
            try await lobby.report(path, lobby.budi, "disconnected")
            _ = try await lobby.budi.post(path + "/join", key: "again")
            _ = try await lobby.budi.post(path + "/join", key: "again")
            let quality: JSONValue = ["rttMs": 12, "localCandidateType": "relay", "remoteCandidateType": "host"]
            #expect(try await lobby.budi.post(path + "/quality", quality).status == 204)
            try await server.turn(after: .seconds(10))
            _ = try await lobby.siti.post(path + "/end", ["reason": "selesai"])
            try await server.turn(after: .seconds(1))

            let record = try await lobby.record(path)
            #expect(record["endReason"] == "completed" && record["endedBy"] == .string(lobby.siti.id))
            #expect(record["offerToAnswerMs"] == 0 && record["offerToConnectedMs"] == 700)
            #expect(record["durationSeconds"] == 11 && record["inferred"] == false)
            #expect(record["relayed"] == true && record["candidateTypes"]?.items == ["host", "srflx"])
            #expect(record["counts"]?["delivered"] == 3 && record["counts"]?["retried"] == 1)
            let legs = record["legs"]?.items ?? []
            #expect(legs.map { $0["endReason"] } == ["ended", "replaced", "ended"])
            #expect(legs.map { $0["candidateTypes"]?.items.count } == [0, 2, 0])
            #expect(legs.allSatisfy { $0["device"]?.stringValue?.hasPrefix("ses_") == true })
            #expect(record["quality"]?.items.first?["metrics"]?["rttMs"]?["last"] == 12)
            let kinds = (record["timeline"]?.items ?? []).compactMap { $0["kind"]?.stringValue }
            #expect(
                kinds == [
                    "created", "participant", "offer", "state", "answer", "state", "connection", "connected",
                    "connection", "participant", "reason", "ended",
                ])
            #expect(!(try JSON.text(record).contains("v=0")))
        }
    }

    @Test func endThatFollowsFromAClosedConnectionIsInferred() async throws {
        try await TestServer.run { server in
            let lobby = try await CallLobby(server)
            let path = try await lobby.call()
            try await lobby.answered(path)
            let (user, now, ids) = (UserID(known: lobby.budi.id), server.clock.now, server.gateway.ids)
            let leg = try await lobby.record(path)["legs"]?.items.last
            let device = DeviceID(known: leg?["device"]?.stringValue ?? "")
            try await server.store.write {
                try $0.leaveCalls(of: user, on: device, reason: "closed", now: now, ids: ids)
            }
            let record = try await lobby.record(path)
            #expect(record["inferred"] == true && record["endedBy"] == .string(lobby.budi.id))
            #expect(record["timeline"]?.items.last?["data"]?["inferred"] == true)
        }
    }

    @Test(arguments: [
        ("closed", "inferred: a connection was closed"), ("inferred: closed", "inferred: a connection was closed"),
        ("inferred: opened another call", "inferred: opened another call"),
    ]) func anInferredEndIsToldWithWhatItFollowsFrom(reason: String, told: String) async throws {
        try await TestServer.run { server in
            let lobby = try await CallLobby(server)
            let path = try await lobby.call()
            try await lobby.answered(path)
            let (user, now, ids) = (UserID(known: lobby.budi.id), server.clock.now, server.gateway.ids)
            let device = try await lobby.record(path)["legs"]?.items.last?["device"]?.stringValue
            try await server.store.write {
                try $0.leaveCalls(of: user, on: DeviceID(known: device ?? ""), reason: reason, now: now, ids: ids)
            }
            let fact = try await lobby.record(path)["diagnosis"]?["facts"]?.items.last?.stringValue ?? ""
            #expect(fact.hasPrefix("Ended at ") && fact.hasSuffix(" by @budi, \(told)."), "\(fact)")
        }
    }

    @Test func whoDeclinedAnOfferEndedTheCall() async throws {
        try await TestServer.run { server in
            let lobby = try await CallLobby(server)
            let path = try await lobby.call(inviting: ["@budi"])
            try await lobby.join(path, lobby.budi)
            try await lobby.signal(path, lobby.siti, lobby.budi, ["type": "offer", "sdp": "v=0\r\n"])
            try await lobby.signal(path, lobby.budi, lobby.siti, ["type": "reject"])
            let record = try await lobby.record(path)
            #expect(record["endReason"] == "rejected" && record["endedBy"] == .string(lobby.budi.id))
            #expect(record["diagnosis"]?["summary"] == "@budi declined the call.")
            let fact = record["diagnosis"]?["facts"]?.items.last?.stringValue ?? ""
            #expect(fact.hasSuffix(" by @budi."), "\(fact)")
        }
    }

    @Test func whoPollsAgainAndAgainReadsByPoll() async throws {
        try await TestServer.run { server in
            let lobby = try await CallLobby(server)
            for person in [lobby.siti, lobby.budi] { _ = try await person.get("/v1/events") }
            let path = try await lobby.call(inviting: ["@budi"])
            try await lobby.answered(path)
            server.clock.advance(by: .seconds(5))
            _ = try await lobby.siti.post(path + "/leave")
            let record = try await lobby.record(path)
            #expect(record["transports"]?.items == ["poll"])
            #expect(record["participants"]?.items.map { $0["transport"] } == ["poll", "poll"])
            #expect(record["legs"]?.items.map { $0["transport"] } == ["poll", "poll"])
            let admin = try await server.admin()
            #expect(Self.ids(try await admin.get("/v1/admin/calls?transport=poll")) == [path])
            #expect(Self.ids(try await admin.get("/v1/admin/calls?transport=sse")) == [])
        }
    }

    @Test func whoPollsOnlyAfterJoiningReadsByPoll() async throws {
        try await TestServer.run { server in
            let lobby = try await CallLobby(server)
            let path = try await lobby.call()
            try await lobby.join(path, lobby.budi)
            #expect(try await lobby.record(path)["transports"]?.items == [])
            try await lobby.read(path, lobby.siti)
            _ = try await lobby.siti.patch(path + "/participants/me", ["media": ["audio": false]])
            try await lobby.read(path, lobby.budi)
            #expect(try await lobby.budi.post(path + "/leave").status == 200)
            let record = try await lobby.record(path)
            #expect(record["transports"]?.items == ["poll"])
            #expect(record["participants"]?.items.map { $0["transport"] } == ["poll", "poll"])
        }
    }

    @Test func aDeviceThatChangesItsWireIsRecordedOnBoth() async throws {
        try await TestServer.run { server in
            let lobby = try await CallLobby(server)
            _ = try await lobby.siti.get("/v1/events")
            let path = try await lobby.call()
            let user = UserID(known: lobby.siti.id)
            let leg = try await lobby.record(path)["legs"]?.items.first
            let device = DeviceID(known: leg?["device"]?.stringValue ?? "")
            let loop = MultiThreadedEventLoopGroup.singleton.next()
            let stream = try server.gateway.hub.reserve(
                Subscription(user: user, device: device, scope: .user, filter: .everything, transport: .sse), on: loop)
            _ = try await lobby.siti.patch(path + "/participants/me", ["media": ["audio": false]])
            withExtendedLifetime(stream) {}
            let record = try await lobby.record(path)
            #expect(record["transports"]?.items == ["sse", "poll"])
            #expect(record["participants"]?.items.map { $0["transport"] } == ["sse"])
        }
    }

    @Test func timelineIsBoundedAndItsEndHasAPlace() async throws {
        try await TestServer.run { server in
            let lobby = try await CallLobby(server)
            let path = try await lobby.call()
            try await lobby.answered(path)
            for index in 0..<(Limits.timelineDetailsMax + 10) {
                try await lobby.report(path, lobby.budi, index % 2 == 0 ? "connected" : "disconnected")
            }
            for _ in 0..<(Limits.timelineEntriesMax - Limits.timelineDetailsMax) {
                _ = try await lobby.siti.post(path + "/invite", ["users": ["@dewi"]])
                _ = try await lobby.dewi.post(path + "/reject")
            }
            _ = try await lobby.siti.post(path + "/end")
            let record = try await lobby.record(path)
            let timeline = record["timeline"]?.items ?? []
            #expect(timeline.count == Limits.timelineEntriesMax + 1)
            #expect(timeline.last?["kind"] == "ended")
            #expect(timeline.count { $0["kind"] == "connection" } < Limits.timelineDetailsMax)
            #expect((record["counts"]?["omitted"]?.intValue ?? 0) > 10)
        }
    }

    @Test func filtersOrderAndPagesOfTheList() async throws {
        try await TestServer.run { server in
            let lobby = try await CallLobby(server)
            let admin = try await server.admin()
            let start = server.clock.now.rfc3339
            let missed = try await lobby.call(inviting: ["@budi"], seconds: 10)
            try await server.turn(after: .seconds(10))
            let second = server.clock.now.rfc3339
            let talked = try await lobby.call()
            try await lobby.answered(talked)
            server.clock.advance(by: .seconds(61))
            _ = try await lobby.siti.post(talked + "/leave")
            let live = try await lobby.call(lobby.dewi)
            for (filter, expected) in [
                ("", [live, talked, missed]), ("user=@budi", [talked, missed]), ("user=\(lobby.dewi.id)", [live]),
                ("room=lobby", [live, talked, missed]), ("state=ringing", [live]), ("state=ended", [talked, missed]),
                ("state=ringing&user=@budi", []), ("endReason=missed", [missed]), ("since=\(second)", [live, talked]),
                ("until=\(second)", [missed]), ("since=\(start)&until=\(second)&endReason=completed", []),
                ("minDuration=61", [talked]), ("minDuration=62", []), ("minDuration=0", [talked]),
                ("transport=sse", []), ("room=lobby&endReason=completed&user=@siti&minDuration=1", [talked]),
                ("user=usr_00000000000000000000000000", []),
            ] {
                let reply = try await admin.get("/v1/admin/calls?\(filter)")
                #expect(Self.ids(reply) == expected, "\(filter): \(reply.text)")
            }
            let page = try await admin.get("/v1/admin/calls?limit=2")
            #expect(Self.ids(page) == [live, talked])
            let next = try #require(page.headers[.link]).dropFirst().prefix { $0 != ">" }
            #expect(Self.ids(try await admin.get(String(next))) == [missed])
            let newer = try await admin.get("/v1/admin/calls?after=\(missed.dropFirst("/v1/calls/".count))&limit=1")
            #expect(Self.ids(newer) == [talked])
            for (query, field) in [
                ("user=nobody", "user"), ("user=@nobody", "user"), ("room=nowhere", "room"), ("state=old", "state"),
                ("endReason=x", "endReason"), ("since=yesterday", "since"), ("until=1", "until"),
                ("minDuration=-1", "minDuration"), ("transport=smoke", "transport"), ("limit=201", "limit"),
                ("before=call_00000000000000000000000000", "before"), ("after=x", "after"),
            ] {
                let reply = try await admin.get("/v1/admin/calls?\(query)")
                #expect(reply.status == 422 && reply.field == field, "\(query): \(reply.text)")
            }
        }
    }

    @Test func onlyAdminsReadRecordsAndEachReadingIsAudited() async throws {
        try await TestServer.run { server in
            let lobby = try await CallLobby(server)
            let path = try await lobby.call().replacing("/v1/calls", with: "/v1/admin/calls")
            for path in ["/v1/admin/calls", "/v1/admin/calls/export", "/v1/admin/calls/stats", path] {
                #expect(try await lobby.siti.get(path).status == 403)
            }
            let admin = try await server.admin()
            for path in ["/v1/admin/calls?user=@siti", path, "/v1/admin/calls/export", "/v1/admin/calls/stats"] {
                #expect(try await admin.get(path).status == 200)
                server.clock.advance(by: .milliseconds(1))
            }
            let audit = try await admin.get("/v1/admin/audit")
            let actions = audit.json.items.compactMap { $0["action"]?.stringValue }
            #expect(actions.prefix(4) == ["calls.stats", "calls.export", "calls.show", "calls.list"])
            #expect(audit.json.items.last?["parameters"]?["user"] == "@siti")
        }
    }

    @Test func exportIsTheListAsAFileThatASpreadsheetCanOpen() async throws {
        try await TestServer.run { server in
            let lobby = try await CallLobby(server)
            let admin = try await server.admin()
            _ = try await lobby.budi.patch("/v1/users/me", ["displayName": "=cmd|' /C calc'!A0, \"Budi\""])
            var paths: [String] = []
            for _ in 1...250 {
                let path = try await lobby.call(inviting: ["@budi"])
                paths.append(path)
                _ = try await lobby.siti.post(path + "/leave")
                server.clock.advance(by: .seconds(1))
            }
            let lines = try await admin.get("/v1/admin/calls/export?format=ndjson")
            #expect(lines.headers[.contentType] == "application/x-ndjson")
            let calls = try lines.text.split(separator: "\n").map { try JSON.decode(JSONValue.self, from: String($0)) }
            #expect(calls.compactMap { $0["id"]?.stringValue.map { "/v1/calls/\($0)" } } == paths.reversed())
            let listed = try await admin.get("/v1/admin/calls?limit=200").json.items
            #expect(Array(calls.prefix(200)) == listed)

            let csv = try await admin.get("/v1/admin/calls/export?endReason=cancelled")
            #expect(csv.headers[.contentDisposition]?.hasPrefix("attachment") == true)
            let rows = csv.text.components(separatedBy: "\r\n")
            #expect(rows.count == 252 && rows.last == "")
            #expect(rows[0].hasPrefix("id,room,initiator,"))
            #expect(rows[1].contains(#""siti; =cmd|' /C calc'!A0, ""Budi""""#))
            #expect(try await admin.get("/v1/admin/calls/export?endReason=lost&format=ndjson").text == "")
            #expect(try await admin.get("/v1/admin/calls/export?format=xml").field == "format")
        }
    }

    @Test func statisticsAreThoseOfTheCalls() async throws {
        try await TestServer.run { server in
            let lobby = try await CallLobby(server)
            let admin = try await server.admin()
            for index in 0..<4 {
                let path = try await lobby.call()
                if index < 3 { try await lobby.answered(path) }
                server.clock.advance(by: .seconds(10))
                _ = try await lobby.siti.post(path + "/leave")
            }
            server.clock.advance(by: .milliseconds(1))
            let stats = try await admin.get("/v1/admin/calls/stats?groupBy=room&bucket=hour")
            let total = try #require(stats.json["total"])
            #expect(total["calls"] == 4 && total["answered"] == 3)
            #expect(total["answerRate"] == .number(0.75))
            #expect(total["durationSeconds"]?["p50"] == 10)
            let group = try #require(stats.json["groups"]?.items.first)
            #expect(group["name"] == "lobby" && group["calls"] == 4)
            #expect(stats.json["buckets"]?.items.compactMap { $0["calls"]?.intValue }.reduce(0, +) == 4)
            let some = try await admin.get("/v1/admin/calls/stats?endReason=cancelled&groupBy=initiator")
            #expect(some.json["total"]?["calls"] == 1)
            #expect(some.json["groups"]?.items.first?["name"] == "siti")
            let none = try await admin.get(
                "/v1/admin/calls/stats?since=2020-01-01T00:00:00Z&until=2020-01-02T00:00:00Z")
            #expect(none.json["total"]?["calls"] == 0 && none.json["total"]?["answerRate"] == .null)
            for query in ["bucket=year", "groupBy=mood", "since=2020-01-01T00:00:00Z"] {
                #expect(try await admin.get("/v1/admin/calls/stats?\(query)").status == 422, "\(query)")
            }
        }
    }

    @Test func joinOfACallInAnArchivedRoomIsRefusedWithTheCall() async throws {
        try await TestServer.run { server in
            let lobby = try await CallLobby(server)
            let path = try await lobby.call()
            _ = try await lobby.siti.delete("/v1/rooms/lobby")
            let refused = try await lobby.budi.post(path + "/join")
            #expect(refused.slug == "room-archived")
            #expect(refused.json["call"] == (try await lobby.budi.get(path)).json)
        }
    }
}
