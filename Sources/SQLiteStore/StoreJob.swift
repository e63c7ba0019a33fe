/// Work that waits for a connection, and somebody who waits for the work.
struct StoreJob<Access>: Sendable {
    /// Does the work and returns how to acknowledge it, once its transaction has ended.
    let run: @Sendable (Access) throws -> @Sendable () -> Void
    /// Exactly one of this and what ``run`` returned is called, once.
    let fail: @Sendable (any Error) -> Void

    /// - parameter completion: called once, on the thread that does the work, and may not wait there.
    init<Value: Sendable>(
        _ body: @escaping @Sendable (Access) throws -> Value,
        _ completion: @escaping @Sendable (Result<Value, any Error>) -> Void
    ) {
        self.run = { access in
            let value = try body(access)
            return { completion(.success(value)) }
        }
        self.fail = { completion(.failure($0)) }
    }
}
