import Core
import Hub
import TestSupport
import Testing

/// Who is told that somebody came or went.
struct PresenceTests {
    @Test func aChangeIsLoggedOnceForEachRoomOfTheUser() async throws {
        let store = MemoryStore()
        let ids = IDSource.seeded(1)
        let events = try await store.write { store in
            let user = try store.signUp(NewUser(username: "alice"), refreshTokenHash: "h", now: .fixture, ids: ids).user
            let acting = Acting(user: user, device: DeviceID(known: "ses_x"), now: .fixture, ids: ids)
            let rooms = try [store.createRoom(NewRoom(), as: acting), store.createRoom(NewRoom(), as: acting)]
            let before = store.nextSeq
            try store.changePresence(of: user.id, to: true, now: .fixture)
            try store.changePresence(of: user.id, to: true, now: .fixture)
            #expect(try store.members(of: rooms[0].id, after: nil, limit: 1).first?.user.isOnline == true)
            #expect(try store.usersOnline() == [user.id])
            let visibility = Visibility(user: user.id, device: acting.device, rooms: [:])
            let seen = try store.events(
                after: before - 1, through: store.nextSeq, visibility: visibility, scope: .user, filter: .everything,
                limit: 10, bytesMax: 10_000
            ).events
            #expect(seen.first?.audiences == [.user(user.id)] + rooms.map { .room($0.id) })
            return seen
        }
        #expect(events.map(\.type) == [.presenceChanged])
    }

    @Test func aDeletedUserIsNotOnline() async throws {
        let store = MemoryStore()
        let ids = IDSource.seeded(1)
        try await store.write { store in
            let user = try store.signUp(NewUser(username: "alice"), refreshTokenHash: "h", now: .fixture, ids: ids).user
            try store.changePresence(of: user.id, to: true, now: .fixture)
            try store.deleteUser(try #require(try store.user(user.id)), by: nil, now: .fixture, ids: ids)
            #expect(try store.usersOnline().isEmpty)
            let before = store.nextSeq
            try store.changePresence(of: user.id, to: true, now: .fixture)
            #expect(store.nextSeq == before)
        }
    }
}
