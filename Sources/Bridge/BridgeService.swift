package import Core
package import Hub
package import Logging
package import NIOCore
import ServiceLifecycle
import Synchronization
import WebSocketWire

/// Keeps the bridges that the store tells of, each on an event loop of its own choosing, and tells them what is
/// committed in their rooms.
///
/// Bridges are added, changed and removed by writes, as admins do: this hears of it from the log, as it does of all.
package final class BridgeService: Service {
    private let context: BridgeContext
    private let group: any EventLoopGroup
    private let running = Mutex<[BridgeName: Running]>([:])

    /// A bridge at work.
    private struct Running: Sendable {
        let room: RoomID
        let eventLoop: any EventLoop
        let bridged: NIOLoopBound<BridgedRoom>
    }

    /// - parameter statuses: where admins and metrics read how bridges do.
    package init(
        store: any EventStore, hub: Hub, statuses: BridgeStatuses, on group: any EventLoopGroup, time: any TimeSource,
        ids: IDSource, settings: BridgeSettings, logger: Logger
    ) {
        self.context = BridgeContext(
            store: store, hub: hub, statuses: statuses, time: time, ids: ids, settings: settings, logger: logger)
        self.group = group
    }

    /// Runs the bridges until the graceful shutdown; then says goodbye over there.
    ///
    /// - throws: the store's error when it cannot be followed.
    package func run() async throws {
        let (changes, continuation) = AsyncStream.makeStream(of: BridgeName.self)
        _ = try await self.context.store.follow { [self] committed in
            for event in committed.events {
                if event.type == .bridgeChanged {
                    guard let data = try? JSON.decode(BridgeChangedPayload.self, from: event.data) else { continue }
                    continuation.yield(data.bridge)
                } else {
                    self.tell(event)
                }
            }
        }
        self.context.hub.followEphemeral { [self] event in
            if event.type == .typing { self.tell(event) }
        }
        for bridge in try await self.context.store.read({ try $0.bridges(after: nil, limit: Limits.bridgesMax) }) {
            continuation.yield(bridge.name)
        }
        await withGracefulShutdownHandler {
            for await name in changes { await self.renew(name) }
        } onGracefulShutdown: {
            continuation.finish()
        }
        await self.stopAll()
    }

    /// Stops a bridge, and starts it again as the store has it now.
    private func renew(_ name: BridgeName) async {
        await self.stop(name)
        let bridge: Bridge?
        do {
            bridge = try await self.context.store.read { try $0.bridge(name) }
        } catch {
            self.context.logger.error(
                "bridge cannot be read", metadata: ["bridge": "\(name)", "error": "\(error)"])
            return
        }
        guard let bridge else {
            self.context.statuses[name] = nil
            return
        }
        guard !bridge.isPaused else {
            self.context.statuses[name] = self.context.statuses.anew(name, .paused, since: self.context.time.now)
            return
        }
        let (eventLoop, context) = (self.group.next(), self.context)
        let started: Void? = try? await eventLoop.submit {
            let room = NIOLoopBound(BridgedRoom(bridge, context, on: eventLoop), eventLoop: eventLoop)
            self.running.withLock {
                $0[name] = Running(room: bridge.room, eventLoop: eventLoop, bridged: room)
            }
            room.value.start()
        }.get()
        if started == nil { self.context.logger.error("bridge cannot start", metadata: ["bridge": "\(name)"]) }
    }

    private func stop(_ name: BridgeName) async {
        guard let running = self.running.withLock({ $0.removeValue(forKey: name) }) else { return }
        let stopped = running.eventLoop.makePromise(of: Void.self)
        running.eventLoop.execute {
            running.bridged.value.stop(WebSocketClose(.goingAway, "the bridge stops")) { stopped.succeed() }
        }
        try? await stopped.futureResult.get()
    }

    private func stopAll() async {
        for name in self.running.withLock({ Array($0.keys) }) { await self.stop(name) }
    }

    /// Hands an event to the bridges that it concerns. Called in the order of the log; must not wait.
    private func tell(_ event: Event) {
        let concerned = self.running.withLock { running in
            running.values.filter { event.room == $0.room || event.audiences.contains(.room($0.room)) }
        }
        for running in concerned {
            running.eventLoop.execute {
                if event.type == .typing {
                    if let user = event.actor { running.bridged.value.typed(user) }
                } else {
                    running.bridged.value.committed(event)
                }
            }
        }
    }
}
