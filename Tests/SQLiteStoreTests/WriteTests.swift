import Core
import Hub
import SQLiteStore
import TestSupport
import Testing

/// Atomicity, order and followers, in every implementation.
@Suite struct WriteTests {
    @Test(arguments: StoreKind.allCases) func aFailingWriteLeavesNothing(kind: StoreKind) async throws {
        try await kind.runInLobby { store in
            let recorder = Recorder()
            _ = try await store.follow(recorder.record)
            await expectFailure(Problem.self) {
                try await store.write { writer in
                    try writer.insert(User.fixture("dave", id: .fixture(9)))
                    try writer.post("unseen", id: 1)
                    throw Problem(.forbidden)
                }
            }
            expect(try await store.read { try $0.user(.fixture(9)) }, is: nil)
            expect(try await store.read { try everything($0) }, is: [])
            expect(
                try await store.read { try $0.messages(MessageQuery(room: Room.lobby.id, search: "unseen", limit: 1)) }
                    .isEmpty, is: true)
            #expect(recorder.changes.isEmpty)
            let seq = try await store.write { try $0.append(.chat("next")) }
            #expect(seq >= 1)
        }
    }

    @Test(arguments: StoreKind.allCases) func concurrentWritesAreOrderedAndFollowedExactlyOnce(
        kind: StoreKind
    ) async throws {
        try await kind.run { store in
            let recorder = Recorder()
            let bounds = try await store.follow(recorder.record)
            #expect(bounds.tail == 0)
            // Every fifth write fails after it has appended.
            let seqs = try await withThrowingTaskGroup { group in
                for task in 0..<32 {
                    group.addTask {
                        var seqs: [Int64] = []
                        for number in 0..<100 {
                            let name = "u\(task)-\(number)"
                            do {
                                let seq = try await store.write { writer in
                                    let seq = try writer.append(.chat(name))
                                    try writer.insert(User.fixture(name))
                                    if number % 5 == 4 { throw Problem(.forbidden) }
                                    return seq
                                }
                                seqs.append(seq)
                                #expect(recorder.hasSeen(seq), "the follower is told before the write returns")
                                expect(try await store.read { try $0.user(username: name) } != nil, is: true)
                            } catch is Problem {
                                expect(try await store.read { try $0.user(username: name) }, is: nil)
                            }
                        }
                        #expect(seqs == seqs.sorted(), "a task's later write has a later seq")
                        return seqs
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(seqs.count == 32 * 80)
            #expect(Set(seqs).count == seqs.count)
            let followed = recorder.changes.flatMap(\.events)
            #expect(followed.map(\.seq) == seqs.sorted())
            expect(try await store.read { try everything($0) }, is: followed)
            expect(recorder.changes.map(\.tail), is: recorder.changes.compactMap(\.events.last?.seq))
        }
    }

    @Test(arguments: StoreKind.allCases) func aFollowerStartsRightBehindItsBounds(kind: StoreKind) async throws {
        try await kind.run { store in
            let recorders = (0..<8).map { _ in Recorder() }
            try await withThrowingTaskGroup { group in
                for task in 0..<8 {
                    group.addTask {
                        for number in 0..<50 { _ = try await store.write { try $0.append(.chat("\(task) \(number)")) } }
                    }
                }
                for recorder in recorders {
                    group.addTask { recorder.start(try await store.follow(recorder.record).tail) }
                }
                try await group.waitForAll()
            }
            let log = try await store.read { try everything($0) }
            #expect(log.count == 400)
            for recorder in recorders {
                let first = try #require(recorder.startTail)
                expect(recorder.changes.flatMap(\.events), is: log.filter { $0.seq > first })
            }
        }
    }

    @Test(arguments: StoreKind.allCases) func aWriteOfACancelledTaskIsDoneAllTheSame(kind: StoreKind) async throws {
        try await kind.run { store in
            let task = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                return try await store.write { try $0.append(.chat("bye")) }
            }
            let seq = try await task.value
            expect(try await store.read { try everything($0).map(\.seq) }, is: [seq])
            let reading = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                return try await store.read { try $0.logBounds().tail }
            }
            #expect(try await reading.value == seq)
        }
    }

    @Test(arguments: StoreKind.allCases) func aReadIsOneSnapshot(kind: StoreKind) async throws {
        try await kind.run { store in
            try await withThrowingTaskGroup { group in
                group.addTask {
                    for number in 0..<200 { _ = try await store.write { try $0.append(.chat("\(number)")) } }
                }
                for _ in 0..<4 {
                    group.addTask {
                        for _ in 0..<100 {
                            let (first, tail, last) = try await store.read { reader in
                                (
                                    try everything(reader).count, try reader.logBounds().tail,
                                    try everything(reader).count
                                )
                            }
                            #expect(first == Int(tail) && first == last)
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }
}
