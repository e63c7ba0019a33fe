import Core
import Foundation
import NIOCore
import NIOPosix

/// All subscribers of a load test, on one event loop: connects them, brings them back, counts what they receive.
final class Crowd {
    /// How far the crowd is.
    struct State: Sendable {
        var open = 0
        /// Neither open nor opening.
        var away = 0
        /// Of these, those that the server will not have.
        var refused = 0
        /// Have all that was posted, as far as that is known.
        var complete = 0
        var events = 0
        var lastEventAt: UInt64 = 0
    }

    let loop: any EventLoop
    let plan: LoadPlan
    let target: LoadTarget
    private let run: UInt32
    private let subscribers: [Subscriber]
    private(set) var tally = Tally()
    /// Messages that each subscriber of a room must have; `nil` while they are being posted.
    private var goals: [Int]?
    private var queue: [Subscriber] = []
    private var opening = 0
    private var openingMax = 0
    private var isCut = true

    /// What a client does that was not told otherwise.
    private static let retryAfter = Duration.milliseconds(500)

    /// - parameter run: of the markers that count.
    init(plan: LoadPlan, world: LoadWorld, target: LoadTarget, run: UInt32, on loop: any EventLoop) {
        self.loop = loop
        self.plan = plan
        self.target = target
        self.run = run
        self.subscribers = (0..<plan.subscribers).map { number in
            let room = plan.room(ofSubscriber: number)
            return Subscriber(
                room: room, roomID: world.rooms[room], token: world.readers[plan.user(ofSubscriber: number)].token,
                device: plan.device(ofSubscriber: number), publishers: plan.window)
        }
    }

    var state: State {
        var state = State(events: self.tally.events, lastEventAt: self.tally.lastEventAt)
        for subscriber in self.subscribers {
            switch subscriber.phase {
            case .open: state.open += 1
            case .opening: break
            case .away: state.away += 1
            case .refused:
                state.away += 1
                state.refused += 1
            }
            if let goals, subscriber.check.received >= goals[subscriber.room] { state.complete += 1 }
        }
        return state
    }

    // MARK: Opening and closing

    /// Connects everybody.
    ///
    /// - parameters:
    ///   - window: connections that are opening at the same time.
    ///   - cursor: where to begin; `nil`: where each one is.
    func open(window: Int, from cursor: String? = nil) {
        if let cursor { for subscriber in self.subscribers { subscriber.cursor = Array(cursor.utf8) } }
        self.isCut = false
        self.openingMax = window
        self.queue = self.subscribers.reversed()
        self.openMore()
    }

    /// Ends all connections; nobody comes back before ``open(window:from:)``.
    func cut() {
        self.isCut = true
        self.queue.removeAll()
        for subscriber in self.subscribers { subscriber.disconnect?() }
    }

    private func openMore() {
        while self.opening < self.openingMax, let subscriber = self.queue.popLast() {
            self.opening += 1
            subscriber.phase = .opening
            subscriber.openingAt = NIODeadline.now().uptimeNanoseconds
            self.connect(subscriber)
        }
    }

    private func connect(_ subscriber: Subscriber) {
        let handler = NIOLoopBound<any ChannelInboundHandler>(
            self.plan.wire == .longPoll
                ? PollConnection(subscriber, of: self) : StreamConnection(subscriber, of: self), eventLoop: self.loop)
        ClientBootstrap(group: self.loop)
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(handler.value) }
            }
            .connect(to: self.target.address)
            .assumeIsolated()
            .whenComplete { result in
                switch result {
                case .success(let channel): subscriber.disconnect = { channel.close(promise: nil) }
                case .failure: self.ended(subscriber, "not connected", retryAfter: nil)
                }
                // The crowd may have been cut while the connection was being made.
                if self.isCut { subscriber.disconnect?() }
            }
    }

    /// The server has begun to serve the subscriber.
    func opened(_ subscriber: Subscriber) {
        guard subscriber.phase == .opening else { return }
        subscriber.phase = .open
        self.tally.opening.record(nanoseconds: NIODeadline.now().uptimeNanoseconds &- subscriber.openingAt)
        self.noteCompletion(of: subscriber, at: NIODeadline.now().uptimeNanoseconds)
        self.opening -= 1
        self.openMore()
    }

    /// A connection is gone. The subscriber comes back by itself, unless the crowd was cut.
    ///
    /// - parameter reason: counted, unless it was the crowd's own doing.
    func ended(_ subscriber: Subscriber, _ reason: String, retryAfter: Duration?, isFinal: Bool = false) {
        if subscriber.phase == .opening { self.opening -= 1 }
        subscriber.disconnect = nil
        subscriber.phase = isFinal ? .refused : .away
        defer { self.openMore() }
        guard !self.isCut else { return }
        self.tally.endings[reason, default: 0] += 1
        guard !isFinal else { return }
        // Whoever was cut off together does not come back together.
        let pause = (retryAfter ?? Self.retryAfter) * Double.random(in: 0.5...1.5)
        self.loop.assumeIsolated().scheduleTask(in: TimeAmount(pause)) {
            guard !self.isCut, subscriber.phase == .away else { return }
            self.queue.insert(subscriber, at: 0)
            self.openMore()
        }
    }

    // MARK: Receiving

    /// Counts all messages of this test in the bytes.
    func receive(_ bytes: UnsafeRawBufferPointer, by subscriber: Subscriber, at now: UInt64) {
        var rest = bytes
        while let offset = rest.offset(of: Marker.edge) {
            rest = UnsafeRawBufferPointer(rebasing: rest[offset...])
            guard let marker = Marker(rest), marker.run == self.run else {
                rest = UnsafeRawBufferPointer(rebasing: rest[1...])
                continue
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[Marker.byteCount...])
            guard subscriber.check.note(publisher: Int(marker.publisher), sequence: marker.sequence) else { continue }
            self.tally.events += 1
            self.tally.latency.record(nanoseconds: now &- min(now, marker.sentAt))
            self.tally.lastEventAt = now
            self.noteCompletion(of: subscriber, at: now)
        }
    }

    func countBytes(_ count: Int) { self.tally.bytes += count }

    func countLostPosition() { self.tally.lostPositions += 1 }

    private func noteCompletion(of subscriber: Subscriber, at now: UInt64) {
        guard let goals, subscriber.check.received == goals[subscriber.room] else { return }
        self.tally.catchUp.record(nanoseconds: now &- subscriber.openingAt)
    }

    /// - parameter goals: by room; `nil`: more is being posted.
    func expect(_ goals: [Int]?) { self.goals = goals }

    /// What was counted until now does not count.
    func resetTally() { self.tally = Tally() }

    /// Lets arriving events gather for so long before they are read, from now on.
    ///
    /// Blocks this event loop on purpose: each of its rounds then finds many events of each connection, and costs
    /// little more than for a single event.
    func gather(for time: Duration) {
        let microseconds = UInt32(clamping: time.milliseconds * 1000)
        guard microseconds > 0 else { return }
        // A task that is due at once would run again before the loop looks at its connections.
        self.loop.scheduleRepeatedTask(initialDelay: .zero, delay: .microseconds(100)) { _ in usleep(microseconds) }
    }

    /// - parameter posted: messages by room.
    func faults(posted: [Int]) -> Faults {
        var faults = Faults()
        var orders: [Int: UInt64] = [:]
        for subscriber in self.subscribers {
            let check = subscriber.check
            faults.missing += max(0, posted[subscriber.room] - check.received)
            faults.gaps += check.gaps
            faults.duplicates += check.duplicates
            faults.disorder += check.disorder
            guard check.received == posted[subscriber.room] else { continue }
            if orders[subscriber.room, default: check.order] != check.order { faults.differingOrders += 1 }
            orders[subscriber.room] = orders[subscriber.room] ?? check.order
        }
        return faults
    }
}
