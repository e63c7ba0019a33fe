import Core
import Hub
import SQLiteStore
import TestSupport
import Testing

/// Users, sessions, tokens and tickets, in every implementation.
@Suite struct IdentityTests {
    @Test(arguments: StoreKind.allCases) func userIsFoundByIDAndNameAsItWasWritten(kind: StoreKind) async throws {
        try await kind.run { store in
            var user = User.fixture("alice", role: .admin, kind: .guest)
            user.isSuspended = true
            user.isOnline = true
            user.passwordHash = "scrypt$1"
            user.displayName = "Älice 👩‍🚀"
            let written = user
            try await store.write { try $0.insert(written) }
            expect(try await store.read { try $0.user(written.id) }, is: written)
            expect(try await store.read { try $0.user(username: "alice") }, is: written)
            expect(try await store.read { try $0.user(username: "Alice") }, is: nil)
            expect(try await store.read { try $0.user(.fixture(99)) }, is: nil)
        }
    }

    @Test(arguments: StoreKind.allCases) func ofManyUsersThoseAreFoundThatThereAre(kind: StoreKind) async throws {
        try await kind.run { store in
            let others = [User.alice, User.fixture("siti", id: .fixture(8)), User.fixture("budi", id: .fixture(9))]
            try await store.write { writer in for user in others { try writer.insert(user) } }
            let asked: Set<UserID> = [User.alice.id, .fixture(9), .fixture(99)]
            expect(
                try await store.read { try $0.users(asked) }.sorted { $0.id < $1.id },
                is: [User.alice, others[2]].sorted { $0.id < $1.id })
            expect(try await store.read { try $0.users([]) }, is: [])
        }
    }

    @Test(arguments: StoreKind.allCases) func usernameIsUniqueUntilItsUserIsDeleted(kind: StoreKind) async throws {
        try await kind.run { store in
            try await store.write { try $0.insert(User.alice) }
            await expectFailure((any Error).self) {
                try await store.write { try $0.insert(User.fixture("alice", id: .fixture(9))) }
            }
            try await store.write { writer in
                var gone = User.alice
                gone.username = nil
                gone.deletedAt = .fixture
                try writer.update(gone)
            }
            try await store.write { try $0.insert(User.fixture("alice", id: .fixture(9))) }
            expect(try await store.read { try $0.user(username: "alice")?.id }, is: .fixture(9))
            expect(try await store.read { try $0.user(User.alice.id)?.deletedAt }, is: .fixture)
            // Two deleted users have no name, both.
            try await store.write { writer in
                var gone = User.fixture("alice", id: .fixture(9))
                gone.username = nil
                gone.deletedAt = .fixture
                try writer.update(gone)
            }
        }
    }

    @Test(arguments: StoreKind.allCases) func usersAreThoseOfCommonRoomsInOrderOfID(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            try await store.write { writer in
                var gone = User.fixture("gone", id: .fixture(4))
                (gone.username, gone.deletedAt) = (nil, .fixture)
                try writer.insert(gone)
            }
            let shared = try await store.read { try $0.users(sharingRoomWith: User.bob.id, after: nil, limit: 9) }
            #expect(shared == [.alice, .bob])
            expect(try await store.read { try $0.users(sharingRoomWith: User.carol.id, after: nil, limit: 9) }, is: [])
            let all = try await store.read { try $0.users(sharingRoomWith: nil, after: nil, limit: 9) }
            #expect(all == [.alice, .bob, .carol])
            let page = try await store.read { try $0.users(sharingRoomWith: nil, after: User.alice.id, limit: 1) }
            #expect(page == [.bob])
            expect(try await store.read { try $0.shareRoom(User.alice.id, User.bob.id) }, is: true)
            expect(try await store.read { try $0.shareRoom(User.alice.id, User.carol.id) }, is: false)
        }
    }

    @Test(arguments: StoreKind.allCases) func onlyForgottenGuestsAreListed(kind: StoreKind) async throws {
        try await kind.run { store in
            let late = Timestamp.fixture.advanced(by: .seconds(60))
            try await store.write { writer in
                try writer.insert(User.fixture("old2", id: .fixture(2), kind: .guest))
                try writer.insert(User.fixture("old1", id: .fixture(1), kind: .guest))
                try writer.insert(User.fixture("fresh", id: .fixture(3), kind: .guest, at: late))
                try writer.insert(User.fixture("account", id: .fixture(4)))
                var gone = User.fixture("gone", id: .fixture(5), kind: .guest)
                (gone.username, gone.deletedAt) = (nil, .fixture)
                try writer.insert(gone)
            }
            expect(
                try await store.read { try $0.guests(lastUsedBefore: late, limit: 9) }, is: [.fixture(1), .fixture(2)])
            expect(try await store.read { try $0.guests(lastUsedBefore: late, limit: 1) }, is: [.fixture(1)])
            expect(try await store.read { try $0.guests(lastUsedBefore: .fixture, limit: 9) }, is: [])
        }
    }

    @Test(arguments: StoreKind.allCases) func usersOnlineAreThoseMarkedSo(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            try await store.write { writer in
                for var user in [User.carol, User.alice] {
                    user.isOnline = true
                    try writer.update(user)
                }
            }
            expect(try await store.read { try $0.usersOnline() }, is: [User.alice.id, User.carol.id])
        }
    }

    @Test(arguments: StoreKind.allCases) func sessionsTokensAndTicketsKeepWhatIsWritten(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            let session = Session(
                id: .fixture(1), user: User.alice.id, createdAt: .fixture, lastUsedAt: .fixture, generation: 3,
                rotatedAt: .fixture)
            let revoked = Session(
                id: .fixture(2), user: User.alice.id, createdAt: .fixture, lastUsedAt: .fixture, revokedAt: .fixture)
            var ticket = StreamTicket(
                hash: "t", user: User.alice.id, device: DeviceID(session: session.id, label: "tab"),
                createdAt: .fixture)
            let tokens = (0..<4).map { RefreshToken(hash: "h\($0)", session: session.id, generation: $0) }
            try await store.write { [ticket] writer in
                try writer.insert(session)
                try writer.insert(revoked)
                try writer.insert(ticket)
                for token in tokens { try writer.insert(token) }
                #expect(try writer.sessions(of: User.alice.id) == [session])
                #expect(try writer.sessions(of: User.bob.id) == [])
            }
            expect(try await store.read { try $0.session(session.id) }, is: session)
            expect(try await store.read { try $0.session(revoked.id) }, is: revoked)
            ticket.openedAt = .fixture
            try await store.write { [ticket] writer in
                try writer.update(ticket)
                try writer.deleteRefreshTokens(of: session.id, below: 2)
            }
            expect(try await store.read { try $0.streamTicket(hash: "t") }, is: ticket)
            let left = try await store.read { reader in try tokens.map { try reader.refreshToken(hash: $0.hash) } }
            #expect(left == [nil, nil, tokens[2], tokens[3]])
        }
    }

    @Test(arguments: StoreKind.allCases) func rowsWithoutTheirUserAreRefused(kind: StoreKind) async throws {
        try await kind.run { store in
            await expectFailure((any Error).self) {
                try await store.write { writer in
                    try writer.insert(
                        Session(id: .fixture(1), user: .fixture(1), createdAt: .fixture, lastUsedAt: .fixture))
                }
            }
            await expectFailure((any Error).self) { try await store.write { try $0.insert(Room.lobby) } }
            await expectFailure((any Error).self) {
                try await store.write { try $0.insert(RefreshToken(hash: "h", session: .fixture(1), generation: 0)) }
            }
        }
    }

    @Test(arguments: StoreKind.allCases) func anIdempotentAnswerIsKeptByItsNameAndReplacedByALaterOne(
        kind: StoreKind
    ) async throws {
        try await kind.runInLobby { store in
            let answers = [
                IdempotentAnswer(name: "a", sealed: [UInt8](0...255), seq: 7, createdAt: .fixture),
                IdempotentAnswer(name: "b", sealed: [], seq: nil, createdAt: .fixture),
            ]
            let later = IdempotentAnswer(name: "a", sealed: [0], seq: nil, createdAt: .fixture)
            try await store.write { writer in for answer in answers { try writer.insert(answer) } }
            expect(try await store.read { try $0.idempotentAnswer("a") }, is: answers[0])
            expect(try await store.read { try $0.idempotentAnswer("b") }, is: answers[1])
            expect(try await store.read { try $0.idempotentAnswer("A") }, is: nil)
            try await store.write { try $0.insert(later) }
            expect(try await store.read { try $0.idempotentAnswer("a") }, is: later)
        }
    }

    @Test(arguments: StoreKind.allCases) func whatHasOutlivedItsTimeIsDeletedUpToTheLimit(kind: StoreKind) async throws
    {
        try await kind.runInLobby { store in
            let late = Timestamp.fixture.advanced(by: .seconds(60))
            try await store.write { writer in
                for (number, time) in [(1, Timestamp.fixture), (2, .fixture), (3, late)] {
                    let id = SessionID.fixture(number)
                    try writer.insert(Session(id: id, user: User.alice.id, createdAt: .fixture, lastUsedAt: time))
                    try writer.insert(RefreshToken(hash: "r\(number)", session: id, generation: 0))
                    let device = DeviceID(session: id, label: nil)
                    try writer.insert(
                        StreamTicket(hash: "t\(number)", user: User.alice.id, device: device, createdAt: time))
                    try writer.insert(IdempotentAnswer(name: "k\(number)", sealed: [], seq: nil, createdAt: time))
                }
            }
            let left = { () async throws -> [Int] in
                try await store.read { reader in
                    try [
                        (1...3).count { try reader.refreshToken(hash: "r\($0)") != nil },
                        (1...3).count { try reader.streamTicket(hash: "t\($0)") != nil },
                        (1...3).count { try reader.idempotentAnswer("k\($0)") != nil },
                    ]
                }
            }
            let delete = { (time: Timestamp, limit: Int) async throws in
                try await store.write {
                    try $0.deleteExpired(
                        answersBefore: time, ticketsBefore: time, sessionsUnusedBefore: time, limit: limit)
                }
            }
            try await delete(.fixture, 9)
            #expect(try await left() == [3, 3, 3])
            try await delete(late, 1)
            #expect(try await left() == [2, 2, 2])
            try await delete(late, 9)
            #expect(try await left() == [1, 1, 1])
            expect(try await store.read { try $0.streamTicket(hash: "t3") } != nil, is: true)
            expect(try await store.read { try $0.session(.fixture(1)) } != nil, is: true)
        }
    }
}
