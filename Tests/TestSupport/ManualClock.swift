package import Core
import Synchronization

/// A clock that tests move by hand.
package final class ManualClock: TimeSource {
    private let time: Mutex<Timestamp>

    package init(_ start: Timestamp = .fixture) { self.time = Mutex(start) }

    package var now: Timestamp { self.time.withLock { $0 } }

    package func advance(by duration: Duration) {
        self.time.withLock { $0 = $0.advanced(by: duration) }
    }
}

extension Timestamp {
    /// Where tests start: 2026-11-22T13:20:00.000Z.
    package static let fixture = Timestamp(milliseconds: 1_795_353_600_000)
}
