import Core
import Hub
import Synchronization
import TestSupport

/// A memory store whose commits reach the hub when the test says so, and whose catch-up reads wait likewise.
final class HeldStore: EventStore {
    private struct State {
        var consume: (@Sendable (CommittedChanges) -> Void)?
        var commits: [CommittedChanges] = []
        var holdsReads = false
        var reads: [@Sendable () -> Void] = []
        var readCount = 0
    }

    private let inner = MemoryStore()
    private let state = Mutex(State())

    /// Catch-up reads so far, waiting ones included.
    var readCount: Int { self.state.withLock { $0.readCount } }

    func write<Value: Sendable>(
        _ body: @escaping @Sendable (any StoreWriter) throws -> Value,
        completion: @escaping @Sendable (Result<Value, any Error>) -> Void
    ) {
        self.inner.write(body, completion: completion)
    }

    func read<Value: Sendable>(
        _ body: @escaping @Sendable (any StoreReader) throws -> Value,
        completion: @escaping @Sendable (Result<Value, any Error>) -> Void
    ) {
        self.inner.read(body) { result in
            // The snapshot is taken; the answer is slow.
            let answer = { @Sendable in completion(result) }
            let mayGo = self.state.withLock { state in
                state.readCount += 1
                if state.holdsReads { state.reads.append(answer) }
                return !state.holdsReads
            }
            if mayGo { answer() }
        }
    }

    /// A read of the test's own: it never waits and is not counted.
    func look<Result: Sendable>(
        _ body: @escaping @Sendable (any StoreReader) throws -> Result
    ) async throws -> Result {
        try await self.inner.read(body)
    }

    func follow(_ consume: @escaping @Sendable (CommittedChanges) -> Void) async throws -> LogBounds {
        self.state.withLock { $0.consume = consume }
        return try await self.inner.follow { changes in self.state.withLock { $0.commits.append(changes) } }
    }

    /// Tells the hub of the oldest `count` commits that it does not know of yet.
    func tellCommits(_ count: Int = .max) {
        let (consume, commits) = self.state.withLock { state in
            let commits = Array(state.commits.prefix(count))
            state.commits.removeFirst(commits.count)
            return (state.consume, commits)
        }
        for changes in commits { consume?(changes) }
    }

    /// Tells the hub of something that no write of this store made.
    func tell(_ changes: CommittedChanges) {
        self.state.withLock { $0.commits.append(changes) }
    }

    func holdReads() { self.state.withLock { $0.holdsReads = true } }

    /// Lets all reads go that wait, and later ones wait again or not.
    func releaseReads(holdingLater: Bool = false) {
        let reads = self.state.withLock { state in
            state.holdsReads = holdingLater
            defer { state.reads = [] }
            return state.reads
        }
        for read in reads { read() }
    }
}
