import Core
import Foundation
import GRDB
import Hub
import SQLiteStore
import Synchronization
import TestSupport
import Testing

/// What several writers did so far, and whether they go on.
private final class Load: Sendable {
    let acknowledged = Mutex<Set<Int64>>([])
    let isWriting = Atomic(true)
    private let next = Atomic(1)
    let steps = Atomic(0)

    func takeNumber() -> Int { self.next.add(1, ordering: .relaxed).oldValue }
    var count: Int { self.acknowledged.withLock { $0.count } }
}

/// Copies made while others write, and going on from them.
@Suite struct BackupTests {
    private static let ids = IDSource { UInt128.random(in: 0...UInt128.max) }

    private static func name(_ number: Int) -> String { "comblang-\(number).sqlite" }

    /// What a database holds that must agree with itself, read without our code.
    private static func check(_ path: String) throws -> (messages: [Int64], epoch: String) {
        let database = try DatabaseQueue(path: path)
        defer { try? database.close() }
        return try database.write { db in
            #expect(try String.fetchAll(db, sql: "PRAGMA integrity_check") == ["ok"])
            #expect(try Row.fetchAll(db, sql: "PRAGMA foreign_key_check").isEmpty)
            try db.execute(sql: "INSERT INTO messageFts (messageFts) VALUES ('integrity-check')")
            // Every message is in the search index, and in the log under its own seq.
            let messages = try Int64.fetchAll(db, sql: "SELECT seq FROM message ORDER BY seq")
            let indexed = try Int64.fetchAll(
                db, sql: "SELECT rowid FROM messageFts WHERE messageFts MATCH 'halo OR klik' ORDER BY rowid")
            #expect(indexed == messages)
            let logged = try Int64.fetchAll(
                db,
                sql:
                    "SELECT seq FROM event CROSS JOIN message USING (seq) WHERE event.message = message.id ORDER BY seq"
            )
            #expect(logged == messages)
            let tail = try Int64.fetchOne(db, sql: "SELECT tail FROM meta")
            #expect(try Int64.fetchOne(db, sql: "SELECT max(seq) FROM event") == tail)
            return (messages, try String.fetchOne(db, sql: "SELECT epoch FROM meta") ?? "")
        }
    }

    private static func post(_ number: Int, to store: SQLiteStore) async throws -> Int64 {
        try await store.write { writer in
            // A write that fails in between must not show either.
            if number % 7 == 0 { try writer.post("halo \(number)", id: number) }
            if number % 7 == 0 { throw Problem(.forbidden) }
            return try writer.post("halo \(number)", id: number).seq
        }
    }

    @Test func copyTakenUnderLoadHasAllThatWasAcknowledgedAndAgreesWithItself() async throws {
        let directory = try TemporaryDirectory()
        let store = try SQLiteStore.open(directory: directory.path, logger: .quiet)
        try await store.write { writer in
            for user in [User.alice, .bob] { try writer.insert(user) }
            try writer.insert(Room.lobby)
            // Enough pages for many steps.
            for number in 1...3000 {
                try writer.post("halo \(String(repeating: "x", count: 900))", id: 1_000_000 + number)
            }
        }
        let load = Load()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    while load.isWriting.load(ordering: .relaxed) {
                        guard let seq = try? await Self.post(load.takeNumber(), to: store) else { continue }
                        load.acknowledged.withLock { _ = $0.insert(seq) }
                    }
                }
            }
            for number in 1...3 { try await Self.copy(number, of: store, in: directory.path, under: load) }
            load.isWriting.store(false, ordering: .relaxed)
            try await group.waitForAll()
        }
        #expect(try await store.pragma("integrity_check") == "ok")
        await store.close()
    }

    private static func copy(
        _ number: Int, of store: SQLiteStore, in directory: String, under load: Load
    ) async throws {
        while load.count < 100 * number { await Task.yield() }
        let before = load.acknowledged.withLock { $0 }
        load.steps.store(0, ordering: .relaxed)
        let size = try await store.copy(to: Self.name(number)) { progress in
            load.steps.add(1, ordering: .relaxed)
            #expect(progress.pagesDone <= progress.pagesTotal)
        }
        let file = directory + "/backups/" + Self.name(number)
        #expect(try FileManager.default.attributesOfItem(atPath: file)[.size] as? Int64 == size)
        #expect(load.steps.load(ordering: .relaxed) > 5)
        #expect(load.count > before.count, "nothing was written meanwhile")
        let found = Set(try Self.check(file).messages)
        #expect(before.isSubset(of: found))
    }

    @Test func copyThatIsGivenUpLeavesNothingAndTheStoreCloses() async throws {
        let directory = try TemporaryDirectory()
        let store = try SQLiteStore.open(directory: directory.path, logger: .quiet)
        try await store.write { writer in
            try writer.insert(User.alice)
            try writer.insert(Room.lobby)
            for number in 1...2000 { try writer.post("halo \(String(repeating: "x", count: 900))", id: number) }
        }
        await expectFailure(CancellationError.self) {
            _ = try await store.copy(to: Self.name(1)) { progress in
                if progress.pagesDone > 200 { throw CancellationError() }
            }
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path + "/backups").isEmpty)
        #expect(store.copySize(Self.name(1)) == nil)
        // Another one is made all the same, but never over one that is there.
        #expect(try await store.copy(to: Self.name(1)) { _ in } > 0)
        await expectFailure(StoreError.self) { _ = try await store.copy(to: Self.name(1)) { _ in } }
        #expect((store.copySize(Self.name(1)) ?? 0) > 0)
        await store.close()
        let again = try SQLiteStore.open(directory: directory.path, logger: .quiet)
        await again.close()
    }

    // MARK: Restoring

    /// A store with a message and a live call, backed up; then another message.
    private static func backedUp(in directory: String) async throws -> (file: String, epoch: String) {
        let store = try SQLiteStore.open(directory: directory, logger: .quiet)
        let session = Session(id: .fixture(1), user: User.alice.id, createdAt: .fixture, lastUsedAt: .fixture)
        try await store.write { writer in
            for user in [User.alice, .bob] { try writer.insert(user) }
            try writer.insert(session)
            try writer.insert(Room.lobby)
            for user in [User.alice, .bob] { try writer.insert(Member.fixture(user.id, of: Room.lobby.id)) }
            try writer.post("halo kept", id: 1)
            let acting = Acting(
                user: .alice, device: DeviceID(session: session.id, label: nil), now: .fixture, ids: Self.ids)
            let new = NewCall(media: CallMedia(audio: true, video: false), leaveTokenHash: "x")
            _ = try writer.createCall(in: .id(Room.lobby.id), new, as: acting)
            try writer.insert(Self.kept)
        }
        _ = try await store.copy(to: Self.name(1)) { _ in }
        _ = try await store.write { try $0.post("halo lost", id: 2) }
        let epoch = try await store.read { try $0.logBounds().epoch }
        await store.close()
        return (directory + "/backups/" + Self.name(1), epoch)
    }

    private static let kept = IdempotentAnswer(name: "k", sealed: [1, 2, 3], seq: 1, createdAt: .fixture)

    private static func restore(_ file: String, into directory: String) async throws -> Restoration {
        try await SQLiteStore.restore(
            from: file, into: directory, now: Timestamp.fixture.advanced(by: .seconds(86_400)), ids: Self.ids,
            logger: .quiet)
    }

    @Test func restoredLogIsAnotherOneAndTheFormerDatabaseIsKept() async throws {
        let directory = try TemporaryDirectory()
        let (file, epoch) = try await Self.backedUp(in: directory.path)
        let restored = try await Self.restore(file, into: directory.path)
        #expect(restored.takenAt == .fixture && restored.epoch != epoch && restored.appliedMigrations.isEmpty)
        let replaced = try #require(restored.replaced)
        #expect(try Self.check(replaced).epoch == epoch)

        let store = try SQLiteStore.open(directory: directory.path, logger: .quiet)
        let bounds = try await store.read { try $0.logBounds() }
        #expect(bounds.epoch == restored.epoch)
        #expect(bounds.resume(from: Cursor(epoch: epoch, seq: 1)) == .gap)
        expect(try await store.read { try $0.message(.fixture(1))?.content }, is: "halo kept")
        expect(try await store.read { try $0.message(.fixture(2)) }, is: nil)
        // Who was in a call is elsewhere by now: as far as anybody knows it lasted until the backup.
        let call = try await store.read { reader in
            try reader.calls(in: Room.lobby.id, state: nil, before: nil, limit: 9).first.flatMap {
                try reader.callRows($0)?.call
            }
        }
        #expect(call?.state == .ended && call?.endReason == .lost && call?.endedAt == .fixture)
        expect(try await store.read { try $0.idempotentAnswer("k") }, is: Self.kept)
        let session = try await store.read { try $0.session(.fixture(1)) }
        #expect(session != nil && session?.revokedAt == nil)
        await store.close()
        // Again, and from what was kept aside.
        let back = try await Self.restore(replaced, into: directory.path)
        #expect(back.epoch != epoch && back.epoch != restored.epoch)
        let again = try SQLiteStore.open(directory: directory.path, logger: .quiet)
        expect(try await again.read { try $0.message(.fixture(2))?.content }, is: "halo lost")
        await again.close()
    }

    @Test func restoringNeedsTheDirectoryForItself() async throws {
        let directory = try TemporaryDirectory()
        let (file, epoch) = try await Self.backedUp(in: directory.path)
        let store = try SQLiteStore.open(directory: directory.path, logger: .quiet)
        await Self.expectRefusal(.alreadyServed) { _ = try await Self.restore(file, into: directory.path) }
        expect(try await store.read { try $0.logBounds().epoch }, is: epoch)
        await store.close()
    }

    @Test func aFileThatIsNoGoodReplacesNothing() async throws {
        let directory = try TemporaryDirectory()
        let (file, epoch) = try await Self.backedUp(in: directory.path)
        let good = try Data(contentsOf: URL(filePath: file))
        var torn = good
        // In the middle of some page: its cells overlap, or lie outside.
        for page in 5..<min(60, torn.count / 4096) {
            torn.replaceSubrange((page * 4096)..<(page * 4096 + 64), with: Data(repeating: 0xFF, count: 64))
        }
        let bad: [(String, Data, StoreError.Code)] = [
            ("text", Data("not a database, but long enough to be taken for one".utf8), .notADatabase),
            ("empty", Data(), .notADatabase), ("torn", torn, .corrupt),
            ("short", Data(good.prefix(good.count / 8192 * 4096)), .corrupt),
        ]
        for (name, data, code) in bad {
            let path = directory.path + "/" + name
            try data.write(to: URL(filePath: path))
            await Self.expectRefusal(code) { _ = try await Self.restore(path, into: directory.path) }
        }
        await Self.expectRefusal(.unwritable) {
            _ = try await Self.restore(directory.path + "/nothing", into: directory.path)
        }
        let store = try SQLiteStore.open(directory: directory.path, logger: .quiet)
        expect(try await store.read { try $0.logBounds().epoch }, is: epoch)
        expect(try await store.read { try $0.message(.fixture(2))?.content }, is: "halo lost")
        await store.close()
        let left = try FileManager.default.contentsOfDirectory(atPath: directory.path)
        #expect(!left.contains { $0.contains("restoring") || $0.contains("replaced") }, "\(left)")
    }

    @Test func aDamagedDatabaseIsReplacedToo() async throws {
        let directory = try TemporaryDirectory()
        let (file, _) = try await Self.backedUp(in: directory.path)
        let path = directory.path + "/comblang.sqlite"
        try Data(repeating: 0xFF, count: 100_000).write(to: URL(filePath: path))
        let restored = try await Self.restore(file, into: directory.path)
        #expect(try Data(contentsOf: URL(filePath: try #require(restored.replaced))).count == 100_000)
        let store = try SQLiteStore.open(directory: directory.path, logger: .quiet)
        expect(try await store.read { try $0.message(.fixture(1))?.content }, is: "halo kept")
        await store.close()
    }

    @Test func aFreshDirectoryTakesABackup() async throws {
        let (directory, other) = (try TemporaryDirectory(), try TemporaryDirectory())
        let (file, _) = try await Self.backedUp(in: directory.path)
        let restored = try await Self.restore(file, into: other.path + "/data")
        #expect(restored.replaced == nil)
        #expect(try Self.check(other.path + "/data/comblang.sqlite").messages.count == 2)
        let names = try FileManager.default.contentsOfDirectory(atPath: other.path + "/data")
        #expect(
            Set(names).isSubset(of: ["comblang.sqlite", "comblang.lock", "comblang.sqlite-wal", "comblang.sqlite-shm"]))
    }

    private static func expectRefusal(
        _ code: StoreError.Code, sourceLocation: SourceLocation = #_sourceLocation, _ body: () async throws -> Void
    ) async {
        do {
            try await body()
            Issue.record("nothing was thrown", sourceLocation: sourceLocation)
        } catch {
            #expect((error as? StoreError)?.code == code, "\(error)", sourceLocation: sourceLocation)
        }
    }
}
