package import Core
import Synchronization

/// Which logged signals were written to a stream, or to a poll's answer, of the device that they are for.
///
/// Kept in memory until the next sweep stores it; a process that is killed in between forgets at most that turn, and
/// the senders of those signals may be told that they expired although they did not.
package final class Deliveries: Sendable {
    private let seqs = Mutex<Set<Int64>>([])

    package init() {}

    /// These were written; only signals are remembered.
    package func note(_ events: some Sequence<Event>) {
        for event in events where event.type == .signal {
            self.seqs.withLock { _ = $0.insert(event.seq) }
        }
    }

    /// What was written since the last call, in no particular order.
    package func take() -> [Int64] {
        self.seqs.withLock { seqs in
            defer { seqs = [] }
            return Array(seqs)
        }
    }

    /// They could not be stored; the next turn tries again.
    package func putBack(_ taken: [Int64]) { self.seqs.withLock { $0.formUnion(taken) } }
}
