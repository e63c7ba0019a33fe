import Core
import Hub
import SQLiteStore
import TestSupport
import Testing

/// What bridges keep, in every implementation.
struct BridgeStoreTests {
    private let name = BridgeName(known: "durable")

    private var bridge: Bridge {
        let target = BridgeTarget(
            url: "wss://far/{room}", remoteRoom: "r", headers: ["Authorization": "s"], userIDMember: "id",
            certificateAuthority: "pem")
        return Bridge(name: self.name, room: Room.lobby.id, target: target, createdAt: .fixture)
    }

    @Test(arguments: StoreKind.allCases) func aBridgeIsKeptAsItWasMadeUntilItIsDeleted(kind: StoreKind) async throws {
        let (bridge, name) = (self.bridge, self.name)
        try await kind.runInLobby { store in
            try await store.write { try $0.insert(bridge) }
            var changed = bridge
            changed.isPaused = true
            changed.begunAt = .fixture
            let paused = changed
            try await store.write { try $0.update(paused) }
            expect(try await store.read { try $0.bridge(name) }, is: paused)
            expect(try await store.read { try $0.bridges(after: nil, limit: 9) }, is: [paused])
            expect(try await store.read { try $0.bridges(after: name, limit: 9) }, is: [])
            await #expect(throws: (any Error).self, "one for each room") {
                let second = Bridge(
                    name: BridgeName(known: "other"), room: Room.lobby.id, target: bridge.target, createdAt: .fixture)
                try await store.write { try $0.insert(second) }
            }
            try await store.write { writer in
                let message = try writer.post("halo", id: 1)
                try writer.insert(
                    OutboxEntry(seq: message.seq, bridge: name, user: User.alice.id, message: message.id))
                try writer.insertBridgeSession("s1", user: User.alice.id, of: name)
                try writer.delete(paused)
            }
            expect(try await store.read { try $0.outboxCount(of: name) }, is: 0)
            #expect(try await store.read { try $0.bridgeSessions(of: name).isEmpty })
        }
    }

    @Test(arguments: StoreKind.allCases) func theOutboxIsReadByAuthorInOrder(kind: StoreKind) async throws {
        let (bridge, name) = (self.bridge, self.name)
        try await kind.runInLobby { store in
            let entries = try await store.write { writer in
                try writer.insert(bridge)
                return try (1...6).map { number in
                    let user = number % 2 == 0 ? User.bob.id : User.alice.id
                    let message = try writer.post("m\(number)", id: number, by: user)
                    let entry = OutboxEntry(seq: message.seq, bridge: name, user: user, message: message.id)
                    try writer.insert(entry)
                    return entry
                }
            }
            let alice = [entries[0], entries[2], entries[4]]
            try await store.read { reader throws in
                #expect(try reader.outbox(of: name, user: User.alice.id, after: 0, limit: 9) == alice)
                #expect(
                    try reader.outbox(of: name, user: User.alice.id, after: alice[0].seq, limit: 1) == [alice[1]])
                #expect(try reader.outboxUsers(of: name) == [User.alice.id, User.bob.id])
                #expect(try reader.outboxCount(of: name) == 6)
            }
            try await store.write { try $0.deleteOutbox(alice.map(\.seq) + [9999]) }
            expect(try await store.read { try $0.outboxUsers(of: name) }, is: [User.bob.id])
        }
    }

    @Test(arguments: StoreKind.allCases) func remoteUsersAreFoundByTheirIdOverThere(kind: StoreKind) async throws {
        let name = self.name
        try await kind.runInLobby { store in
            let session = Session(id: .fixture(7), user: User.carol.id, createdAt: .fixture, lastUsedAt: .fixture)
            var carol = BridgedUser(
                bridge: name, remoteID: "remote carol", user: User.carol.id, session: session.id, lastSeenAt: .fixture)
            let first = carol
            try await store.write { writer in
                try writer.insert(session)
                try writer.insert(first)
            }
            carol.lastSeenAt = Timestamp.fixture.advanced(by: .seconds(5))
            let seen = carol
            try await store.write { try $0.update(seen) }
            expect(try await store.read { try $0.bridgedUser("remote carol", of: name) }, is: seen)
            expect(try await store.read { try $0.bridgedUsers(of: name) }, is: [seen])
            expect(try await store.read { try $0.bridgedUserCount(of: name) }, is: 1)
            for isOnline in [false, true] {
                try await store.write { writer in
                    var user = try #require(try writer.user(User.carol.id))
                    user.isOnline = isOnline
                    try writer.update(user)
                }
                expect(try await store.read { try $0.bridgedUserAway(of: name) }, is: isOnline ? nil : seen)
            }
            try await store.write { try $0.delete(seen) }
            expect(try await store.read { try $0.bridgedUsers(of: name) }, is: [])
        }
    }

    @Test(arguments: StoreKind.allCases) func theOldestReceiptsAreForgotten(kind: StoreKind) async throws {
        let (name, bridge) = (self.name, self.bridge)
        try await kind.runInLobby { store in
            let count = Limits.bridgeReceiptsKept + 3
            try await store.write { writer in
                try writer.insert(bridge)
                for number in 0..<count {
                    try writer.insert(
                        BridgeReceipt(bridge: name, remoteID: "r\(number)", mark: "m\(number)", message: nil))
                }
                try writer.insert(
                    BridgeReceipt(bridge: BridgeName(known: "quiet"), remoteID: "r0", mark: "q", message: nil))
                #expect(try writer.hasReceipt("r0", of: name) && writer.receipt(mark: "m0", in: Room.lobby.id) != nil)
                _ = try writer.forgetOldBridgeRows(of: name, limit: 100)
            }
            try await store.read { reader throws in
                #expect(try !reader.hasReceipt("r2", of: name) && reader.receipt(mark: "m2", in: Room.lobby.id) == nil)
                #expect(try reader.hasReceipt("r0", of: BridgeName(known: "quiet")))
                #expect(try reader.receipt(mark: "q", in: Room.lobby.id) == nil, "of no bridge of this room")
                #expect(try reader.hasReceipt("r3", of: name) && reader.receipt(mark: "m3", in: Room.lobby.id) != nil)
            }
        }
    }

    @Test(arguments: StoreKind.allCases) func signalsThatNobodyTookAreFoundByTheirDevice(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            let device = DeviceID(known: "ses_bridged")
            try await store.write { writer in
                for number in 1...3 {
                    let seq = try writer.append(.signal(.fixture(number), call: .fixture(1), to: device))
                    guard number != 2 else { continue }
                    try writer.insert(
                        PendingSignal(
                            seq: seq, signal: .fixture(number), call: .fixture(1), room: Room.lobby.id, sender: nil,
                            expiresAt: .fixture))
                }
                try writer.append(.signal(.fixture(4), call: .fixture(1), to: DeviceID(known: "ses_other")))
            }
            let found = try await store.read { try $0.pendingSignalEvents(to: device) }
            #expect(found.count == 2 && found.map(\.seq) == found.map(\.seq).sorted())
            #expect(found.allSatisfy { $0.audiences == [.device(device)] && $0.room == Room.lobby.id })
        }
    }

    @Test func aServerKeepsItsNameAndTwoServersDiffer() async throws {
        var names: Set<String> = []
        for _ in 0..<2 {
            let directory = try TemporaryDirectory()
            for _ in 0..<2 {
                let store = try SQLiteStore.open(directory: directory.path, logger: .quiet)
                names.insert(try await store.read { try $0.instance() })
                await store.close()
            }
        }
        #expect(names.count == 2 && !names.contains(""))
    }
}
