import Core
import Hub
import Synchronization

/// Keeps what a store tells its follower.
final class Recorder: Sendable {
    private struct Received {
        var changes: [CommittedChanges] = []
        var seqs: Set<Int64> = []
        var startTail: Int64?
    }

    private let received = Mutex(Received())

    var changes: [CommittedChanges] { self.received.withLock { $0.changes } }
    /// The log's tail when this follower was registered.
    var startTail: Int64? { self.received.withLock { $0.startTail } }

    @Sendable func record(_ changes: CommittedChanges) {
        self.received.withLock { received in
            received.changes.append(changes)
            received.seqs.formUnion(changes.events.map(\.seq))
        }
    }

    func hasSeen(_ seq: Int64) -> Bool { self.received.withLock { $0.seqs.contains(seq) } }
    func start(_ tail: Int64) { self.received.withLock { $0.startTail = tail } }
}
