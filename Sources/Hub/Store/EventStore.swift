package import Core

/// What a commit did to the log, in seq order; what the hub follows.
package struct CommittedChanges: Sendable {
    /// Appended events, ascending by seq.
    package var events: [Event]
    /// Events whose data was replaced or which were deleted (`nil`), by seq: copies in memory must follow.
    package var rewritten: [Int64: String?]
    /// The log's newest seq after this commit.
    package var tail: Int64

    package init(events: [Event], rewritten: [Int64: String?], tail: Int64) {
        self.events = events
        self.rewritten = rewritten
        self.tail = tail
    }
}

/// A durable store with one ordered log. A second implementation may be shared by several processes: nothing here
/// assumes that this process made every change.
package protocol EventStore: Sendable {
    /// Runs `body` in a savepoint of its own, together with other waiting writes in one transaction.
    ///
    /// Returns when that transaction is committed and synced to disk, and after every follower was told.
    /// `body` may run on any thread and, should the group fail, more than once; it must only touch what it is given.
    ///
    /// - throws: what `body` threw (nothing of it remains), or the store's error if the commit failed.
    func write<Result: Sendable>(_ body: @escaping @Sendable (any StoreWriter) throws -> Result) async throws -> Result

    /// Runs `body` on one snapshot that contains every write acknowledged before the call.
    func read<Result: Sendable>(_ body: @escaping @Sendable (any StoreReader) throws -> Result) async throws -> Result

    /// Registers for commits: `consume` is called in commit order, one call at a time, before the writes of that
    /// commit are acknowledged. It must return quickly and may not call the store.
    ///
    /// Returns the log's bounds at registration: the first call's events begin right behind their `tail`.
    func follow(_ consume: @escaping @Sendable (CommittedChanges) -> Void) async throws -> LogBounds
}

/// An error of a store that cannot take this now (closed, disk full): the gateway answers 503 instead of 500.
package protocol UnavailabilityError: Error {}
