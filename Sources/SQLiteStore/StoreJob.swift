/// Work that waits for a connection, and somebody who waits for the work.
struct StoreJob<Access>: Sendable {
    /// Does the work and returns how to acknowledge it, once its transaction has ended.
    let run: @Sendable (Access) throws -> @Sendable () -> Void
    /// Exactly one of this and what ``run`` returned is called, once.
    let fail: @Sendable (any Error) -> Void

    init<Result: Sendable>(
        _ continuation: CheckedContinuation<Result, any Error>, _ body: @escaping @Sendable (Access) throws -> Result
    ) {
        self.run = { access in
            let result = try body(access)
            return { continuation.resume(returning: result) }
        }
        self.fail = { continuation.resume(throwing: $0) }
    }
}
