import Core
import Dispatch
import GRDB
import Hub
import Synchronization

/// Group commit: writes that wait together share one transaction, hence one sync of the disk.
///
/// One serial queue runs them in the order in which they came, urgent ones first, each in a savepoint; after the commit
/// it tells the followers, then those who wait. A write is never abandoned: not by the cancellation of the task that
/// asked, and not by ``close(_:)``.
final class WriteQueue: Sendable {
    /// Writes in one transaction; more would make the first of them wait for long.
    static let groupCountMax = 256
    /// Writes that wait; beyond that they are refused as `busy`.
    static let waitingMax = 16_384

    typealias Job = StoreJob<any StoreWriter>
    typealias Follower = @Sendable (CommittedChanges) -> Void

    private struct State {
        var waiting: [Job] = []
        /// Before all that is in ``waiting``, and bounded apart from it: hanging up gets through a flood.
        var urgent: [Job] = []
        var isScheduled = false
        var isClosed = false
        var followers: [Follower] = []
        var transactionCount = 0
    }

    private let pool: DatabasePool
    private let checkpoints: Checkpoints
    private let queue = DispatchQueue(label: "comblang.store.write", qos: .userInitiated)
    private let state = Mutex(State())

    init(_ pool: DatabasePool, _ checkpoints: Checkpoints) { (self.pool, self.checkpoints) = (pool, checkpoints) }

    /// How many transactions were committed.
    var transactionCount: Int { self.state.withLock { $0.transactionCount } }

    func submit(_ job: Job, isUrgent: Bool = false) {
        let (refusal, mustSchedule) = self.state.withLock { state -> (StoreError?, Bool) in
            if state.isClosed { return (.closed, false) }
            guard (isUrgent ? state.urgent : state.waiting).count < Self.waitingMax else {
                return (StoreError(.busy, "\(Self.waitingMax) writes wait already."), false)
            }
            if isUrgent { state.urgent.append(job) } else { state.waiting.append(job) }
            defer { state.isScheduled = true }
            return (nil, !state.isScheduled)
        }
        if let refusal { job.fail(refusal) }
        if mustSchedule { self.queue.async { self.commitNext() } }
    }

    /// Adds a follower between two transactions and reports the log's bounds there.
    func follow(
        _ follower: @escaping Follower, _ completion: @escaping @Sendable (Result<LogBounds, any Error>) -> Void
    ) {
        self.queue.async {
            completion(
                Result {
                    let bounds = try self.pool.writeWithoutTransaction { try SQLiteReader(db: $0).logBounds() }
                    self.state.withLock { $0.followers.append(follower) }
                    return bounds
                }.mapError(translated))
        }
    }

    /// Runs `work` on the writing connection between two transactions.
    func between<Value>(
        _ work: @escaping @Sendable (Database) throws -> Value,
        _ completion: @escaping @Sendable (Result<Value, any Error>) -> Void
    ) {
        self.queue.async {
            completion(Result { try self.pool.writeWithoutTransaction(work) }.mapError(translated))
        }
    }

    /// Refuses further writes, commits those that wait, then runs `completion`. Only the first call does so.
    func close(_ completion: @escaping @Sendable () -> Void) {
        self.state.withLock { $0.isClosed = true }
        self.queue.async {
            while self.commitGroup() {}
            completion()
        }
    }

    /// One group for each turn of the queue, so that ``follow(_:_:)`` and ``between(_:_:)`` get theirs under load.
    private func commitNext() {
        _ = self.commitGroup()
        let hasMore = self.state.withLock { state in
            state.isScheduled = !state.waiting.isEmpty || !state.urgent.isEmpty
            return state.isScheduled
        }
        if hasMore { self.queue.async { self.commitNext() } }
    }

    /// Returns whether there was anything to commit.
    private func commitGroup() -> Bool {
        let (group, followers) = self.state.withLock { state in
            let urgent = state.urgent.prefix(Self.groupCountMax)
            let others = state.waiting.prefix(Self.groupCountMax - urgent.count)
            let group = Array(urgent + others)
            state.urgent.removeFirst(urgent.count)
            state.waiting.removeFirst(others.count)
            return (group, state.followers)
        }
        guard !group.isEmpty else { return false }
        do {
            let (changes, acknowledgements) = try self.pool.writeWithoutTransaction { try Self.run(group, in: $0) }
            self.state.withLock { $0.transactionCount += 1 }
            if !changes.events.isEmpty || !changes.rewritten.isEmpty {
                for follower in followers { follower(changes) }
            }
            for acknowledge in acknowledgements { acknowledge() }
            // After those who wait have their answer. It fails on what makes the next commit fail: that one tells.
            try? self.checkpoints.runIfDue()
        } catch {
            let error = translated(error)
            for job in group { job.fail(error) }
        }
        return true
    }

    /// - throws: when the transaction as a whole failed: nothing of the group remains.
    private static func run(
        _ group: [Job], in db: Database
    ) throws -> (changes: CommittedChanges, acknowledgements: [@Sendable () -> Void]) {
        var changes = CommittedChanges(events: [], rewritten: [:], tail: 0)
        var acknowledgements: [@Sendable () -> Void] = []
        try db.inTransaction(.immediate) {
            let writer = try SQLiteWriter(db)
            for job in group {
                do {
                    acknowledgements.append(try writer.inSavepoint { try job.run($0) })
                } catch {
                    guard db.isInsideTransaction else { throw error }
                    let error = translated(error)
                    acknowledgements.append { job.fail(error) }
                }
            }
            changes = try writer.finish()
            return .commit
        }
        return (changes, acknowledgements)
    }
}
