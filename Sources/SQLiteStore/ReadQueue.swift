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
        /// Nothing new begins.
        var isPaused = false
        /// Signalled when the last read that is under way has ended.
        var idle: DispatchSemaphore?
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
            guard !state.isPaused, state.workerCount < Self.connectionCount else { return (false, false) }
            state.workerCount += 1
            return (false, true)
        }
        if isClosed { job.fail(StoreError.closed) }
        if mustStart { self.queue.async { self.work() } }
    }

    /// Refuses further reads; those that wait fail when the pool is closed before their turn.
    func close() { self.state.withLock { $0.isClosed = true } }

    /// Lets nothing new begin until ``resume()`` and waits for what is under way. Returns whether it ended in time.
    func pause(atMost duration: Duration) -> Bool {
        let idle = self.state.withLock { state -> DispatchSemaphore? in
            state.isPaused = true
            state.idle = state.workerCount == 0 ? nil : DispatchSemaphore(value: 0)
            return state.idle
        }
        return idle.map { $0.wait(timeout: .now() + .milliseconds(Int(duration.milliseconds))) == .success } ?? true
    }

    /// Lets begin what has waited since ``pause(atMost:)``.
    func resume() {
        let count = self.state.withLock { state in
            (state.isPaused, state.idle) = (false, nil)
            let count = max(0, min(Self.connectionCount - state.workerCount, state.waiting.count))
            state.workerCount += count
            return count
        }
        for _ in 0..<count { self.queue.async { self.work() } }
    }

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
            guard !state.isPaused, !state.waiting.isEmpty else {
                state.workerCount -= 1
                if state.workerCount == 0 { state.idle?.signal() }
                return nil
            }
            return state.waiting.removeFirst()
        }
    }
}
