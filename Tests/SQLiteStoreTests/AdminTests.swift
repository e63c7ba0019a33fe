import Core
import Hub
import SQLiteStore
import TestSupport
import Testing

/// What admins ask for, in every implementation.
@Suite struct AdminTests {
    private static func entry(
        _ number: Int, _ action: AuditAction = .usersListed, by admin: UserID = User.alice.id,
        of resource: String? = nil,
        after seconds: Int = 0
    ) -> AuditEntry {
        let time = Timestamp.fixture.advanced(by: .seconds(seconds))
        return AuditEntry(
            id: AuditEntryID(ULID(at: time, random: UInt128(UInt64(number)))), admin: admin, action: action.rawValue,
            resource: resource, parameters: #"{"q":"x"}"#, at: time,
            origin: RequestOrigin(requestID: "r\(number)", remoteAddress: number == 1 ? "192.0.2.7" : nil))
    }

    @Test(arguments: StoreKind.allCases) func entriesAreFoundByWhatTheySayNewestFirst(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            let entries = [
                Self.entry(1), Self.entry(2, .userChanged, of: User.bob.id.text, after: 1),
                Self.entry(3, .userChanged, by: User.bob.id, of: User.carol.id.text, after: 2),
                Self.entry(4, .callShown, of: User.bob.id.text, after: 3),
            ]
            try await store.write { writer in for entry in entries { try writer.insert(entry) } }
            let found = { (query: AuditQuery) in
                try await store.read { try $0.auditEntries(query) }.map { entry in
                    entries.firstIndex(of: entry).map { $0 + 1 }
                }
            }
            #expect(try await found(AuditQuery(limit: 9)) == [4, 3, 2, 1])
            #expect(try await found(AuditQuery(limit: 2)) == [4, 3])
            #expect(try await found(AuditQuery(before: entries[2].id, limit: 9)) == [2, 1])
            #expect(try await found(AuditQuery(after: entries[1].id, limit: 1)) == [3])
            #expect(try await found(AuditQuery(admin: User.bob.id, limit: 9)) == [3])
            #expect(try await found(AuditQuery(action: .userChanged, limit: 9)) == [3, 2])
            #expect(try await found(AuditQuery(resource: User.bob.id.text, limit: 9)) == [4, 2])
            #expect(try await found(AuditQuery(action: .callShown, resource: User.bob.id.text, limit: 9)) == [4])
            let (second, third) = (entries[1].at, entries[2].at)
            #expect(try await found(AuditQuery(since: second, until: third, limit: 9)) == [2])
            #expect(try await found(AuditQuery(since: third, limit: 9)) == [4, 3])
        }
    }

    @Test(arguments: StoreKind.allCases) func oldestEntriesGoByAgeAndByNumber(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            try await store.write { writer in
                for number in 1...6 { try writer.insert(Self.entry(number, after: number)) }
            }
            let delete = { (seconds: Int, countMax: Int, limit: Int) in
                let time = Timestamp.fixture.advanced(by: .seconds(seconds))
                return try await store.write {
                    try $0.deleteAuditEntries(before: time, countMax: countMax, limit: limit)
                }
            }
            let kept = { try await store.read { try $0.auditEntries(AuditQuery(limit: 9)).count } }
            #expect(try await delete(1, 6, 9) == 0)
            #expect(try await kept() == 6)
            // Two are older than the third second, of which one fits.
            #expect(try await delete(3, 9, 1) == 1)
            #expect(try await delete(3, 9, 9) == 1)
            #expect(try await kept() == 4)
            #expect(try await delete(0, 3, 9) == 1)
            #expect(try await kept() == 3)
            #expect(try await delete(100, 9, 9) == 3)
            #expect(try await delete(100, 9, 9) == 0)
        }
    }

    @Test(arguments: StoreKind.allCases) func usersAreFoundByEachFilter(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            try await store.write { writer in
                var guest = User.fixture("dewi_100%", id: .fixture(4), kind: .guest)
                (guest.isSuspended, guest.isOnline, guest.displayName) = (true, true, "Dewi Lestari")
                try writer.insert(guest)
                try writer.insert(User.fixture("root", id: .fixture(5), role: .admin))
                var gone = User.fixture("gone", id: .fixture(6), role: .admin)
                (gone.username, gone.deletedAt) = (nil, .fixture)
                try writer.insert(gone)
                let session = Session(id: .fixture(1), user: User.bob.id, createdAt: .fixture, lastUsedAt: .fixture)
                try writer.insert(session)
            }
            let found = { (query: UserQuery) in try await store.read { try $0.users(query) }.map(\.user.id) }
            let ids = { (numbers: [Int]) in numbers.map { UserID.fixture($0) } }
            #expect(try await found(UserQuery(limit: 9)) == ids([1, 2, 3, 4, 5]))
            #expect(try await found(UserQuery(after: .fixture(2), limit: 2)) == ids([3, 4]))
            #expect(try await found(UserQuery(search: "LESTARI", limit: 9)) == ids([4]))
            // Nothing in it is a pattern.
            #expect(try await found(UserQuery(search: "i_100%", limit: 9)) == ids([4]))
            #expect(try await found(UserQuery(search: "l_ce", limit: 9)) == [])
            #expect(try await found(UserQuery(search: #"\"#, limit: 9)) == [])
            #expect(try await found(UserQuery(search: UserID.fixture(3).text, limit: 9)) == ids([3]))
            #expect(try await found(UserQuery(role: .admin, limit: 9)) == ids([5]))
            #expect(try await found(UserQuery(kind: .guest, isSuspended: true, isOnline: true, limit: 9)) == ids([4]))
            #expect(try await found(UserQuery(isSuspended: false, isOnline: true, limit: 9)) == [])
            let bob = try await store.read { try $0.users(UserQuery(search: "bob", limit: 9)) }
            #expect(bob == [UserOverview(user: .bob, roomCount: 1, sessionCount: 1)])
            expect(try await store.read { try $0.actingAdminCount() }, is: 1)
        }
    }

    @Test(arguments: StoreKind.allCases) func roomsShowWhatGoesOnInThem(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            let last = Timestamp.fixture.advanced(by: .seconds(9))
            try await store.write { writer in
                var attic = Room.fixture(nil, id: .fixture(2), createdBy: User.bob.id)
                attic.isArchived = true
                try writer.insert(attic)
                try writer.post("one", id: 1)
                var message = try writer.post("two", id: 2)
                message.createdAt = last
                try writer.update(message)
                let ended = Call(
                    id: .fixture(1), room: Room.lobby.id, initiator: User.alice.id, state: .ended,
                    media: CallMedia(audio: true, video: false), ringTimeoutSeconds: 60, createdAt: .fixture)
                try writer.save(CallRows(call: ended), replacing: nil)
                let live = Call(
                    id: .fixture(2), room: Room.lobby.id, initiator: User.alice.id,
                    media: CallMedia(audio: true, video: false), ringTimeoutSeconds: 60, createdAt: .fixture)
                try writer.save(CallRows(call: live), replacing: nil)
            }
            let found = { (query: RoomQuery) in try await store.read { try $0.rooms(query) } }
            let all = try await found(RoomQuery(limit: 9))
            #expect(all.map(\.room.id) == [.fixture(1), .fixture(2)])
            #expect(
                all.first
                    == RoomOverview(
                        room: .lobby, memberCount: 2, messageCount: 2, liveCallCount: 1, lastMessageAt: last))
            #expect(all.last?.lastMessageAt == nil && all.last?.memberCount == 0)
            #expect(try await found(RoomQuery(visibility: .private, limit: 9)).map(\.room.id) == [.fixture(2)])
            #expect(try await found(RoomQuery(isArchived: false, limit: 9)).map(\.room.id) == [.fixture(1)])
            #expect(try await found(RoomQuery(search: "OBB", limit: 9)).map(\.room.id) == [.fixture(1)])
            #expect(try await found(RoomQuery(after: .fixture(1), limit: 9)).map(\.room.id) == [.fixture(2)])
        }
    }
}
