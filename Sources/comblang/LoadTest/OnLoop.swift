import NIOCore

/// A value that lives on one event loop, for code that does not.
struct OnLoop<Value>: Sendable {
    private let value: NIOLoopBound<Value>
    private let loop: any EventLoop

    /// - throws: `EventLoopError` when the loop has ended.
    init(_ loop: any EventLoop, make: @escaping @Sendable () -> Value) async throws {
        self.loop = loop
        self.value = try await loop.submit { NIOLoopBound(make(), eventLoop: loop) }.get()
    }

    /// - throws: as `init`.
    @discardableResult
    func callAsFunction<Result: Sendable>(_ work: @escaping @Sendable (Value) -> Result) async throws -> Result {
        try await self.loop.submit { work(self.value.value) }.get()
    }
}
