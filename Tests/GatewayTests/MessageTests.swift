import Core
import Foundation
import Gateway
import HTTPTypes
import HummingbirdTesting
import SQLiteStore
import TestSupport
import Testing

/// `/v1/rooms/{room}/messages`.
struct MessageTests {
    @Test func aMessageIsAnEventWithItsSeq() async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            let room = try await alice.makeRoom("lobby")
            let reply = try await alice.post(
                "/v1/rooms/lobby/messages",
                ["content": "Hai \"dunia\"\n\u{1}\u{1F600}", "metadata": ["n": 1, "a": ["x"]]])
            #expect(reply.status == 201)
            #expect(reply.headers[.location] == "/v1/rooms/\(room)/messages/\(reply.id)")
            let event = try #require(server.log.last)
            #expect(event.type == .messageCreated)
            #expect(reply.cursor?.hasSuffix(".\(event.seq)") == true)
            #expect(reply.json["seq"]?.intValue == event.seq)
            #expect(reply.json["content"] == "Hai \"dunia\"\n\u{1}\u{1F600}")
            #expect(reply.json["metadata"] == ["n": 1, "a": ["x"]])
            #expect(reply.json["origin"] == "rest")
            #expect(try JSON.decode(JSONValue.self, from: event.data) == reply.json)
            #expect(try await alice.get("/v1/rooms/lobby/messages/\(reply.id)").json == reply.json)
            #expect(try await alice.get("/v1/rooms/lobby/messages").json.items == [reply.json])
        }
    }

    @Test func reservedMetadataIsTheServersToWrite() async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            _ = try await alice.makeRoom("lobby")
            let call = try await alice.post(
                "/v1/rooms/lobby/messages", ["content": "x", "metadata": ["action": "join_call"]])
            #expect(call.status == 422)
            #expect(call.field == "metadata.action")
            let stripped = try await alice.post(
                "/v1/rooms/lobby/messages", ["content": "x", "metadata": ["_comblang": ["id": "1"], "a": 1]])
            #expect(stripped.json["metadata"] == ["a": 1])
            let edit = try await alice.patch(
                "/v1/rooms/lobby/messages/\(stripped.id)", ["metadata": ["action": "join_call"]])
            #expect(edit.field == "metadata.action")
        }
    }

    @Test func editingLeavesNoEarlierVersion() async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            _ = try await alice.makeRoom("lobby")
            let body: JSONValue = ["content": "first draft", "metadata": ["secret": "plan"]]
            let posted = try await alice.post("/v1/rooms/lobby/messages", body)
            server.clock.advance(by: .seconds(1))
            let path = "/v1/rooms/lobby/messages/\(posted.id)"
            let edited = try await alice.patch(path, ["content": "second draft", "metadata": nil])
            #expect(edited.status == 200)
            #expect(edited.json["content"] == "second draft")
            #expect(edited.json["metadata"] == JSONValue.null)
            #expect(edited.json["seq"] == posted.json["seq"])
            #expect(edited.json["editedAt"]?.stringValue == server.clock.now.rfc3339)
            _ = try await alice.patch(path, ["content": "third draft"])

            let events = try await server.events(visibleTo: alice).filter { $0.data.contains(posted.id) }
            #expect(events.map(\.type) == [.messageCreated, .messageEdited, .messageEdited])
            let datas = try events.map { try JSON.decode(JSONValue.self, from: $0.data) }
            #expect(datas.map { $0["content"] } == ["", "", "third draft"])
            #expect(datas.map { $0["redacted"] } == [true, true, nil])
            #expect(datas[0]["metadata"] == JSONValue.null)
            #expect(try await alice.get("/v1/rooms/lobby/messages?q=first").json.items.isEmpty)
            #expect(try await alice.get("/v1/rooms/lobby/messages?q=third").json.items.count == 1)
        }
    }

    @Test func deletingLeavesATombstone() async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            _ = try await alice.makeRoom("lobby")
            let id = try await alice.say("regrettable", in: "lobby")
            let path = "/v1/rooms/lobby/messages/\(id)"
            #expect(try await alice.delete(path).status == 204)
            #expect(try await alice.delete(path).status == 204)
            let stone = try await alice.get(path).json
            #expect(stone["content"] == "")
            #expect(stone["deletedAt"]?.stringValue == server.clock.now.rfc3339)
            #expect(try await alice.patch(path, ["content": "again"]).slug == "not-found")
            #expect(try await alice.get("/v1/rooms/lobby/messages?q=regrettable").json.items.isEmpty)
            let events = try await server.events(visibleTo: alice)
            #expect(events.count { $0.type == .messageDeleted } == 1)
            #expect(!events.contains { $0.data.contains("regrettable") })
        }
    }

    @Test func historyGoesBothWays() async throws {
        try await TestServer.run { server in
            let (alice, bob) = (try await server.signUp("alice"), try await server.signUp("bob"))
            let room = try await alice.makeRoom("lobby")
            try await bob.join(room)
            var ids: [String] = []
            for number in 0..<5 {
                ids.append(try await (number % 2 == 0 ? alice : bob).say("message \(number)", in: room))
            }
            let list = { @Sendable (query: String) in
                let reply = try await alice.get("/v1/rooms/lobby/messages?\(query)")
                return (reply.json.items.compactMap { $0["id"]?.stringValue }, reply)
            }
            let (newest, page) = try await list("limit=2")
            #expect(newest == [ids[4], ids[3]])
            #expect(page.headers[.link]?.contains("before=\(ids[3])") == true)
            #expect(try await list("limit=2&before=\(ids[3])").0 == [ids[2], ids[1]])
            let (oldest, forward) = try await list("limit=2&after=\(ids[1])")
            #expect(oldest == [ids[2], ids[3]])
            #expect(forward.headers[.link]?.contains("after=\(ids[3])") == true)
            #expect(try await list("after=\(ids[0])&before=\(ids[4])").0 == [ids[3], ids[2], ids[1]])
            #expect(try await list("user=\(bob.id)").0 == [ids[3], ids[1]])
            #expect(try await list("q=message+3").0 == [ids[3]])
            #expect(try await list("q=mess*").0.count == 5)
            #expect(try await list("q=%22%27%29%28").0 == [])
        }
    }

    @Test func boundsOfHistoryAreMessagesOfTheRoom() async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            _ = try await alice.makeRoom("lobby")
            _ = try await alice.makeRoom("other")
            let foreign = try await alice.say("x", in: "other")
            for query in ["before=\(foreign)", "before=x", "before=msg_00000000000000000000000000"] {
                let reply = try await alice.get("/v1/rooms/lobby/messages?\(query)")
                #expect(reply.status == 422)
                #expect(reply.field == "before")
            }
            #expect(try await alice.get("/v1/rooms/lobby/messages?after=\(foreign)").field == "after")
            #expect(try await alice.get("/v1/rooms/lobby/messages?user=bob").field == "user")
            // A message is found in its own room only.
            #expect(try await alice.get("/v1/rooms/lobby/messages/\(foreign)").slug == "not-found")
        }
    }

    @Test func aRetriedMessageIsPostedOnce() async throws {
        try await TestServer.run(.ahc()) { server in
            let alice = try await server.signUp("alice")
            _ = try await alice.makeRoom("lobby")
            let replies = try await withThrowingTaskGroup(of: Reply.self) { group in
                for _ in 0..<16 {
                    group.addTask {
                        try await alice.post("/v1/rooms/lobby/messages", ["content": "once"], key: "k")
                    }
                }
                return try await group.reduce(into: [Reply]()) { $0.append($1) }
            }
            #expect(Set(replies.map(\.text)).count == 1)
            #expect(Set(replies.map(\.status)) == [201])
            #expect(server.log.count { $0.type == .messageCreated } == 1)
            let other = try await alice.post("/v1/rooms/lobby/messages", ["content": "twice"], key: "k")
            #expect(other.slug == "idempotency-key-reused")
            // A refusal is not kept.
            #expect(try await alice.post("/v1/rooms/lobby/messages", ["content": ""], key: "k2").status == 422)
            #expect(try await alice.post("/v1/rooms/lobby/messages", ["content": "ok"], key: "k2").status == 201)
        }
    }

    @Test func concurrentPostsAreOrderedBySeq() async throws {
        try await TestServer.run(.ahc()) { server in
            let alice = try await server.signUp("alice")
            _ = try await alice.makeRoom("lobby")
            let seqs = try await withThrowingTaskGroup(of: Int64?.self) { group in
                for number in 0..<40 {
                    group.addTask {
                        try await alice.post("/v1/rooms/lobby/messages", ["content": .string("\(number)")]).json["seq"]?
                            .intValue
                    }
                }
                return try await group.reduce(into: Set<Int64>()) { if let seq = $1 { $0.insert(seq) } }
            }
            #expect(seqs.count == 40)
            let listed = try await alice.get("/v1/rooms/lobby/messages").json.items.compactMap { $0["seq"]?.intValue }
            #expect(listed == seqs.sorted(by: >))
        }
    }

    @Test func typingIsNotLogged() async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            _ = try await alice.makeRoom("lobby")
            let before = server.log.count
            let reply = try await alice.post("/v1/rooms/lobby/typing")
            #expect(reply.status == 204)
            #expect(server.log.count == before)
        }
    }
}
