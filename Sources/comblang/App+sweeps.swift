import Core
import Hub
import Logging

extension App {
    /// Rows that one write deletes at most, so that nobody else waits for it.
    private static let batchMax = 2000
    private static let guestBatchMax = 100

    /// What deadlines in the database ask for, each on its own clock. A turn that finds nothing writes nothing.
    static func sweeps(
        _ store: any EventStore, hub: Hub, retention: Retention, credentialsLifetime: Duration?, ids: IDSource,
        time: any TimeSource, logger: Logger
    ) -> [SweepService] {
        let presence = Presence(registry: hub.registry, startedAt: time.now)
        let calls = CallClock(
            hub: hub, ids: ids, startedAt: time.now, credentialsLifetime: credentialsLifetime)
        let memory = MemoryReturn(hub: hub, store: store)
        return [
            SweepService("calls", every: .milliseconds(500), logger: logger) {
                try await calls.sweep(store, now: time.now)
            },
            SweepService("retention", every: .seconds(10), logger: logger) {
                try await retention.sweep(store, now: time.now)
            },
            SweepService("presence", every: .seconds(1), logger: logger) {
                try await presence.sweep(store, now: time.now)
            },
            SweepService("memory", every: .seconds(5), logger: logger) { memory.sweep(now: time.now) },
            SweepService("guests", every: .seconds(60), logger: logger) {
                let now = time.now
                while try await store.write({
                    try $0.expireGuests(now: now, ids: ids, limit: Self.guestBatchMax)
                }) == Self.guestBatchMax {}
            },
            SweepService("audit", every: .seconds(60), logger: logger) {
                let kept = time.now.advanced(by: .zero - Limits.auditKept)
                while try await store.write({
                    try $0.deleteAuditEntries(
                        before: kept, countMax: Limits.auditEntriesMax, limit: Self.batchMax)
                }) == Self.batchMax {}
            },
            // 1000 rows a second: as many keyed requests a second can go on for ever.
            SweepService("expired rows", every: .seconds(2), logger: logger) {
                let now = time.now
                try await store.write {
                    try $0.deleteExpired(
                        answersBefore: now.advanced(by: .zero - Limits.idempotencyKept),
                        ticketsBefore: now.advanced(by: .zero - Limits.ticketLifetime),
                        sessionsUnusedBefore: now.advanced(by: .zero - Limits.refreshTokenLifetime),
                        limit: Self.batchMax)
                }
            },
        ]
    }
}
