import CMigrations
import Core
import Foundation
import GRDB
import Hub
import SQLiteStore
import TestSupport
import Testing

/// What only a file can do: durability, locks, versions, bounds.
@Suite struct OpeningTests {
    private func code(_ body: () throws -> Void) -> StoreError.Code? {
        do {
            try body()
            return nil
        } catch {
            let error = error as? StoreError
            #expect(error?.message.contains("\n") == false)
            return error?.code
        }
    }

    @Test func commitsAreSyncedToAWriteAheadLog() async throws {
        let directory = try TemporaryDirectory()
        let store = try SQLiteStore.open(directory: directory.path, logger: .quiet)
        #expect(try await store.pragma("synchronous") == "2")
        #expect(try await store.pragma("journal_mode") == "wal")
        #expect(try await store.pragma("foreign_keys") == "1")
        #expect(try await store.pragma("busy_timeout") == "5000")
        #expect(try await store.pragma("integrity_check") == "ok")
        await store.close()
    }

    @Test func reopeningKeepsEverythingAndTheEpoch() async throws {
        let directory = try TemporaryDirectory()
        let store = try SQLiteStore.open(directory: directory.path, logger: .quiet)
        #expect(store.appliedMigrations.prefix(2) == ["0001_initial", "0002_calls"])
        try await store.write { writer in
            try writer.insert(User.alice)
            for number in 1...4 {
                try writer.append(.signal(.fixture(number), call: .fixture(1), to: DeviceID(known: "ses_a")))
            }
            _ = try writer.trimEvents(through: 2, limit: 9)
            // The newest event is deleted: its seq must not come again, not even after a restart.
            try writer.deleteEvents(of: [.fixture(4)])
        }
        let bounds = try await store.read { try $0.logBounds() }
        #expect(bounds.tail == 4 && bounds.trimmedThrough == 2)
        #expect(bounds.epoch.utf8.count == 4 && Cursor("\(bounds.epoch).0") != nil)
        await store.close()
        let files = try FileManager.default.contentsOfDirectory(atPath: directory.path)
        let leftover = files.first { $0.hasSuffix("-wal") }.flatMap { name in
            try? FileManager.default.attributesOfItem(atPath: directory.path + "/" + name)[.size] as? Int
        }
        #expect(leftover ?? 0 == 0, "the WAL was emptied")

        let again = try SQLiteStore.open(directory: directory.path, logger: .quiet)
        #expect(again.appliedMigrations == [])
        expect(try await again.read { try $0.logBounds() }, is: bounds)
        expect(try await again.read { try $0.user(User.alice.id) }, is: .alice)
        expect(try await again.write { try $0.append(.chat("next")) }, is: 5)
        await again.close()
    }

    @Test func twoNewDatabasesHaveDifferentEpochs() async throws {
        let epochs = try await [0, 1, 2].asyncMap { _ in
            let directory = try TemporaryDirectory()
            let store = try SQLiteStore.open(directory: directory.path, logger: .quiet)
            let epoch = try await store.read { try $0.logBounds().epoch }
            await store.close()
            return epoch
        }
        #expect(Set(epochs).count > 1)
    }

    @Test func aServedDirectoryIsRefusedUntilItIsClosed() async throws {
        let directory = try TemporaryDirectory()
        let store = try SQLiteStore.open(directory: directory.path, logger: .quiet)
        expect(self.code { _ = try SQLiteStore.open(directory: directory.path, logger: .quiet) }, is: .alreadyServed)
        await store.close()
        let again = try SQLiteStore.open(directory: directory.path, logger: .quiet)
        await again.close()
    }

    @Test func filesAreForTheirOwnerOnly() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/data"
        let store = try SQLiteStore.open(directory: path, logger: .quiet)
        try await store.write { try $0.insert(User.alice) }
        let files = try FileManager.default.contentsOfDirectory(atPath: path)
        #expect(Set(files).isSuperset(of: ["comblang.lock", "comblang.sqlite", "comblang.sqlite-wal"]))
        for file in files {
            let mode = try FileManager.default.attributesOfItem(atPath: path + "/" + file)[.posixPermissions] as? Int
            #expect(mode == 0o600, "\(file)")
        }
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o700)
        await store.close()
    }

    @Test func whatCannotBeOpenedIsToldInOneLine() async throws {
        let directory = try TemporaryDirectory()
        // A file where a directory should be: nobody can write there, not even root.
        let file = directory.path + "/file"
        try Data("x".utf8).write(to: URL(fileURLWithPath: file))
        expect(self.code { _ = try SQLiteStore.open(directory: file + "/data", logger: .quiet) }, is: .unwritable)

        let other = directory.path + "/other"
        try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: true)
        try Data(String(repeating: "not a database\n", count: 100).utf8)
            .write(to: URL(fileURLWithPath: other + "/comblang.sqlite"))
        expect(self.code { _ = try SQLiteStore.open(directory: other, logger: .quiet) }, is: .notADatabase)

        let foreign = directory.path + "/foreign"
        try FileManager.default.createDirectory(atPath: foreign, withIntermediateDirectories: true)
        let queue = try DatabaseQueue(path: foreign + "/comblang.sqlite")
        try await queue.write { try $0.execute(sql: "CREATE TABLE somebodyElse (id INTEGER)") }
        try queue.close()
        expect(self.code { _ = try SQLiteStore.open(directory: foreign, logger: .quiet) }, is: .notADatabase)
    }

    @Test func aDatabaseOfANewerVersionIsRefusedUnchanged() async throws {
        let directory = try TemporaryDirectory()
        try await SQLiteStore.open(directory: directory.path, logger: .quiet).close()
        let path = directory.path + "/comblang.sqlite"
        let queue = try DatabaseQueue(path: path)
        try await queue.write { try $0.execute(sql: "INSERT INTO migration (name) VALUES ('9999_future')") }
        try queue.close()
        expect(self.code { _ = try SQLiteStore.open(directory: directory.path, logger: .quiet) }, is: .newerVersion)
        // A refusal lets go of the directory.
        expect(self.code { _ = try SQLiteStore.open(directory: directory.path, logger: .quiet) }, is: .newerVersion)
    }

    @Test func everyMigrationFileIsEmbeddedAsItIs() throws {
        var count = 0
        let first = try #require(comblang_migrations(&count))
        let embedded = UnsafeBufferPointer(start: first, count: count).map { migration in
            (String(cString: migration.name), Data(UnsafeBufferPointer(start: migration.bytes, count: migration.size)))
        }
        let folder = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("migrations")
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            .filter { $0.hasSuffix(".sql") }.sorted()
        expect(embedded.map(\.0), is: files.map { String($0.dropLast(4)) })
        for (name, data) in embedded {
            let file = try Data(contentsOf: folder.appendingPathComponent(name + ".sql"))
            #expect(file == data)
        }
        let manifest = try String(
            contentsOf: folder.deletingLastPathComponent().appendingPathComponent("Package.swift"), encoding: .utf8)
        for file in files { #expect(manifest.contains("\"\(file)\""), "\(file) is under exclude:") }
    }

    @Test func afterClosingEverythingFailsAsClosed() async throws {
        let directory = try TemporaryDirectory()
        let store = try SQLiteStore.open(directory: directory.path, logger: .quiet)
        await store.close()
        await store.close()
        await expectFailure(StoreError.self) { _ = try await store.write { $0.nextSeq } }
        await expectFailure(StoreError.self) { _ = try await store.read { try $0.logBounds() } }
        await expectFailure((any Error).self) { _ = try await store.follow { _ in } }
        do {
            _ = try await store.write { $0.nextSeq }
        } catch let error as StoreError {
            #expect(error.code == .closed)
        }
    }

    @Test func closingCommitsWhatWaits() async throws {
        let directory = try TemporaryDirectory()
        let store = try SQLiteStore.open(directory: directory.path, logger: .quiet)
        let acknowledged = await withTaskGroup { group in
            for number in 0..<1000 {
                group.addTask { try? await store.write { try $0.append(.chat("\(number)")) } }
            }
            group.addTask {
                await store.close()
                return nil
            }
            return await group.reduce(into: Set<Int64>()) { if let seq = $1 { $0.insert(seq) } }
        }
        let again = try SQLiteStore.open(directory: directory.path, logger: .quiet)
        let kept = try await again.read { try everything($0).map(\.seq) }
        #expect(Set(kept) == acknowledged)
        await again.close()
    }
}

extension Sequence where Self: Sendable {
    /// The results for each element, one after the other.
    func asyncMap<Result>(_ transform: (Element) async throws -> Result) async rethrows -> [Result] {
        var results: [Result] = []
        for element in self { results.append(try await transform(element)) }
        return results
    }
}
