import Core
import Dispatch
import Hub
import SQLiteStore
import Synchronization
import TestSupport
import Testing

/// Writes that wait together share a transaction and nothing else.
@Suite struct GroupCommitTests {
    private func run(pageCountMax: Int? = nil, _ body: (SQLiteStore) async throws -> Void) async throws {
        let directory = try TemporaryDirectory()
        let store = try SQLiteStore.open(directory: directory.path, logger: .quiet, pageCountMax: pageCountMax)
        try await body(store)
        await store.close()
    }

    @Test func writesThatWaitTogetherShareOneTransaction() async throws {
        try await self.run { store in
            try await withThrowingTaskGroup { group in
                for number in 0..<1000 {
                    group.addTask { _ = try await store.write { try $0.append(.chat("\(number)")) } }
                }
                try await group.waitForAll()
            }
            expect(try await store.read { try everything($0).count }, is: 1000)
            #expect(store.transactionCount < 500, "\(store.transactionCount) transactions for 1000 writes")
        }
    }

    /// A write that holds the queue, and so makes all others wait, until it is let go.
    private func holdingTheQueue(of store: SQLiteStore, _ body: () -> Void) {
        let (began, mayEnd) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        store.write { _ in
            began.signal()
            mayEnd.wait()
        } completion: { _ in
        }
        began.wait()
        body()
        mayEnd.signal()
    }

    @Test func urgentWriteOvertakesAllThatWait() async throws {
        try await self.run { store in
            let order = Answers<String>()
            self.holdingTheQueue(of: store) {
                for number in 0..<1000 {
                    store.write {
                        try $0.append(.chat("\(number)"))
                    } completion: { _ in
                        order.append("other")
                    }
                }
                store.writeUrgently {
                    try $0.append(.chat("hang up"))
                } completion: { _ in
                    order.append("urgent")
                }
            }
            // The queue is in order: this one is the last.
            let last = try await store.write { try $0.append(.chat("last")) }
            #expect(order.values.count == 1001 && order.values.first == "urgent")
            #expect(last == 1002)
        }
    }

    @Test func urgentWriteIsTakenWhenTheQueueIsFull() async throws {
        try await self.run { store in
            let failures = Answers<String>()
            let outcome = Answers<Int64>()
            self.holdingTheQueue(of: store) {
                for _ in 0..<20_000 {
                    store.write { _ in
                    } completion: {
                        if case .failure = $0 { failures.append("busy") }
                    }
                }
                store.writeUrgently {
                    try $0.append(.chat("hang up"))
                } completion: { result in
                    if case .success(let seq) = result { outcome.append(seq) }
                }
            }
            _ = try await store.writeUrgently { $0.nextSeq }
            #expect(!failures.values.isEmpty, "the queue was full")
            #expect(outcome.values == [1])
        }
    }

    /// Goal: what one write of a group did to events of the others goes with it. The writes run in one group, as the
    /// first waits until all are there.
    @Test func aFailingWriteOfAGroupLeavesTheOthersEventsAsTheyAre() async throws {
        try await self.run { store in
            let recorder = Recorder()
            _ = try await store.follow(recorder.record)
            try await store.write { writer in
                try writer.insert(User.alice)
                try writer.insert(Room.lobby)
            }
            let before = store.transactionCount
            let gate = DispatchSemaphore(value: 0)
            let ended = AsyncStream<Bool>.makeStream()
            let write = { (body: @escaping @Sendable (any StoreWriter) throws -> Void) in
                store.write(body) { ended.continuation.yield((try? $0.get()) != nil) }
            }
            write { _ in gate.wait() }
            write { try $0.post("kept", id: 1) }
            write { try $0.append(.signal(.fixture(1), call: .fixture(1), to: DeviceID(known: "ses_a"))) }
            write { writer in
                try writer.redactEvents(of: .fixture(1), before: writer.nextSeq, data: "{\"redacted\":true}")
                try writer.deleteEvents(of: [.fixture(1)])
                try writer.post("dropped", id: 2)
                // Indexes what waits, which must be undone with the rest.
                let found = try writer.messages(MessageQuery(room: Room.lobby.id, search: "kept", limit: 9))
                #expect(found.map(\.message.id) == [.fixture(1)])
                throw Problem(.forbidden)
            }
            write { writer in
                try writer.post("other", id: 3)
                #expect(throws: (any Error).self) { try writer.insert(User.alice) }
            }
            write { try $0.insert(User.alice) }
            gate.signal()
            var endings: [Bool] = []
            for await ending in ended.stream {
                endings.append(ending)
                if endings.count == 6 { break }
            }
            #expect(endings == [true, true, true, false, true, false])
            #expect(store.transactionCount - before <= 2)
            let events = recorder.changes.flatMap(\.events)
            #expect(events.map(\.seq) == [1, 2, 3])
            #expect(events.map(\.data) == ["{\"content\":\"kept\"}", "{}", "{\"content\":\"other\"}"])
            #expect(recorder.changes.allSatisfy { $0.rewritten.isEmpty })
            expect(try await store.read { try everything($0, device: DeviceID(known: "ses_a")) }, is: events)
            for (word, ids) in ["kept": [MessageID.fixture(1)], "dropped": [], "other": [.fixture(3)]] {
                let query = MessageQuery(room: Room.lobby.id, search: word, limit: 9)
                expect(try await store.read { try $0.messages(query).map(\.message.id) }, is: ids)
            }
        }
    }

    @Test func constraintsAreToldApartFromAnUnavailableStore() async throws {
        try await self.run { store in
            try await store.write { try $0.insert(User.alice) }
            do {
                try await store.write { try $0.insert(User.alice) }
                Issue.record("inserted twice")
            } catch let error as StatementError {
                #expect(error.isConstraint)
                #expect(!error.message.contains("alice"), "no values in messages")
            }
        }
    }

    @Test func aFullDiskFailsWritesAsFullAndReadsGoOn() async throws {
        try await self.run(pageCountMax: 150) { store in
            let large = String(repeating: "x", count: 20_000)
            var written = 0
            var code: StoreError.Code?
            for _ in 0..<200 where code == nil {
                do {
                    _ = try await store.write { try $0.append(.chat(large)) }
                    written += 1
                } catch let error as StoreError {
                    code = error.code
                }
            }
            #expect(code == .full)
            expect(try await store.read { try everything($0).count }, is: written)
            // With room again, writing goes on, and no seq is given twice.
            expect(try await store.write { try $0.trimEvents(through: .max, limit: 1000) }, is: written)
            expect(try await store.write { try $0.append(.chat("small")) }, is: Int64(written) + 1)
        }
    }
}

/// What writes were answered with, in the order of the answers.
private final class Answers<Value: Sendable>: Sendable {
    private let storage = Mutex<[Value]>([])

    var values: [Value] { self.storage.withLock { $0 } }

    func append(_ value: Value) { self.storage.withLock { $0.append(value) } }
}
