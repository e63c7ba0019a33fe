import Foundation
import Gateway
import Hub
import Logging
import ServiceLifecycle

/// Begins the graceful shutdown: out of traffic first, then the streams end, and only then the server stops, which
/// would wait for ever for responses that never end.
///
/// It must be the last of its group, as services stop in reverse order.
struct DrainService: Service {
    /// From the signal to the end, come what may: operators and service managers count on 15 s.
    private static let deadline = Duration.seconds(14)
    /// For the last bytes of the streams that ended last.
    private static let flushTime = Duration.milliseconds(500)

    let readiness: Readiness
    let hub: Hub
    let spread: Duration
    let logger: Logger

    func run() async throws {
        try await gracefulShutdown()
        // From here on a second signal ends the process at once, as an impatient operator expects.
        for name in [SIGTERM, SIGINT] { signal(name, SIG_DFL) }
        self.exitAtDeadline()
        self.logger.info("draining", metadata: ["streams": "\(self.hub.registry.readerCount)"])
        self.readiness.startedDraining()
        self.hub.drain()
        let end = ContinuousClock.now.advanced(by: self.spread + Self.flushTime)
        while self.hub.registry.readerCount > 0, .now < end { try await Task.sleep(for: .milliseconds(50)) }
    }

    /// The last resort, should a request or the disk never answer: what was acknowledged is on disk already.
    private func exitAtDeadline() {
        let logger = self.logger
        DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(Int(Self.deadline.components.seconds))) {
            logger.warning("did not stop in time, leaving open requests behind")
            exit(0)
        }
    }
}
