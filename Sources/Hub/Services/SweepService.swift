package import Core
package import Logging
import ServiceLifecycle

/// Does something again and again until the graceful shutdown: what deadlines in the database ask for.
///
/// A sweep that fails is logged and tried again at the next turn; it never takes the process down.
package struct SweepService: Service {
    package let name: String
    private let interval: Duration
    private let logger: Logger
    private let sweep: @Sendable () async throws -> Void

    package init(
        _ name: String, every interval: Duration, logger: Logger, sweep: @escaping @Sendable () async throws -> Void
    ) {
        self.name = name
        self.interval = interval
        self.logger = logger
        self.sweep = sweep
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                do {
                    try await self.sweep()
                } catch is CancellationError {
                    return
                } catch {
                    self.logger.error("sweep failed", metadata: ["sweep": "\(self.name)", "error": "\(error)"])
                }
                try? await Task.sleep(for: self.interval.jittered(by: 0.1))
            }
        }
    }
}

/// How long and how many events are kept; records (messages, calls) are kept apart from the log.
package struct Retention: Sendable {
    package var age = Duration.seconds(24 * 3600)
    package var eventsMax = 1_000_000
    /// What one write deletes at most, so that nobody else waits for it.
    package var batchMax = 2000

    package init() {}

    /// Deletes what is too old or too many, in small writes; not what a webhook still waits for, if it is not too far
    /// behind.
    ///
    /// - throws: the store's error.
    package func sweep(_ store: any EventStore, now: Timestamp) async throws {
        let retention = self
        while !Task.isCancelled {
            let deleted = try await store.write { store in
                try store.endHopelessWebhooks(now: now)
                let awaited = try store.webhooks().filter(\.isActive).map(\.position).min()
                let bound = min(
                    try store.trimBound(
                        olderThan: now.advanced(by: .zero - retention.age), countMax: retention.eventsMax),
                    awaited ?? Int64.max)
                // Those of a bridge are the bridge's to forget.
                _ = try store.forgetOldBridgeRows(of: .actorDoor, limit: retention.batchMax)
                return try store.trimEvents(through: bound, limit: retention.batchMax)
            }
            guard deleted >= self.batchMax else { return }
        }
    }
}
