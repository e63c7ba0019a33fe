package import Core
package import Logging
package import NIOCore
import ServiceLifecycle
import Synchronization

/// Carries committed events to those who read: one fan-out table on each event loop, fed by the store's tail.
///
/// It learns of events from the store alone, never from a request handler, so a store that several processes share
/// needs no other hub.
package final class Hub: Service {
    package let registry: Registry
    package let settings: HubSettings
    /// Signals that were written to their readers.
    package let deliveries: Deliveries
    private let store: any EventStore
    private let time: any TimeSource
    private let logger: Logger
    let loops: [Loop]
    /// The log's incarnation, the first part of every cursor.
    package let epoch: String
    private let isDraining = Atomic(false)
    private let ephemeralFollowers = Mutex<[@Sendable (Event) -> Void]>([])
    /// Of this process, in ``ConnectionID``.
    let mark = ConnectionID.randomMark()

    /// One event loop with its half of the hub, and what waits for its next tick.
    final class Loop: Sendable {
        let eventLoop: any EventLoop
        let hub: NIOLoopBound<LoopHub>
        let waiting = Mutex(Waiting())

        struct Waiting {
            var batches: [CommittedBatch] = []
            var isScheduled = false
            /// Not before this; see ``tick()``.
            var earliest = NIODeadline.uptimeNanoseconds(0)
        }

        init(eventLoop: any EventLoop, hub: NIOLoopBound<LoopHub>) {
            self.eventLoop = eventLoop
            self.hub = hub
        }

        /// Hands a commit to the loop; commits that come before its next tick share that tick.
        func post(_ batch: CommittedBatch) {
            let earliest = self.waiting.withLock { waiting -> NIODeadline? in
                waiting.batches.append(batch)
                defer { waiting.isScheduled = true }
                return waiting.isScheduled ? nil : waiting.earliest
            }
            guard let earliest else { return }
            if earliest > self.eventLoop.now {
                self.eventLoop.scheduleTask(deadline: earliest) { self.tick() }
            } else {
                self.eventLoop.execute { self.tick() }
            }
        }

        /// Fans out what was committed since the last tick. A tick that took long is followed by a pause as long: at
        /// full rate requests are read meanwhile and commits gather, so that each reader gets more with each write.
        private func tick() {
            let start = self.eventLoop.now
            let batches = self.waiting.withLock { waiting in
                defer { (waiting.batches, waiting.isScheduled) = ([], false) }
                return waiting.batches
            }
            self.hub.value.advance(batches)
            let end = self.eventLoop.now
            let earliest = end + min(end - start, Self.pauseMax)
            self.waiting.withLock { $0.earliest = earliest }
        }

        /// However many readers there are, an event waits no longer than this for the next tick.
        private static let pauseMax = TimeAmount.milliseconds(20)
    }

    /// Where a commit goes until the loops exist, and afterwards.
    private final class Inbox: Sendable {
        private struct State {
            var hub: Hub?
            var early: [CommittedChanges] = []
        }
        private let state = Mutex(State())

        func receive(_ changes: CommittedChanges) {
            let hub = self.state.withLock { state in
                if state.hub == nil { state.early.append(changes) }
                return state.hub
            }
            hub?.publish(changes)
        }

        func connect(_ hub: Hub) {
            self.state.withLock { state in
                for changes in state.early { hub.publish(changes) }
                state = State(hub: hub)
            }
        }
    }

    /// Begins to follow the store.
    ///
    /// - throws: the store's error.
    package static func following(
        _ store: any EventStore, on group: any EventLoopGroup, settings: HubSettings, time: any TimeSource,
        logger: Logger
    ) async throws -> Hub {
        let inbox = Inbox()
        let deliveries = Deliveries()
        let bounds = try await store.follow { inbox.receive($0) }
        var loops: [Loop] = []
        for eventLoop in group.makeIterator() {
            loops.append(
                try await eventLoop.submit {
                    let hub = LoopHub(
                        eventLoop: eventLoop, bounds: bounds, settings: settings, store: store, time: time,
                        deliveries: deliveries, logger: logger)
                    return Loop(eventLoop: eventLoop, hub: NIOLoopBound(hub, eventLoop: eventLoop))
                }.get())
        }
        let hub = Hub(
            store: store, loops: loops, epoch: bounds.epoch, settings: settings, time: time, deliveries: deliveries,
            logger: logger)
        inbox.connect(hub)
        return hub
    }

    private init(
        store: any EventStore, loops: [Loop], epoch: String, settings: HubSettings, time: any TimeSource,
        deliveries: Deliveries, logger: Logger
    ) {
        self.store = store
        self.loops = loops
        self.epoch = epoch
        self.settings = settings
        self.time = time
        self.deliveries = deliveries
        self.logger = logger
        self.registry = Registry(settings: settings, time: time)
    }

    // MARK: Commits

    private func publish(_ changes: CommittedChanges) {
        let events = changes.events.map { LoggedEvent($0, epoch: self.epoch) }
        let batch = CommittedBatch(
            events: events, rewritten: changes.rewritten.map { (seq: $0.key, data: $0.value) }, tail: changes.tail)
        for loop in self.loops { loop.post(batch) }
    }

    /// Sends an event that is not in the log (`typing`) to those who read at this moment.
    package func publishEphemeral(_ event: Event) {
        let logged = LoggedEvent(event, epoch: self.epoch)
        for loop in self.loops {
            loop.eventLoop.execute { loop.hub.value.publishEphemeral(logged) }
        }
        for follower in self.ephemeralFollowers.withLock({ $0 }) { follower(event) }
    }

    /// Registers for what ``publishEphemeral(_:)`` sends; `consume` must return quickly.
    package func followEphemeral(_ consume: @escaping @Sendable (Event) -> Void) {
        self.ephemeralFollowers.withLock { $0.append(consume) }
    }

    // MARK: Streams

    /// Takes one of the bounded places of the device and the user; an older stream of the same ticket ends with
    /// `replaced`.
    ///
    /// The place is given back when the last reference to it goes.
    /// - parameter address: the other end of its connection.
    /// - throws: ``Problem`` `too-many-streams`.
    package func reserve(
        _ subscription: Subscription, from address: SocketAddress? = nil, on eventLoop: any EventLoop
    ) throws(Problem) -> Registry.Reservation {
        let index = self.loops.firstIndex { $0.eventLoop === eventLoop } ?? 0
        let (reservation, replaced) = try self.registry.reserve(subscription, from: address, loop: index)
        if let replaced { self.end(replaced.id, on: replaced.loop, .replaced) }
        return reservation
    }

    func end(_ id: Int, on loop: Int, _ reason: StreamEndReason) {
        let loop = self.loops[loop]
        loop.eventLoop.execute {
            if let subscriber = loop.hub.value.subscribers[id] { loop.hub.value.end(subscriber, reason) }
        }
    }

    /// Begins a stream on its connection: `stream.ready`, what was missed, then what comes.
    ///
    /// Must be called on the sink's event loop. Whoever owns the sink calls ``close(_:on:)`` when its connection is
    /// gone.
    /// - returns: `false` if the admission is too old to begin with; admit again.
    package func begin(
        _ admission: Admission, _ reservation: Registry.Reservation, wire: Wire, sink: any StreamSink,
        on eventLoop: any EventLoop
    ) -> Bool {
        guard let hub = self.loopHub(of: eventLoop) else { return false }
        let lifetime = self.settings.rotateAfter.jittered(by: self.settings.jitter)
        let subscriber = Subscriber(
            id: reservation.id, admission: admission, profile: hub.profile(for: admission.subscription),
            delivery: .stream(wire, sink), rotatesAt: wire.rotates ? self.time.now.advanced(by: lifetime) : nil)
        guard hub.add(subscriber, admission) else { return false }
        if self.registry.isReplaced(reservation.id) { hub.end(subscriber, .replaced) }
        if hub.isDraining { hub.end(subscriber, .drain) }
        return true
    }

    /// The stream's connection is gone.
    package func close(_ reservation: Registry.Reservation, on eventLoop: any EventLoop) {
        self.loopHub(of: eventLoop)?.remove(reservation.id)
    }

    /// The stream's connection takes more again. On its event loop.
    package func becameWritable(_ reservation: Registry.Reservation, on eventLoop: any EventLoop) {
        self.loopHub(of: eventLoop)?.becameWritable(reservation.id)
    }

    /// What a refused stream is told in place of events: `retry:` and `stream.end`.
    ///
    /// - parameter cursor: where the client resumes; it loses nothing by being refused.
    package func refusal(_ reason: StreamEndReason, cursor: Cursor, wire: Wire) -> ByteBuffer {
        let base = reason == .limit ? self.settings.retryAfterLimit : self.settings.retryAfter
        return ControlEvent.end(reason, cursor: cursor, retryAfter: base.jittered(by: 0.5)).bytes(
            for: wire, at: self.time.now)
    }

    // MARK: Polls

    /// Waits until there is something behind the admission's position, at most `timeout`.
    ///
    /// - parameter limit: the most events that one answer holds.
    package func wait(
        _ admission: Admission, _ reservation: Registry.Reservation, limit: Int, timeout: Duration,
        on eventLoop: any EventLoop
    ) -> EventLoopFuture<PollResult> {
        let promise = eventLoop.makePromise(of: PollResult.self)
        eventLoop.execute {
            guard let hub = self.loopHub(of: eventLoop) else { return promise.succeed(.reread) }
            let waiter = PollWaiter(id: reservation.id, limit: limit) { promise.succeed($0) }
            let subscriber = Subscriber(
                id: reservation.id, admission: admission, profile: hub.profile(for: admission.subscription),
                delivery: .poll(waiter), rotatesAt: nil)
            guard hub.add(subscriber, admission) else { return promise.succeed(.reread) }
            // It may have been answered already by what came since the admission.
            guard subscriber.state != .ended else { return }
            let bound = NIOLoopBound((hub, subscriber, waiter), eventLoop: eventLoop)
            waiter.timeout = eventLoop.scheduleTask(in: .milliseconds(timeout.milliseconds)) {
                let (hub, subscriber, waiter) = bound.value
                guard subscriber.state != .ended else { return }
                hub.answer(waiter, of: subscriber, with: [])
            }
        }
        return promise.futureResult
    }

    /// Keeps what a poll was admitted with for the next polls of its connection. On its event loop.
    ///
    /// - returns: `nil` if memory cannot tell what happened since the admission.
    package func rest(
        _ admission: Admission, from address: SocketAddress? = nil, on eventLoop: any EventLoop
    ) -> PollReader? {
        guard let index = self.loops.firstIndex(where: { $0.eventLoop === eventLoop }),
            let subscriber = self.loops[index].hub.value.rest(admission)
        else { return nil }
        let place = self.registry.place(for: admission.subscription)
        return PollReader(subscriber, hub: self.loops[index].hub.value) { [registry] () throws(Problem) in
            try registry.reserve(admission.subscription, from: address, loop: index, at: place).0
        }
    }

    /// Ends a poll's wait whose client is gone.
    package func cancelWait(_ reservation: Registry.Reservation, on eventLoop: any EventLoop) {
        eventLoop.execute {
            guard let hub = self.loopHub(of: eventLoop), let subscriber = hub.subscribers[reservation.id] else {
                return
            }
            hub.end(subscriber, .drain)
        }
    }

    // MARK: Running

    /// Keeps the seconds until the graceful shutdown, then ends all streams.
    package func run() async throws {
        let tasks = self.loops.map { loop in
            loop.eventLoop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { _ in
                loop.hub.value.secondPassed()
            }
        }
        try? await gracefulShutdown()
        self.drain()
        for task in tasks { task.cancel() }
    }

    /// Ends all streams and waiting polls with `drain`, spread over a few seconds. May be called more than once.
    package func drain() {
        guard !self.isDraining.exchange(true, ordering: .relaxed) else { return }
        for loop in self.loops {
            loop.eventLoop.execute { loop.hub.value.drain() }
        }
    }

    private func loopHub(of eventLoop: any EventLoop) -> LoopHub? {
        self.loops.first { $0.eventLoop === eventLoop }?.hub.value
    }
}
