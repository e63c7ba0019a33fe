import Core
import Foundation
import Gateway
import HTTPTypes
import Hub
import HummingbirdTesting
import SQLiteStore
import TestSupport
import Testing

/// `/v1/rooms` and its members.
struct RoomTests {
    @Test func theCreatorOwnsTheRoom() async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            let reply = try await alice.post("/v1/rooms", ["name": "lobby"])
            #expect(reply.status == 201)
            #expect(reply.headers[.location] == "/v1/rooms/\(reply.id)")
            #expect(reply.json["visibility"] == "public")
            #expect(reply.json["title"] == "lobby")
            #expect(reply.json["role"] == "owner")
            #expect(reply.json["memberCount"] == 1)
            #expect(reply.json["archived"] == false)
            #expect(reply.json["bridge"] == JSONValue.null)
            #expect(server.log.map(\.type) == [.roomCreated, .memberJoined])
            #expect(reply.cursor?.hasSuffix(".\(server.log[1].seq)") == true)
            let member = try await server.store.read {
                try $0.member(UserID(known: alice.id), of: RoomID(known: reply.id))
            }
            #expect(member?.joinedSeq == server.log[1].seq)
            #expect(try await alice.get("/v1/rooms/lobby").id == reply.id)
        }
    }

    @Test func aRoomWithoutANameIsPrivate() async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            let room = try await alice.post("/v1/rooms", ["title": "Siti dan Budi"])
            #expect(room.json["visibility"] == "private")
            #expect(room.json["name"] == JSONValue.null)
            let named = try await alice.post("/v1/rooms", ["name": "secret", "visibility": "private"])
            #expect(named.status == 422)
            #expect(named.field == "name")
            #expect(try await alice.patch("/v1/rooms/\(room.id)", ["name": "secret"]).field == "name")
            #expect(try await alice.get("/v1/rooms").json.items.count == 1)
        }
    }

    @Test func roomNamesAreUniqueEvenWhenArchived() async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            let lobby = try await alice.makeRoom("lobby")
            let other = try await alice.makeRoom("other")
            #expect(try await alice.delete("/v1/rooms/\(lobby)").status == 204)
            #expect(try await alice.post("/v1/rooms", ["name": "lobby"]).slug == "name-taken")
            #expect(try await alice.patch("/v1/rooms/\(other)", ["name": "lobby"]).slug == "name-taken")
            #expect(try await alice.patch("/v1/rooms/\(other)", ["name": "other", "title": "O"]).status == 200)
        }
    }

    @Test func ofManyRoomsByOneNameOneIsMade() async throws {
        try await TestServer.run(.ahc()) { server in
            let alice = try await server.signUp("alice")
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<12 { group.addTask { try await alice.post("/v1/rooms", ["name": "lobby"]).status } }
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(statuses.sorted() == [201] + [Int](repeating: 409, count: 11))
        }
    }

    @Test func aRetriedRoomIsMadeOnce() async throws {
        try await TestServer.run(.ahc()) { server in
            let alice = try await server.signUp("alice")
            let replies = try await withThrowingTaskGroup(of: Reply.self) { group in
                for _ in 0..<12 {
                    group.addTask { try await alice.post("/v1/rooms", ["name": "lobby"], key: "k1") }
                }
                return try await group.reduce(into: [Reply]()) { $0.append($1) }
            }
            #expect(Set(replies.map(\.status)) == [201])
            #expect(Set(replies.map(\.text)).count == 1)
            #expect(Set(replies.map { $0.headers[.location] }).count == 1)
            #expect(Set(replies.map(\.cursor)).count == 1)
            #expect(try await alice.post("/v1/rooms", ["name": "other"], key: "k1").slug == "idempotency-key-reused")
            // Another person's key is another key.
            let bob = try await server.signUp("bob")
            #expect(try await bob.post("/v1/rooms", ["name": "bobs"], key: "k1").status == 201)
        }
    }

    @Test func archivedRoomsAreReadOnly() async throws {
        try await TestServer.run { server in
            let (alice, bob) = (try await server.signUp("alice"), try await server.signUp("bob"))
            let room = try await alice.makeRoom("lobby")
            let message = try await alice.say("before", in: room)
            #expect(try await alice.delete("/v1/rooms/lobby").status == 204)
            #expect(try await alice.delete("/v1/rooms/lobby").status == 204)
            #expect(server.log.count { $0.type == .roomArchived } == 1)

            let refused = [
                try await alice.post("/v1/rooms/\(room)/messages", ["content": "after"]),
                try await alice.patch("/v1/rooms/\(room)/messages/\(message)", ["content": "after"]),
                try await alice.delete("/v1/rooms/\(room)/messages/\(message)"),
                try await alice.post("/v1/rooms/\(room)/typing"),
                try await alice.patch("/v1/rooms/\(room)", ["title": "after"]),
                try await alice.put("/v1/rooms/\(room)/members/@bob"),
                try await bob.put("/v1/rooms/\(room)/members/me"),
            ]
            for reply in refused { #expect(reply.slug == "room-archived", "\(reply.text)") }
            #expect(try await alice.get("/v1/rooms/\(room)/messages").json.items.count == 1)
            #expect(try await alice.get("/v1/rooms/\(room)").json["archived"] == true)
            #expect(try await bob.get("/v1/rooms").json.items.isEmpty)
            #expect(try await alice.get("/v1/rooms").json.items.count == 1)

            #expect(try await alice.patch("/v1/rooms/\(room)", ["archived": false, "title": "Back"]).status == 200)
            #expect(try await bob.put("/v1/rooms/\(room)/members/me").status == 201)
        }
    }

    @Test func joiningIsSafeToRepeatAndIgnoresARole() async throws {
        try await TestServer.run { server in
            let (alice, bob) = (try await server.signUp("alice"), try await server.signUp("bob"))
            let room = try await alice.makeRoom("lobby")
            let joined = try await bob.put("/v1/rooms/lobby/members/me", ["role": "owner"])
            #expect(joined.status == 201)
            #expect(joined.headers[.location] == "/v1/rooms/\(room)/members/\(bob.id)")
            #expect(joined.json["role"] == "member")
            let again = try await bob.put("/v1/rooms/lobby/members/@bob", ["role": "owner"])
            #expect(again.status == 200)
            #expect(again.json["role"] == "member")
            let events = server.log.filter { $0.type == .memberJoined }
            #expect(events.count == 2)
            #expect(events[1].audiences == [.room(RoomID(known: room)), .user(UserID(known: bob.id))])
        }
    }

    @Test func leavingTellsTheRoomAndTheOneWhoLeft() async throws {
        try await TestServer.run { server in
            let (alice, bob) = (try await server.signUp("alice"), try await server.signUp("bob"))
            let room = try await alice.makeRoom("lobby")
            try await bob.join(room)
            #expect(try await bob.delete("/v1/rooms/lobby/members/me").status == 204)
            try await bob.join(room)
            #expect(try await alice.delete("/v1/rooms/lobby/members/\(bob.id)").status == 204)
            let left = server.log.filter { $0.type == .memberLeft }
            #expect(left.map { $0.data.contains("\"reason\":\"left\"") } == [true, false])
            #expect(left.map { $0.data.contains("\"reason\":\"removed\"") } == [false, true])
            #expect(left.map(\.actor?.text) == [bob.id, alice.id])
            #expect(left[0].audiences == [.room(RoomID(known: room)), .user(UserID(known: bob.id))])
            #expect(try await bob.get("/v1/rooms/lobby/messages").slug == "not-a-member")
            #expect(try await bob.delete("/v1/rooms/lobby/members/me").slug == "not-a-member")
            #expect(try await alice.delete("/v1/rooms/lobby/members/@bob").slug == "not-found")
        }
    }

    @Test func theLastOwnerStays() async throws {
        try await TestServer.run { server in
            let (alice, bob) = (try await server.signUp("alice"), try await server.signUp("bob"))
            let room = try await alice.makeRoom("lobby")
            #expect(try await alice.delete("/v1/rooms/lobby/members/me").slug == "last-owner")
            try await bob.join(room)
            #expect(try await alice.delete("/v1/rooms/lobby/members/me").slug == "last-owner")
            #expect(try await alice.put("/v1/rooms/lobby/members/me", ["role": "member"]).slug == "last-owner")
            let admin = try await server.admin()
            #expect(try await admin.delete("/v1/rooms/lobby/members/@alice").slug == "last-owner")
            #expect(try await alice.put("/v1/rooms/lobby/members/@bob", ["role": "owner"]).status == 200)
            #expect(server.log.last?.type == .memberUpdated)
            #expect(try await alice.put("/v1/rooms/lobby/members/me", ["role": "member"]).json["role"] == "member")
            #expect(try await alice.delete("/v1/rooms/lobby/members/me").status == 204)
        }
    }

    @Test func ofTwoLastOwnersLeavingAtOnceOneStays() async throws {
        try await TestServer.run(.ahc()) { server in
            let (alice, bob) = (try await server.signUp("alice"), try await server.signUp("bob"))
            for number in 0..<8 {
                let room = try await alice.makeRoom("room\(number)")
                _ = try await alice.put("/v1/rooms/\(room)/members/@bob", ["role": "owner"])
                async let one = alice.delete("/v1/rooms/\(room)/members/me").status
                async let other = bob.delete("/v1/rooms/\(room)/members/me").status
                #expect(try await [one, other].sorted() == [204, 409])
            }
        }
    }

    @Test func aDeletedOwnersRoomPassesToTheLongestStandingModerator() async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            let room = try await alice.makeRoom("lobby")
            for name in ["bob", "carol", "dave"] {
                try await server.signUp(name).join(room)
            }
            _ = try await alice.put("/v1/rooms/lobby/members/@dave", ["role": "moderator"])
            _ = try await alice.put("/v1/rooms/lobby/members/@carol", ["role": "moderator"])
            let empty = try await alice.makeRoom("empty")
            #expect(try await alice.delete("/v1/users/me").status == 204)
            let owners = try await server.store.read {
                try $0.members(of: RoomID(known: room), after: nil, limit: 10).filter { $0.member.role == .owner }
                    .map(\.user.username)
            }
            #expect(owners == ["carol"])
            #expect(try await server.store.read { try $0.room(RoomID(known: empty))?.isArchived } == true)
        }
    }

    @Test func unreadCountsWhatOthersSaidSinceTheMarker() async throws {
        try await TestServer.run { server in
            let (alice, bob) = (try await server.signUp("alice"), try await server.signUp("bob"))
            let room = try await alice.makeRoom("lobby")
            _ = try await alice.say("before bob", in: room)
            try await bob.join(room)
            let unread = { @Sendable in try await bob.get("/v1/rooms").json.items.first?["unreadCount"] }
            #expect(try await unread() == 0)
            let first = try await alice.say("one", in: room)
            let second = try await alice.say("two", in: room)
            _ = try await bob.say("mine", in: room)
            #expect(try await unread() == 2)
            #expect(try await bob.put("/v1/rooms/lobby/read", ["message": .string(second)]).status == 204)
            #expect(try await unread() == 0)
            // Never back, and silently so.
            #expect(try await bob.put("/v1/rooms/lobby/read", ["message": .string(first)]).status == 204)
            #expect(try await unread() == 0)
            let reads = server.log.filter { $0.type == .readUpdated }
            #expect(reads.count == 1)
            #expect(reads.first?.audiences == [.user(UserID(known: bob.id))])
            let other = try await bob.makeRoom("other")
            let foreign = try await bob.say("there", in: other)
            #expect(try await bob.put("/v1/rooms/lobby/read", ["message": .string(foreign)]).field == "message")
        }
    }

    @Test func listsGoPageByPage() async throws {
        try await TestServer.run { server in
            let alice = try await server.signUp("alice")
            let room = try await alice.makeRoom("lobby")
            for name in ["bob", "carol", "dave"] { try await server.signUp(name).join(room) }
            for path in ["/v1/users", "/v1/rooms/lobby/members"] {
                let first = try await alice.get("\(path)?limit=3")
                #expect(first.json.items.count == 3)
                let next = try #require(first.json["next"]?.stringValue)
                #expect(first.headers[.link] == "<\(path)?limit=3&after=\(next)>; rel=\"next\"")
                let second = try await alice.get("\(path)?limit=3&after=\(next)")
                #expect(second.json.items.count == 1)
                #expect(second.json["next"] == JSONValue.null)
                #expect(second.headers[.link] == nil)
                #expect(first.cursor != nil)
            }
            for number in 0..<3 { _ = try await alice.makeRoom("room\(number)") }
            let rooms = try await alice.get("/v1/rooms?limit=2")
            let next = try #require(rooms.json["next"]?.stringValue)
            #expect(try await alice.get("/v1/rooms?limit=2&after=\(next)").json.items.count == 2)
        }
    }
}
