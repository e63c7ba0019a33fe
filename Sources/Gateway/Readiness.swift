import Synchronization

/// Whether this process may receive traffic: after start-up, until it drains.
package final class Readiness: Sendable {
    /// Where the process is in its life.
    package enum State: UInt8, Sendable, AtomicRepresentable { case starting, ready, draining }

    private let storage = Atomic<State>(.starting)

    package init() {}

    package var state: State { self.storage.load(ordering: .acquiring) }

    package func becameReady() { self.storage.store(.ready, ordering: .releasing) }
    package func startedDraining() { self.storage.store(.draining, ordering: .releasing) }
}
