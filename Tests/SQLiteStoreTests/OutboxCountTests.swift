import Core
import Foundation
import Hub
import SQLiteStore
import TestSupport
import Testing

/// The number of messages that wait for a remote room is kept, not counted: it must be what a count finds.
struct OutboxCountTests {
    private static let bridges = [BridgeName(known: "near"), BridgeName(known: "far")]
    private static let scale = ProcessInfo.processInfo.environment["SCALE"].flatMap { Int($0) } ?? 1

    @Test func theKeptCountIsWhatIsCountedWhateverHappens() async throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        let directory = try TemporaryDirectory()
        var store = try SQLiteStore.open(directory: directory.path, logger: .quiet)
        try await store.write { writer in
            for user in [User.alice, .bob] { try writer.insert(user) }
            try writer.insert(Room.lobby)
        }
        var (messages, committed, failed) = (0, 0, 0)
        for _ in 0..<(80 * Self.scale) {
            let turns = (0..<Int.random(in: 1...6, using: &random)).map { _ in
                Turn(messages: &messages, using: &random)
            }
            // At once, so that some share a transaction with those that fail.
            let serving = store
            let done = await withTaskGroup(of: Bool.self) { group in
                for turn in turns {
                    group.addTask { (try? await serving.write { try turn.run($0) }) != nil }
                }
                return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            (committed, failed) = (committed + done, failed + turns.count - done)
            if Int.random(in: 0..<10, using: &random) == 0 {
                await store.close()
                store = try SQLiteStore.open(directory: directory.path, logger: .quiet)
            }
            let counts = try await store.read { try Self.counts($0) }
            #expect(counts.kept == counts.found, "seed \(seed)")
        }
        #expect(committed > 0 && failed > 0, "seed \(seed)")
        await store.close()
    }

    /// What waited when the server was brought up to date counts as well.
    @Test func whatWaitsInADatabaseOfTheVersionBeforeIsCounted() async throws {
        let directory = try TemporaryDirectory()
        try await directory.makeDatabase(
            before: "0010",
            sql: """
                INSERT INTO bridgeOutbox (seq, bridge, user, message) VALUES
                    (1, 'near', 'usr_a', 'msg_1'), (2, 'far', 'usr_a', 'msg_2'), (3, 'near', 'usr_b', 'msg_3')
                """)
        let store = try SQLiteStore.open(directory: directory.path, logger: .quiet)
        expect(store.appliedMigrations.first, is: "0010_bridge_outbox_count")
        expect(try await store.read { try $0.outboxCount(of: Self.bridges[0]) }, is: 2)
        expect(try await store.read { try $0.outboxCount(of: Self.bridges[1]) }, is: 1)
        await store.close()
    }

    private static func counts(_ reader: any StoreReader) throws -> (kept: [Int], found: [Int]) {
        let kept = try Self.bridges.map { try reader.outboxCount(of: $0) }
        let found = try Self.bridges.map { bridge in
            try [User.alice.id, User.bob.id].reduce(0) { sum, user in
                sum + (try reader.outbox(of: bridge, user: user, after: 0, limit: .max).count)
            }
        }
        return (kept, found)
    }

    /// What one write does to the outboxes.
    private struct Turn: Sendable {
        struct Refused: Error {}

        let bridge: BridgeName
        let user: UserID
        let written: [Int]
        /// Some wait, some do not any more, some never did.
        let delivered: [Int64]
        let isBridgeRemoved: Bool
        let fails: Bool

        init(messages: inout Int, using random: inout SeededGenerator) {
            self.bridge = Bool.random(using: &random) ? OutboxCountTests.bridges[0] : OutboxCountTests.bridges[1]
            self.user = Bool.random(using: &random) ? User.alice.id : User.bob.id
            let first = messages + 1
            messages += Int.random(in: 0...5, using: &random)
            self.written = Array(first..<(messages + 1))
            let highest = Int64(messages + 9)
            self.delivered = (0..<Int.random(in: 0...5, using: &random)).map { _ in
                Int64.random(in: 1...highest, using: &random)
            }
            self.isBridgeRemoved = Int.random(in: 0..<15, using: &random) == 0
            self.fails = Int.random(in: 0..<4, using: &random) == 0
        }

        func run(_ writer: any StoreWriter) throws {
            for number in self.written {
                let message = try writer.post("m\(number)", id: number, by: self.user)
                try writer.insert(
                    OutboxEntry(seq: message.seq, bridge: self.bridge, user: self.user, message: message.id))
            }
            try writer.deleteOutbox(self.delivered)
            if self.isBridgeRemoved {
                let target = BridgeTarget(url: "wss://far/{room}", remoteRoom: "r")
                try writer.delete(
                    Bridge(name: self.bridge, room: Room.lobby.id, target: target, createdAt: .fixture))
            }
            if self.fails { throw Refused() }
        }
    }
}
