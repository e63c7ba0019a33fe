import Core
import Logging
import NIOCore

/// The hub's half on one event loop: its readers by audience, and the fan-out of what was committed since the last
/// tick.
///
/// All readers of a tick that get the same events on the same wire share one buffer; each gets one write and one flush.
final class LoopHub {
    let eventLoop: any EventLoop
    let settings: HubSettings
    let store: any EventStore
    let time: any TimeSource
    let deliveries: Deliveries
    let logger: Logger
    let epoch: String

    /// All events up to here were processed.
    private(set) var position: Int64
    private(set) var recent: RecentTail
    private(set) var subscribers: [Int: Subscriber] = [:]
    private var table: [Audience: [Subscriber]] = [:]
    private var profiles: [Profile.Key: Profile] = [:]

    /// Nothing begins any more, and what ends in its turn ends by `drain`.
    var isDraining = false
    /// Turns of the once-a-second timer.
    var seconds: Int64 = 0
    /// Readers that were taken in between two polls so far, as a number of the negative ids that they have.
    var restingCount = 0

    // The current tick.
    private var tick = TickTree()
    private var touched: [Subscriber] = []
    private var ending: [(Subscriber, StreamEndReason)] = []

    init(
        eventLoop: any EventLoop, bounds: LogBounds, settings: HubSettings, store: any EventStore,
        time: any TimeSource, deliveries: Deliveries, logger: Logger
    ) {
        self.eventLoop = eventLoop
        self.settings = settings
        self.store = store
        self.time = time
        self.deliveries = deliveries
        self.logger = logger
        self.epoch = bounds.epoch
        self.position = bounds.tail
        self.recent = RecentTail(
            after: bounds.tail, eventsMax: settings.recentEventsMax, weightMax: settings.recentBytesMax)
    }

    func cursor(_ seq: Int64) -> Cursor { Cursor(epoch: self.epoch, seq: seq) }

    // MARK: Readers come and go

    /// Takes in a reader whose snapshot may be older or newer than the loop's position, and brings it up to date.
    ///
    /// - returns: `false` if memory cannot tell what happened to its memberships since its snapshot; ask again.
    func add(_ subscriber: Subscriber, _ admission: Admission) -> Bool {
        let snapshot = subscriber.visibility
        guard self.followMemberships(of: subscriber) else { return false }
        self.subscribers[subscriber.id] = subscriber
        for audience in subscriber.audiences { self.table[audience, default: []].append(subscriber) }
        if subscriber.stream != nil { self.begin(subscriber, admission) }
        let hasLostRoom = subscriber.scopeRoom.map {
            subscriber.visibility.rooms[$0] == nil && snapshot.rooms[$0] != nil
        }
        if hasLostRoom == true || self.wasRevoked(subscriber) {
            self.end(subscriber, .revoked)
            return true
        }
        if subscriber.position < self.position, subscriber.state == .live {
            subscriber.state = .behind
            self.catchUp(subscriber)
        }
        return true
    }

    func profile(for subscription: Subscription) -> Profile {
        let key = Profile.Key(scope: subscription.scope, filter: subscription.filter)
        if let profile = self.profiles[key] { return profile }
        // Filters are the clients' choice, so this table is bounded; a profile that is not shared only costs time.
        if self.profiles.count >= 4096 { self.profiles.removeAll() }
        let profile = Profile(scope: subscription.scope, filter: subscription.filter)
        self.profiles[key] = profile
        return profile
    }

    /// Forgets a reader; its connection is somebody else's business.
    func remove(_ id: Int) {
        guard let subscriber = self.subscribers.removeValue(forKey: id) else { return }
        subscriber.state = .ended
        for audience in subscriber.audiences { self.removeFromTable(subscriber, audience) }
    }

    private func removeFromTable(_ subscriber: Subscriber, _ audience: Audience) {
        guard var readers = self.table.removeValue(forKey: audience) else { return }
        if let index = readers.firstIndex(where: { $0 === subscriber }) {
            readers.swapAt(index, readers.endIndex - 1)
            readers.removeLast()
        }
        if !readers.isEmpty { self.table[audience] = readers }
    }

    /// Applies the joinings and leavings between the reader's snapshot and the loop's position.
    private func followMemberships(of subscriber: Subscriber) -> Bool {
        guard subscriber.snapshotSeq < self.position else { return true }
        guard self.recent.reaches(behind: subscriber.snapshotSeq) else { return false }
        for logged in self.recent.events(behind: subscriber.snapshotSeq) {
            guard let change = MembershipChange(logged.event), change.user == subscriber.subscription.user else {
                continue
            }
            subscriber.visibility.rooms[change.room] = change.joinedSeq
        }
        return true
    }

    /// Whether the reader's session ended between its snapshot and the loop's position, which memory reaches back to.
    private func wasRevoked(_ subscriber: Subscriber) -> Bool {
        self.recent.events(behind: subscriber.snapshotSeq).contains { logged in
            logged.event.type == .sessionRevoked
                && SessionRevokedPayload(logged.event)?.session == subscriber.subscription.device.session
        }
    }

    // MARK: A tick

    /// Processes what was committed, in order, and writes it: one write and one flush a reader.
    func advance(_ batches: [CommittedBatch]) {
        let before = self.position
        for batch in batches {
            for logged in batch.events { self.process(logged) }
            // An event that its own commit deleted again is in the tail, and nowhere else.
            self.position = max(self.position, batch.tail)
            for (seq, data) in batch.rewritten { self.recent.rewrite(seq, data: data, epoch: self.epoch) }
        }
        self.flush(positionBefore: before)
        let ending = self.ending
        self.ending.removeAll(keepingCapacity: true)
        for (subscriber, reason) in ending { self.end(subscriber, reason) }
    }

    /// Lets go of recent events that are old; called once every `seconds`.
    func ageRecent(every seconds: Int64) {
        self.recent.age(turnsMax: Int(max(1, self.settings.recentKept.components.seconds / seconds)))
    }

    private func process(_ logged: LoggedEvent) {
        let event = logged.event
        guard event.seq > self.position else { return }
        self.recent.append(logged)
        let change = MembershipChange(event)
        if let change, let joinedSeq = change.joinedSeq { self.join(change, at: joinedSeq) }
        self.mark(logged)
        if let change, change.joinedSeq == nil { self.leave(change, at: event.seq) }
        if event.type == .sessionRevoked, let session = SessionRevokedPayload(event)?.session {
            self.ending += self.subscribers.values.filter { $0.subscription.device.session == session }
                .map { ($0, .revoked) }
        }
        self.position = event.seq
    }

    private func mark(_ logged: LoggedEvent) {
        let event = logged.event
        let index = self.tick.nextEvent
        var isWanted = false
        for audience in event.audiences {
            guard let readers = self.table[audience] else { continue }
            for subscriber in readers
            where subscriber.state == .live && subscriber.lastMarkedSeq < event.seq && subscriber.position < event.seq
                && subscriber.profile.passes(event)
                // The table knows memberships of the reader's snapshot, which may be ahead of this event.
                && (event.seq > subscriber.snapshotSeq || subscriber.visibility.sees(event))
            {
                subscriber.lastMarkedSeq = event.seq
                if subscriber.node == TickTree.root { self.touched.append(subscriber) }
                subscriber.node = self.tick.child(of: subscriber.node, by: index)
                isWanted = true
            }
        }
        if isWanted { self.tick.append(logged) }
    }

    private func join(_ change: MembershipChange, at seq: Int64) {
        // What a reader's snapshot had seen is in its visibility.
        for subscriber in self.table[.user(change.user)] ?? [] where subscriber.snapshotSeq < seq {
            let isNew = subscriber.visibility.rooms.updateValue(seq, forKey: change.room) == nil
            if isNew, subscriber.follows(change.room) {
                self.table[.room(change.room), default: []].append(subscriber)
            }
        }
    }

    private func leave(_ change: MembershipChange, at seq: Int64) {
        for subscriber in self.table[.user(change.user)] ?? []
        where subscriber.snapshotSeq < seq && subscriber.visibility.rooms.removeValue(forKey: change.room) != nil {
            self.removeFromTable(subscriber, .room(change.room))
            if subscriber.scopeRoom == change.room { self.ending.append((subscriber, .revoked)) }
        }
    }

    private func flush(positionBefore before: Int64) {
        for subscriber in self.touched {
            let node = subscriber.node
            subscriber.node = TickTree.root
            guard subscriber.state == .live else { continue }
            if let stream = subscriber.stream {
                if stream.sink.isWritable {
                    stream.sink.write(
                        self.tick.knownBytes(to: node, in: stream.slot) ?? self.bytes(to: node, for: subscriber))
                } else {
                    subscriber.position = max(before, subscriber.position)
                    subscriber.state = .behind
                }
            } else if case .poll(let waiter) = subscriber.delivery {
                let page =
                    self.tick.knownPage(to: node, limit: waiter.limit)
                    ?? self.page(of: self.tick.events(to: node), limit: waiter.limit, for: subscriber)
                // A reader whose snapshot is ahead of the loop has a cursor of its own.
                if subscriber.position <= self.position { self.tick.keep(page, to: node, limit: waiter.limit) }
                self.complete(waiter, of: subscriber, .events(page))
            }
        }
        self.touched.removeAll(keepingCapacity: true)
        self.tick.removeAll()
    }

    private func bytes(to node: Int32, for subscriber: Subscriber) -> ByteBuffer {
        guard case .stream(let wire, let sink) = subscriber.delivery else { return ByteBuffer() }
        // A signal is for one device, and whoever else comes to these bytes reads as the same.
        self.deliveries.note(self.tick.events(to: node).lazy.map(\.event))
        return self.tick.bytes(to: node, for: wire, isChunked: sink.isChunked)
    }

    /// Sends an event that is not in the log to those who read at this moment.
    func publishEphemeral(_ logged: LoggedEvent) {
        for audience in logged.event.audiences {
            for subscriber in self.table[audience] ?? [] where subscriber.state == .live {
                guard subscriber.profile.passes(logged.event) else { continue }
                switch subscriber.delivery {
                case .stream(let wire, let sink):
                    let isOwn = !wire.echoesTyping && logged.event.actor == subscriber.subscription.user
                    if sink.isWritable, !isOwn { sink.write(logged.frame(for: wire), chunkedBySelf: sink.isChunked) }
                case .poll(let waiter):
                    self.complete(
                        waiter, of: subscriber,
                        .events(
                            PollPage(
                                [], ephemeral: [logged],
                                cursor: self.cursor(max(self.position, subscriber.position)), hasMore: false)))
                case .none:
                    break
                }
            }
        }
    }
}

/// What one commit brought, with the events encoded for all loops.
struct CommittedBatch: Sendable {
    let events: [LoggedEvent]
    /// The new data of events that were redacted; `nil` for those that were deleted.
    let rewritten: [(seq: Int64, data: String?)]
    /// The log's newest seq after it.
    let tail: Int64
}

extension StreamSink {
    /// Writes frames that no other reader shares.
    func write(_ frames: ByteBuffer, chunkedBySelf: Bool) {
        self.write(chunkedBySelf ? ByteBuffer(joining: [frames], isChunked: true) : frames)
    }
}

/// What a `member.joined` or `member.left` event means for visibility. The subject is the event's user audience.
struct MembershipChange {
    let user: UserID
    let room: RoomID
    /// From where the room is visible; `nil` when the membership ended.
    let joinedSeq: Int64?

    init?(_ event: Event) {
        guard event.type == .memberJoined || event.type == .memberLeft, let room = event.room else { return nil }
        for case .user(let user) in event.audiences {
            (self.user, self.room) = (user, room)
            self.joinedSeq = event.type == .memberJoined ? event.seq : nil
            return
        }
        return nil
    }
}

extension SessionRevokedPayload {
    /// `nil` for data of another shape.
    init?(_ event: Event) {
        guard let payload = try? JSON.decode(SessionRevokedPayload.self, from: event.data) else { return nil }
        self = payload
    }
}
