import Core
import Hub
import Logging
import NIOCore

/// What all bridges of a process share.
struct BridgeContext: Sendable {
    let store: any EventStore
    let hub: Hub
    let statuses: BridgeStatuses
    let time: any TimeSource
    let ids: IDSource
    let settings: BridgeSettings
    let logger: Logger
}

/// Store operations whose results come back to one event loop, where whoever asked lives.
struct LoopStore {
    let store: any EventStore
    let eventLoop: any EventLoop

    /// Runs `body` in a write; `then` runs on the event loop. Writes are carried out in the order of the calls.
    func write<Value: Sendable>(
        _ body: @escaping @Sendable (any StoreWriter) throws -> Value,
        then: @escaping (Result<Value, any Error>) -> Void
    ) {
        self.store.write(body, completion: self.onLoop(then))
    }

    /// As ``write(_:then:)``, of a read.
    func read<Value: Sendable>(
        _ body: @escaping @Sendable (any StoreReader) throws -> Value,
        then: @escaping (Result<Value, any Error>) -> Void
    ) {
        self.store.read(body, completion: self.onLoop(then))
    }

    private func onLoop<Value: Sendable>(
        _ then: @escaping (Result<Value, any Error>) -> Void
    ) -> @Sendable (Result<Value, any Error>) -> Void {
        let bound = NIOLoopBound(then, eventLoop: self.eventLoop)
        let eventLoop = self.eventLoop
        return { result in eventLoop.execute { bound.value(result) } }
    }
}
