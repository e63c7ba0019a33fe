import CMemory
import Hub
import Synchronization

/// Gives memory back to the system when a crowd has left: `malloc` keeps what thousands of streams used, in case they
/// return.
final class MemoryReturn: Sendable {
    /// Crowds smaller than this leave too little behind to look for it: about 14 KiB each.
    private static let crowdMin = 1000

    private let registry: Registry
    /// The most readers there were since memory was last given back.
    private let most = Mutex(0)

    init(registry: Registry) { self.registry = registry }

    /// Looks whether half of the readers are gone. Takes some milliseconds when they are, on no event loop.
    func sweep() {
        let readers = self.registry.readerCount
        let hasLeft = self.most.withLock { most in
            most = max(most, readers)
            guard most >= Self.crowdMin, readers <= most / 2 else { return false }
            most = readers
            return true
        }
        if hasLeft { comblang_release_memory() }
    }
}
