/// One session of ours in a remote room: when it dials, and what of its user's outbox goes when.
///
/// Decides, never acts. A message is done when the remote room shows to have it: by its echo, which any session of
/// ours may see, or in the history that a welcome brings. What was on its way when the session was cut and is not shown
/// goes again, behind nothing that came later. So each arrives once and in order, as long as the history reaches back
/// over the gap and the remote room keeps the mark in the metadata; else at least once.
package struct BridgeStateMachine: Sendable {
    /// Where the session stands.
    package enum State: Hashable, Sendable {
        /// Nobody needs it.
        case idle
        /// Dialling, up to the welcome.
        case connecting(until: Timestamp)
        case live(since: Timestamp)
        /// The next attempt is at that time.
        case waiting(until: Timestamp)
    }

    /// The clocks of a session and the sizes of its queue.
    package struct Settings: Hashable, Sendable {
        package var retryMin = Duration.milliseconds(500)
        package var retryMax = Duration.seconds(60)
        /// Name resolution, TCP, TLS, upgrade and welcome together.
        package var connectTimeout = Duration.seconds(15)
        /// From sending to the echo.
        package var echoTimeout = Duration.seconds(20)
        /// A session that lasted so long counts as a success: the next retry is quick again.
        package var stableAfter = Duration.seconds(10)
        /// How often the same message may go unanswered over a session that lives.
        package var unansweredMax = 3
        /// Sent and not yet echoed. Fewer than any history shows, so that a cut session finds them there.
        package var inFlightMax = 32
        /// What is held in memory; the rest stays in the database.
        package var queueMax = 128

        package init() {}
    }

    /// What is to be done about an input, in this order.
    package enum Action: Hashable, Sendable {
        case connect
        /// Say goodbye, or give up dialling.
        case disconnect
        /// In this order.
        case send([OutgoingMessage])
        /// The remote room has these: take them from the outbox.
        case complete([Int64])
        /// The remote room does not take these: take them from the outbox and say so.
        case giveUp([Int64])
        /// Answer with ``loaded(_:isAll:at:)``: what the outbox has of this user behind this seq.
        case load(after: Int64)
    }

    private struct Item {
        let message: OutgoingMessage
        var sentAt: Timestamp?
        var unanswered = 0
    }

    package private(set) var state = State.idle
    private let settings: Settings
    private var isWanted = false
    /// Attempts since the last session that lasted.
    private var attempts = 0
    /// In order; those in flight come first.
    private var items: [Item] = []
    /// The highest seq that was ever in ``items``.
    private var lastSeq: Int64 = 0
    /// Whether the outbox has nothing behind ``lastSeq``.
    private var isComplete = false
    private var isLoading = false
    /// Something was queued while a load was on its way.
    private var missedSome = false
    /// What the last welcome's history showed.
    private var shown: Set<String> = []

    package init(_ settings: Settings = Settings()) { self.settings = settings }

    /// Whether it still cares for a message.
    package func holds(_ mark: String) -> Bool { self.items.contains { $0.message.mark == mark } }

    /// Whether the outbox has nothing more for this session, as far as is known.
    package var isDrained: Bool { self.items.isEmpty && self.isComplete }

    package var isLive: Bool { if case .live = self.state { true } else { false } }

    /// When ``deadlineReached(jitter:at:)`` has something to do.
    package var deadline: Timestamp? {
        switch self.state {
        case .idle: nil
        case .connecting(let until), .waiting(let until): until
        case .live: self.items.first?.sentAt?.advanced(by: self.settings.echoTimeout)
        }
    }

    // MARK: Dialling

    /// Somebody is active, or has something to say.
    package mutating func becameWanted(at now: Timestamp) -> [Action] {
        guard !self.isWanted else { return [] }
        self.isWanted = true
        return self.connect(at: now) + self.loadIfRoom()
    }

    /// Nobody needs the session any more. The outbox stays as it is.
    package mutating func becameUnwanted() -> [Action] {
        guard self.isWanted else { return [] }
        self.isWanted = false
        let wasOpen = self.state != .idle
        self.state = .idle
        self.recall()
        return wasOpen ? [.disconnect] : []
    }

    /// The room welcomed the session.
    ///
    /// - parameter marks: those of all messages that its history shows.
    package mutating func welcomed(showing marks: Set<String>, at now: Timestamp) -> [Action] {
        guard case .connecting = self.state else { return [] }
        self.state = .live(since: now)
        self.shown = marks
        return self.takeShown() + self.fill(at: now) + self.loadIfRoom()
    }

    /// The connection is gone, or could not be made.
    ///
    /// - parameter jitter: 0 to 1, so that the sessions of a bridge do not return as a herd.
    package mutating func disconnected(jitter: Double, at now: Timestamp) -> [Action] {
        guard self.isWanted, self.state != .idle else { return [] }
        if case .waiting = self.state { return [] }
        if case .live(let since) = self.state, now.duration(since: since) >= self.settings.stableAfter {
            self.attempts = 0
        }
        self.recall()
        // 2^20 times the minimum is above any maximum.
        let backoff = min(self.settings.retryMin * (1 << min(self.attempts, 20)), self.settings.retryMax)
        self.attempts += 1
        self.state = .waiting(until: now.advanced(by: backoff * (0.5 + 0.5 * min(max(jitter, 0), 1))))
        return []
    }

    /// Time has passed. Asked too early, it does nothing.
    package mutating func deadlineReached(jitter: Double, at now: Timestamp) -> [Action] {
        guard let deadline, deadline <= now else { return [] }
        switch self.state {
        case .idle: return []
        case .waiting: return self.connect(at: now)
        case .connecting: return [.disconnect] + self.disconnected(jitter: jitter, at: now)
        case .live:
            // Nothing came back, though the connection answers pings: look into the history, by dialling anew.
            var refused: [Action] = []
            self.items[0].unanswered += 1
            if self.items[0].unanswered >= self.settings.unansweredMax {
                refused = [.giveUp([self.items.removeFirst().message.seq])]
            }
            return refused + [.disconnect] + self.disconnected(jitter: jitter, at: now) + self.loadIfRoom()
        }
    }

    private mutating func connect(at now: Timestamp) -> [Action] {
        self.state = .connecting(until: now.advanced(by: self.settings.connectTimeout))
        return [.connect]
    }

    // MARK: The outbox

    /// A message was written to the outbox, behind all before it.
    package mutating func queued(_ message: OutgoingMessage, at now: Timestamp) -> [Action] {
        guard message.seq > self.lastSeq else { return [] }
        guard self.isComplete, self.items.count < self.settings.queueMax else {
            self.isComplete = false
            self.missedSome = self.isLoading
            return self.loadIfRoom()
        }
        self.append(message)
        return self.fill(at: now)
    }

    /// - parameters:
    ///   - messages: in order, behind the seq that was asked for.
    ///   - isAll: whether there were no more.
    package mutating func loaded(_ messages: [OutgoingMessage], isAll: Bool, at now: Timestamp) -> [Action] {
        self.isLoading = false
        self.isComplete = isAll && !self.missedSome
        self.missedSome = false
        for message in messages where message.seq > self.lastSeq { self.append(message) }
        return self.takeShown() + self.fill(at: now) + self.loadIfRoom()
    }

    /// A session of ours saw the message in the remote room.
    package mutating func echoed(_ mark: String, at now: Timestamp) -> [Action] {
        guard let index = self.items.firstIndex(where: { $0.message.mark == mark }) else { return [] }
        return self.settle(index, at: now)
    }

    /// The session's own room broadcast a message in our user's name that carries no mark: it does not keep metadata.
    package mutating func echoedUnmarked(_ content: String, at now: Timestamp) -> [Action] {
        let index = self.items.firstIndex { $0.sentAt != nil && $0.message.content == content }
        return index.map { self.settle($0, at: now) } ?? []
    }

    /// The room handles a session's messages in their order: what it passed over, it has refused.
    private mutating func settle(_ index: Int, at now: Timestamp) -> [Action] {
        let refused = self.items[..<index].map(\.message.seq)
        let done = self.items[index].message.seq
        self.items.removeFirst(index + 1)
        let refusal = refused.isEmpty ? [] : [Action.giveUp(refused)]
        return refusal + [.complete([done])] + self.fill(at: now) + self.loadIfRoom()
    }

    /// What the welcome's history shows is done, and with it what went out before it over the same session.
    private mutating func takeShown() -> [Action] {
        guard let last = self.items.lastIndex(where: { self.shown.contains($0.message.mark) }) else { return [] }
        let done = self.items[...last].map(\.message.seq)
        self.items.removeFirst(last + 1)
        return [.complete(done)]
    }

    private mutating func append(_ message: OutgoingMessage) {
        self.items.append(Item(message: message))
        self.lastSeq = message.seq
    }

    private mutating func fill(at now: Timestamp) -> [Action] {
        guard self.isLive else { return [] }
        var sent: [OutgoingMessage] = []
        for index in self.items.indices.prefix(self.settings.inFlightMax) where self.items[index].sentAt == nil {
            self.items[index].sentAt = now
            sent.append(self.items[index].message)
        }
        return sent.isEmpty ? [] : [.send(sent)]
    }

    /// Nothing is in flight any more.
    private mutating func recall() {
        self.shown = []
        for index in self.items.indices { self.items[index].sentAt = nil }
    }

    private mutating func loadIfRoom() -> [Action] {
        guard self.isWanted, !self.isComplete, !self.isLoading, self.items.count <= self.settings.queueMax / 2 else {
            return []
        }
        self.isLoading = true
        return [.load(after: self.lastSeq)]
    }
}

/// A message on its way to a remote room.
package struct OutgoingMessage: Hashable, Sendable {
    /// Of the outbox entry.
    package let seq: Int64
    /// By which the remote room shows to have it; see ``BridgeMark/id``.
    package let mark: String
    package let content: String
    /// The metadata with the mark.
    package let metadata: JSONValue

    package init(seq: Int64, mark: String, content: String, metadata: JSONValue) {
        self.seq = seq
        self.mark = mark
        self.content = content
        self.metadata = metadata
    }
}
