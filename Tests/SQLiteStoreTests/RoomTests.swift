import Core
import Hub
import SQLiteStore
import TestSupport
import Testing

/// Rooms, members, history and search, in every implementation.
@Suite struct RoomTests {
    @Test(arguments: StoreKind.allCases) func roomNameIsUniqueAndPrivateRoomsHaveNone(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            expect(try await store.read { try $0.room(name: "lobby") }, is: .lobby)
            expect(try await store.read { try $0.room(Room.lobby.id) }, is: .lobby)
            expect(try await store.read { try $0.room(name: "Lobby") }, is: nil)
            await expectFailure((any Error).self) {
                try await store.write {
                    try $0.insert(Room.fixture("lobby", id: .fixture(2), createdBy: User.bob.id))
                }
            }
            try await store.write { writer in
                try writer.insert(Room.fixture(nil, id: .fixture(2), createdBy: User.bob.id))
                try writer.insert(Room.fixture(nil, id: .fixture(3), createdBy: User.bob.id))
            }
            await expectFailure((any Error).self) {
                try await store.write { writer in
                    var room = Room.fixture(nil, id: .fixture(3), createdBy: User.bob.id)
                    room.name = "lobby"
                    try writer.update(room)
                }
            }
        }
    }

    @Test(arguments: StoreKind.allCases) func usersOnlineOfARoomAreFoundAscendingUpToALimit(
        kind: StoreKind
    ) async throws {
        try await kind.runInLobby { store in
            let found = { (limit: Int) in
                try await store.read { try $0.usersOnline(in: Room.lobby.id, limit: limit).map(\.id) }
            }
            #expect(try await found(9) == [])
            try await store.write { writer in
                // Carol is online and no member.
                for user in [User.alice, .bob, .carol] {
                    var user = user
                    user.isOnline = true
                    try writer.update(user)
                }
            }
            let members = [User.alice.id, User.bob.id].sorted()
            #expect(try await found(9) == members)
            #expect(try await found(1) == Array(members.prefix(1)))
        }
    }

    @Test(arguments: StoreKind.allCases) func roomListHasOwnAndListedRoomsInOrderOfID(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            try await store.write { writer in
                try writer.insert(Room.fixture(nil, id: .fixture(2), createdBy: User.carol.id))
                try writer.insert(Room.fixture(nil, id: .fixture(3), createdBy: User.bob.id))
                try writer.insert(Member.fixture(User.bob.id, of: .fixture(3), role: .owner))
                var archived = Room.fixture("old", id: .fixture(4), createdBy: User.bob.id)
                archived.isArchived = true
                try writer.insert(archived)
                try writer.insert(Member.fixture(User.bob.id, of: .fixture(4)))
                try writer.insert(Room.fixture("den", id: .fixture(5), createdBy: User.carol.id))
                try writer.post("one", id: 1)
                try writer.post("mine", id: 2, by: User.bob.id)
                var gone = try writer.post("two", id: 3)
                gone.deletedAt = .fixture
                try writer.update(gone)
                try writer.post("three", id: 4)
            }
            let views = try await store.read { try $0.roomViews(visibleTo: User.bob.id, after: nil, limit: 9) }
            #expect(views.map(\.room.id) == [.fixture(1), .fixture(3), .fixture(4), .fixture(5)])
            #expect(views.map(\.memberCount) == [2, 1, 1, 0])
            #expect(views.map(\.unreadCount) == [2, 0, 0, 0])
            #expect(views.map(\.role) == [.member, .owner, .member, nil])
            let page = try await store.read { try $0.roomViews(visibleTo: User.bob.id, after: .fixture(1), limit: 2) }
            #expect(page == Array(views[1...2]))
            let carols = try await store.read { try $0.roomViews(visibleTo: User.carol.id, after: nil, limit: 9) }
            #expect(carols.map(\.room.id) == [.fixture(1), .fixture(5)])
            #expect(carols.map(\.unreadCount) == [0, 0])
            expect(try await store.read { try $0.roomView(Room.lobby.id, for: User.bob.id) }, is: views[0])
            expect(try await store.read { try $0.roomView(.fixture(9), for: User.bob.id) }, is: nil)
            try await store.write { writer in
                var member = Member.fixture(User.bob.id, of: Room.lobby.id)
                member.readSeq = 1
                try writer.update(member)
            }
            expect(try await store.read { try $0.roomView(Room.lobby.id, for: User.bob.id)?.unreadCount }, is: 1)
        }
    }

    @Test(arguments: StoreKind.allCases) func membersComeWithTheirUsersInOrderOfUser(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            let carol = Member.fixture(User.carol.id, of: Room.lobby.id, role: .moderator, joinedSeq: 7, readSeq: 8)
            try await store.write { writer in
                try writer.insert(carol)
                try writer.insert(Room.fixture(nil, id: .fixture(2), createdBy: User.carol.id))
                try writer.insert(Member.fixture(User.carol.id, of: .fixture(2), role: .owner))
            }
            try await store.read { reader in
                let members = try reader.members(of: Room.lobby.id, after: nil, limit: 9)
                #expect(members.map(\.user) == [.alice, .bob, .carol])
                #expect(members.last?.member == carol)
                let page = try reader.members(of: Room.lobby.id, after: User.alice.id, limit: 1)
                #expect(page.map(\.user) == [.bob])
                #expect(try reader.memberCount(of: Room.lobby.id) == 3)
                #expect(try reader.ownerCount(of: Room.lobby.id) == 1)
                #expect(try reader.member(User.carol.id, of: Room.lobby.id) == carol)
                #expect(try reader.memberships(of: User.carol.id).map(\.room) == [Room.lobby.id, .fixture(2)])
            }
            await expectFailure((any Error).self) { try await store.write { try $0.insert(carol) } }
            try await store.write { try $0.delete(carol) }
            expect(try await store.read { try $0.member(User.carol.id, of: Room.lobby.id) }, is: nil)
            expect(try await store.read { try $0.memberCount(of: Room.lobby.id) }, is: 2)
        }
    }

    @Test(arguments: StoreKind.allCases) func historyIsNewestFirstUnlessOnlyAfterIsGiven(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            let messages = try await store.write { writer in
                try writer.insert(Room.fixture("den", id: .fixture(2), createdBy: User.alice.id))
                try writer.post("elsewhere", id: 99, in: .fixture(2))
                return try (1...6).map { number in
                    try writer.post("m\(number)", id: number, by: number == 3 ? User.bob.id : User.alice.id)
                }
            }
            let seqs = messages.map(\.seq)
            try await store.read { reader throws in
                let found = { (query: MessageQuery) in try reader.messages(query).map(\.message.seq) }
                var query = MessageQuery(room: Room.lobby.id, limit: 3)
                #expect(try found(query) == [seqs[5], seqs[4], seqs[3]])
                query.beforeSeq = seqs[3]
                #expect(try found(query) == [seqs[2], seqs[1], seqs[0]])
                query.afterSeq = seqs[0]
                #expect(try found(query) == [seqs[2], seqs[1]])
                query.beforeSeq = nil
                #expect(try found(query) == [seqs[1], seqs[2], seqs[3]])
                query.user = User.bob.id
                #expect(try found(query) == [seqs[2]])
                let first = try reader.messages(MessageQuery(room: Room.lobby.id, user: User.bob.id, limit: 1)).first
                #expect(first?.message == messages[2])
                #expect(first?.user == .bob)
                #expect(try reader.message(.fixture(3)) == messages[2])
                #expect(try reader.message(.fixture(77)) == nil)
            }
        }
    }

    @Test(arguments: StoreKind.allCases) func messageKeepsEveryField(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            let written = try await store.write { writer in
                var message = try writer.post("first", id: 1)
                message.content = "edited \"quoted\" 📞"
                message.metadata = "{\"a\":[1,null]}"
                message.editedAt = .fixture
                try writer.update(message)
                return message
            }
            expect(try await store.read { try $0.message(.fixture(1)) }, is: written)
        }
    }

    @Test(arguments: StoreKind.allCases) func searchFindsAllWordsInAnyCaseAndTheLastAsPrefix(
        kind: StoreKind
    ) async throws {
        try await kind.runInLobby { store in
            try await store.write { writer in
                try writer.insert(Room.fixture("den", id: .fixture(2), createdBy: User.alice.id))
                try writer.post("Halo semua, apa kabar?", id: 1)
                try writer.post("kabar baik: CAFÉ-time", id: 2, by: User.bob.id)
                try writer.post("halo lagi", id: 3)
                try writer.post("halo dari kamar lain", id: 4, in: .fixture(2))
                // In the transaction of its cause, too.
                #expect(try writer.messages(MessageQuery(room: Room.lobby.id, search: "halo", limit: 9)).count == 2)
            }
            try await store.read { reader throws in
                let found = { (text: String) in
                    try reader.messages(MessageQuery(room: Room.lobby.id, search: text, limit: 9)).map(\.message.id)
                }
                #expect(try found("halo") == [.fixture(3), .fixture(1)])
                #expect(try found("KABAR halo") == [.fixture(1)])
                #expect(try found("cafe") == [.fixture(2)])
                #expect(try found("cafe-time") == [.fixture(2)])
                #expect(try found("kab") == [])
                #expect(try found("kab*") == [.fixture(2), .fixture(1)])
                #expect(try found("halo ka*") == [.fixture(1)])
                #expect(try found("lobby") == [])
                let paged = try reader.messages(
                    MessageQuery(room: Room.lobby.id, beforeSeq: 3, search: "kabar", user: User.alice.id, limit: 1))
                #expect(paged.map(\.message.id) == [.fixture(1)])
                let ascending = try reader.messages(
                    MessageQuery(room: Room.lobby.id, afterSeq: 0, search: "halo", limit: 9))
                #expect(ascending.map(\.message.id) == [.fixture(1), .fixture(3)])
            }
        }
    }

    @Test(arguments: StoreKind.allCases) func anyTextIsAValidSearch(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            _ = try await store.write { try $0.post("and or not near content room", id: 1) }
            let texts = [
                "", " ", "*", "\"", "'", "AND", "a AND OR NOT", "NEAR(a b)", "content:x", "-x", "^x", "{a}", "a\u{0}b",
                "((", "))", ";DROP TABLE user", "👩‍🚀", "\u{301}", "日本", "a\"b", "%_", "x*y*", "\\", "é*",
                String(repeating: "a ", count: 100), "\u{10FFFF}", "NOT*", "+", "a:b:c",
            ]
            for text in texts {
                _ = try await store.read { try $0.messages(MessageQuery(room: Room.lobby.id, search: text, limit: 9)) }
            }
            for text in ["", " * ", "!?", "\u{0}"] {
                let found = try await store.read {
                    try $0.messages(MessageQuery(room: Room.lobby.id, search: text, limit: 9)).count
                }
                #expect(found == 0, "\(text)")
            }
            let found = try await store.read {
                try $0.messages(MessageQuery(room: Room.lobby.id, search: "NOT and NEAR", limit: 9)).count
            }
            #expect(found == 1)
        }
    }

    @Test(arguments: StoreKind.allCases) func editedAndDeletedTextIsNotFoundAnyMore(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            let count = { (text: String) async throws in
                try await store.read {
                    try $0.messages(MessageQuery(room: Room.lobby.id, search: text, limit: 9)).count
                }
            }
            let message = try await store.write { writer in
                var message = try writer.post("apple", id: 1)
                message.content = "banana"
                try writer.update(message)  // In the transaction that made it.
                return message
            }
            #expect(try await count("apple") == 0)
            #expect(try await count("banana") == 1)
            try await store.write { writer in
                var edited = message
                edited.content = "cherry"
                try writer.update(edited)
                // A search within the write must not spoil what follows it.
                _ = try writer.messages(MessageQuery(room: Room.lobby.id, search: "cherry", limit: 1))
                edited.content = "damson"
                try writer.update(edited)
            }
            #expect(try await count("banana") == 0)
            #expect(try await count("cherry") == 0)
            #expect(try await count("damson") == 1)
            await expectFailure(Problem.self) {
                try await store.write { writer in
                    var edited = message
                    edited.content = "elder"
                    try writer.update(edited)
                    _ = try writer.messages(MessageQuery(room: Room.lobby.id, search: "elder", limit: 1))
                    throw Problem(.forbidden)
                }
            }
            #expect(try await count("elder") == 0)
            #expect(try await count("damson") == 1)
            try await store.write { writer in
                var gone = message
                (gone.content, gone.deletedAt) = ("", .fixture)
                try writer.update(gone)
            }
            #expect(try await count("damson") == 0)
        }
    }
}
