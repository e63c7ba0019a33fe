import Core
import Foundation
import Hub
import SQLiteStore
import Synchronization
import TestSupport
import Testing

private final class Flag: Sendable {
    private let value = Mutex(true)
    var isSet: Bool { self.value.withLock { $0 } }
    func clear() { self.value.withLock { $0 = false } }
}

/// The write-ahead log: whole whatever is held back on the way to it, and bounded.
@Suite struct WriteAheadLogTests {
    private static let text = String(repeating: "x", count: 9000)

    private func run(_ body: (SQLiteStore, String) async throws -> Void) async throws {
        let directory = try TemporaryDirectory()
        let store = try SQLiteStore.open(directory: directory.path, logger: .quiet)
        try await body(store, directory.path)
        await store.close()
    }

    private func logBytes(in directory: String) throws -> Int {
        let path = directory + "/comblang.sqlite-wal"
        return try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
    }

    @Test func aTransactionLargerThanTheCacheIsReadBackAndKeptOrDroppedWhole() async throws {
        try await self.run { store, directory in
            _ = try await store.write { try $0.append(.chat("first")) }
            // 27 MB, of which the cache holds 16: pages go to the log before the commit, and back from it.
            let append = { @Sendable (writer: any StoreWriter) throws in
                for _ in 0..<3000 { try writer.append(.chat(Self.text)) }
                return try everything(writer).count
            }
            await expectFailure(Problem.self) {
                try await store.write { writer in
                    #expect(try append(writer) == 3001)
                    throw Problem(.forbidden)
                }
            }
            expect(try await store.read { try everything($0).map(\.data) }, is: ["{\"content\":\"first\"}"])
            expect(try await store.write { try append($0) }, is: 3001)
            expect(try await store.read { try everything($0).map(\.seq) }, is: Array(1...3001))
            #expect(try await store.pragma("integrity_check") == "ok")
            // What another process finds after a crash: the files as they are now.
            let copy = try TemporaryDirectory()
            for name in ["comblang.sqlite", "comblang.sqlite-wal"] {
                try FileManager.default.copyItem(atPath: directory + "/" + name, toPath: copy.path + "/" + name)
            }
            let recovered = try SQLiteStore.open(directory: copy.path, logger: .quiet)
            expect(try await recovered.read { try everything($0).map(\.seq) }, is: Array(1...3001))
            #expect(try await recovered.pragma("integrity_check") == "ok")
            await recovered.close()
        }
    }

    @Test func everyAcknowledgedWriteIsInTheFilesAtOnce() async throws {
        try await self.run { store, directory in
            for number in 1...20 {
                _ = try await store.write { writer in
                    for _ in 0..<number { try writer.append(.chat(Self.text)) }
                }
                let copy = try TemporaryDirectory()
                for name in ["comblang.sqlite", "comblang.sqlite-wal"] {
                    try FileManager.default.copyItem(atPath: directory + "/" + name, toPath: copy.path + "/" + name)
                }
                let recovered = try SQLiteStore.open(directory: copy.path, logger: .quiet)
                expect(try await recovered.read { try $0.logBounds().tail }, is: Int64(number * (number + 1) / 2))
                await recovered.close()
            }
        }
    }

    /// Readers that never leave a moment without one of them would let SQLite append for ever (99 MiB here).
    @Test func theLogStaysBoundedWhileOthersReadWithoutAPause() async throws {
        try await self.run { store, directory in
            let isWriting = Flag()
            try await withThrowingTaskGroup { group in
                for _ in 0..<8 {
                    group.addTask {
                        while isWriting.isSet {
                            _ = try await store.read { reader in
                                let tail = try reader.logBounds().tail
                                return try everything(reader, after: max(0, tail - 200)).count
                            }
                        }
                    }
                }
                var largest = 0
                for _ in 0..<400 {
                    _ = try await store.write { writer in
                        for _ in 0..<50 { try writer.append(.chat(Self.text)) }
                    }
                    largest = max(largest, try self.logBytes(in: directory))
                }
                isWriting.clear()
                try await group.waitForAll()
                #expect(largest < 40 << 20, "\(largest >> 20) MiB")
            }
        }
    }

    @Test func theLogGrowsForAReaderAndIsUsedAnewAfterwards() async throws {
        try await self.run { store, directory in
            let write = { (megabytes: Int) async throws in
                for _ in 0..<megabytes * 2 {
                    _ = try await store.write { writer in
                        for _ in 0..<50 { try writer.append(.chat(Self.text)) }
                    }
                }
            }
            try await write(20)
            // 4000 pages, and the transaction that reaches them.
            #expect(try self.logBytes(in: directory) < 20 << 20)
            let (entered, leave) = (AsyncStream<Void>.makeStream(), DispatchSemaphore(value: 0))
            async let tail = store.read { reader in
                let tail = try reader.logBounds().tail
                entered.continuation.yield()
                leave.wait()
                #expect(try reader.logBounds().tail == tail, "one snapshot")
                return tail
            }
            for await _ in entered.stream { break }
            try await write(30)
            let held = try self.logBytes(in: directory)
            #expect(held > 25 << 20, "what a reader may still ask for stays")
            leave.signal()
            #expect(try await tail == 2000)
            try await write(60)
            #expect(try self.logBytes(in: directory) <= held + 4 << 20)
            try await store.checkpoint()
            #expect(try self.logBytes(in: directory) == 0)
        }
    }
}
