package import Core
import Synchronization

/// Follows who reads and logs `presence.changed` for those who came or went.
///
/// A user is online while a stream is open or a poll waits, and for a grace afterwards, as streams rotate and polls
/// come and go; not after a goodbye. At most one event for a user in 10 s; the last state always gets through.
package final class Presence: Sendable {
    package static let grace = Duration.seconds(45)
    private static let intervalMin = Duration.seconds(10)
    /// What one write changes at most.
    private static let batchMax = 200

    private let registry: Registry
    private let startedAt: Timestamp
    private let state = Mutex(State())

    private struct State {
        var lastChanges: [UserID: Timestamp] = [:]
        /// Those who were online when the process started and were not seen since: they get the time to come back.
        /// `nil` until the first sweep.
        var awaited: Set<UserID>?
    }

    package init(registry: Registry, startedAt: Timestamp) {
        self.registry = registry
        self.startedAt = startedAt
    }

    /// Logs what changed since the last sweep.
    ///
    /// - throws: the store's error.
    package func sweep(_ store: any EventStore, now: Timestamp) async throws {
        let present = self.registry.usersPresent(grace: Self.grace)
        let goodbyes = self.registry.takeGoodbyes()
        let online = Set(try await store.read { try $0.usersOnline() })
        let hasAwaited = now.duration(since: self.startedAt) >= Self.grace
        let horizon = now.advanced(by: .zero - Self.intervalMin)
        let due = self.state.withLock { state in
            let awaited = hasAwaited ? [] : (state.awaited ?? online).subtracting(present).subtracting(goodbyes)
            state.awaited = awaited
            let came = present.subtracting(online).map { (user: $0, isOnline: true) }
            let went = online.subtracting(present).subtracting(awaited).map { (user: $0, isOnline: false) }
            state.lastChanges = state.lastChanges.filter { $0.value > horizon }
            let due = (came + went).filter { state.lastChanges[$0.user] == nil }.prefix(Self.batchMax)
            for change in due { state.lastChanges[change.user] = now }
            return Array(due)
        }
        guard !due.isEmpty else { return }
        try await store.write { store in
            for change in due { try store.changePresence(of: change.user, to: change.isOnline, now: now) }
        }
    }
}
