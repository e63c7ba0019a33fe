import Synchronization

/// Notices a connection that is open but mute, as a proxy leaves one whose server is gone.
final class SilenceWatch: Sendable {
    /// Nothing came for three heartbeats.
    struct ConnectionIsMute: Error {}

    private struct State {
        var lastHeard = ContinuousClock.now
        /// Three of the server's heartbeats by default, until it tells its own.
        var limit = Duration.seconds(45)
    }

    private let state = Mutex(State())

    /// Something came, whatever it was.
    func heard() { self.state.withLock { $0.lastHeard = .now } }

    func expectHeartbeat(every interval: Duration) { self.state.withLock { $0.limit = interval * 3 } }

    /// - throws: ``ConnectionIsMute``, or `CancellationError`; it never returns.
    func run() async throws -> Never {
        while true {
            let deadline = self.state.withLock { $0.lastHeard.advanced(by: $0.limit) }
            let now = ContinuousClock.now
            guard deadline > now else { throw ConnectionIsMute() }
            // In short steps, as the limit may become a shorter one meanwhile.
            try await Task.sleep(until: min(deadline, now.advanced(by: .seconds(1))))
        }
    }
}
