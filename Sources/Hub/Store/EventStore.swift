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
    /// Completes when that transaction is committed and synced to disk, and after every follower was told.
    /// `body` may run on any thread and, should the group fail, more than once; it must only touch what it is given.
    ///
    /// - parameter completion: called once, on any thread, where it must not wait: with what `body` returned or threw
    ///   (nothing of it remains then), or with the store's error if the commit failed.
    func write<Value: Sendable>(
        _ body: @escaping @Sendable (any StoreWriter) throws -> Value,
        completion: @escaping @Sendable (Result<Value, any Error>) -> Void)

    /// As ``write(_:completion:)``, before all writes that wait and were not called urgent. For hanging up: it must get
    /// through whatever else is being written.
    func writeUrgently<Value: Sendable>(
        _ body: @escaping @Sendable (any StoreWriter) throws -> Value,
        completion: @escaping @Sendable (Result<Value, any Error>) -> Void)

    /// Runs `body` on one snapshot that contains every write acknowledged before the call.
    ///
    /// - parameter completion: as for ``write(_:completion:)``.
    func read<Value: Sendable>(
        _ body: @escaping @Sendable (any StoreReader) throws -> Value,
        completion: @escaping @Sendable (Result<Value, any Error>) -> Void)

    /// Registers for commits: `consume` is called in commit order, one call at a time, before the writes of that
    /// commit are acknowledged. It must return quickly and may not call the store.
    ///
    /// Returns the log's bounds at registration: the first call's events begin right behind their `tail`.
    func follow(_ consume: @escaping @Sendable (CommittedChanges) -> Void) async throws -> LogBounds

    /// Lets go of memory that only makes it faster, without waiting and without disturbing reads and writes.
    func releaseMemory()
}

extension EventStore {
    /// A store that keeps nothing to be faster has nothing to let go of.
    package func releaseMemory() {}
}

extension EventStore {
    /// As ``write(_:completion:)``, for tasks.
    ///
    /// - throws: what `body` threw, or the store's error if the commit failed.
    package func write<Value: Sendable>(
        _ body: @escaping @Sendable (any StoreWriter) throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            self.write(body) { continuation.resume(with: $0) }
        }
    }

    /// As ``writeUrgently(_:completion:)``, for tasks.
    ///
    /// - throws: what `body` threw, or the store's error if the commit failed.
    package func writeUrgently<Value: Sendable>(
        _ body: @escaping @Sendable (any StoreWriter) throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            self.writeUrgently(body) { continuation.resume(with: $0) }
        }
    }

    /// A store whose writes never wait has no use for a difference.
    package func writeUrgently<Value: Sendable>(
        _ body: @escaping @Sendable (any StoreWriter) throws -> Value,
        completion: @escaping @Sendable (Result<Value, any Error>) -> Void
    ) {
        self.write(body, completion: completion)
    }

    /// As ``read(_:completion:)``, for tasks.
    ///
    /// - throws: what `body` threw, or the store's error.
    package func read<Value: Sendable>(
        _ body: @escaping @Sendable (any StoreReader) throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            self.read(body) { continuation.resume(with: $0) }
        }
    }
}

/// An error of a store that cannot take this now (closed, disk full): the gateway answers 503 instead of 500.
package protocol UnavailabilityError: Error {}
