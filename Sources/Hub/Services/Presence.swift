package import Core
import Synchronization

/// Follows who reads and logs `presence.changed` for those who came or went.
///
/// A user is online while a stream is open or a poll waits, and for a grace afterwards, as streams rotate and polls
/// come and go. At most one event for a user in 10 s; the last state always gets through.
package final class Presence: Sendable {
    package static let grace = Duration.seconds(45)
    private static let intervalMin = Duration.seconds(10)
    /// What one write changes at most.
    private static let batchMax = 200

    private let registry: Registry
    private let startedAt: Timestamp
    private let lastChanges = Mutex<[UserID: Timestamp]>([:])

    package init(registry: Registry, startedAt: Timestamp) {
        self.registry = registry
        self.startedAt = startedAt
    }

    /// Logs what changed since the last sweep.
    ///
    /// - throws: the store's error.
    package func sweep(_ store: any EventStore, now: Timestamp) async throws {
        let present = self.registry.usersPresent(grace: Self.grace)
        let online = Set(try await store.read { try $0.usersOnline() })
        var changes = present.subtracting(online).map { (user: $0, isOnline: true) }
        // After a restart, those who were online get the time to come back.
        if now.duration(since: self.startedAt) >= Self.grace {
            changes += online.subtracting(present).map { (user: $0, isOnline: false) }
        }
        let horizon = now.advanced(by: .zero - Self.intervalMin)
        let due = self.lastChanges.withLock { lastChanges in
            lastChanges = lastChanges.filter { $0.value > horizon }
            let due = changes.filter { lastChanges[$0.user] == nil }.prefix(Self.batchMax)
            for change in due { lastChanges[change.user] = now }
            return Array(due)
        }
        guard !due.isEmpty else { return }
        try await store.write { store in
            for change in due { try store.changePresence(of: change.user, to: change.isOnline, now: now) }
        }
    }
}
