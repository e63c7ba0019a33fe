import Core
import Dispatch
import GRDB
import Synchronization

/// Runs reads on a few threads, in the order in which they came.
///
/// GRDB's own asynchronous reads would park one thread for each read that waits for a connection.
final class ReadQueue: Sendable {
    /// Reading connections, hence reads at the same time.
    static let connectionCount = 4

    typealias Job = StoreJob<any StoreReader>

    private struct State {
        var waiting: [Job] = []
        var workerCount = 0
        var isClosed = false
    }

    private let pool: DatabasePool
    private let queue = DispatchQueue(label: "comblang.store.read", qos: .userInitiated, attributes: .concurrent)
    private let state = Mutex(State())

    init(_ pool: DatabasePool) { self.pool = pool }

    /// Runs `job` on a snapshot made after this call.
    func submit(_ job: Job) {
        let (isClosed, mustStart) = self.state.withLock { state in
            guard !state.isClosed else { return (true, false) }
            state.waiting.append(job)
            guard state.workerCount < Self.connectionCount else { return (false, false) }
            state.workerCount += 1
            return (false, true)
        }
        if isClosed { job.fail(StoreError.closed) }
        if mustStart { self.queue.async { self.work() } }
    }

    /// Refuses further reads; those that wait fail when the pool is closed before their turn.
    func close() { self.state.withLock { $0.isClosed = true } }

    private func work() {
        while let job = self.takeNext() {
            do {
                let acknowledge = try self.pool.read { try job.run(SQLiteReader(db: $0)) }
                acknowledge()
            } catch {
                job.fail(translated(error))
            }
        }
    }

    private func takeNext() -> Job? {
        self.state.withLock { state in
            guard !state.waiting.isEmpty else {
                state.workerCount -= 1
                return nil
            }
            return state.waiting.removeFirst()
        }
    }
}
