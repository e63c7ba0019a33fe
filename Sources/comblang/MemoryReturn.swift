import CMemory
import Core
import Hub
import Synchronization

/// Gives memory back to the system when a crowd has left: `malloc` keeps what thousands of streams used, in case they
/// return.
final class MemoryReturn: Sendable {
    /// Crowds smaller than this leave too little behind to look for it: about 14 KiB each.
    private static let crowdMin = 1000
    /// Twice for each crowd: when it has left, and when the events that it was sent have left memory, too.
    private static let againAfter = Duration.seconds(30)

    private let hub: Hub
    private let store: any EventStore
    private let state = Mutex(State())

    private struct State {
        /// The most readers there were since memory was last given back.
        var most = 0
        var againAt: Timestamp?
    }

    init(hub: Hub, store: any EventStore) { (self.hub, self.store) = (hub, store) }

    /// Looks whether half of the readers are gone. Takes some milliseconds when they are, on no event loop.
    func sweep(now: Timestamp) {
        let readers = self.hub.registry.readerCount
        let kept = self.hub.settings.recentKept + self.hub.settings.heartbeatEvery + Self.againAfter
        let isDue = self.state.withLock { state in
            state.most = max(state.most, readers)
            if state.most >= Self.crowdMin, readers <= state.most / 2 {
                state = State(most: readers, againAt: now.advanced(by: kept))
                return true
            }
            guard let againAt = state.againAt, now >= againAt else { return false }
            state.againAt = nil
            return true
        }
        guard isDue else { return }
        self.store.releaseMemory()
        comblang_release_memory()
    }
}
