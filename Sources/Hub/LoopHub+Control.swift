import Core
import NIOCore

/// What the server itself says on a stream; not in the log.
enum ControlEvent {
    case ready(cursor: Cursor, resumed: Bool, heartbeatSeconds: Int64, user: UserID, device: DeviceID)
    case gap(requested: Cursor, cursor: Cursor)
    case heartbeat(cursor: Cursor)
    /// `cursor`: up to where the reader was served.
    case end(StreamEndReason, cursor: Cursor, retryAfter: Duration)

    var type: String {
        switch self {
        case .ready: "stream.ready"
        case .gap: "stream.gap"
        case .heartbeat: "stream.heartbeat"
        case .end: "stream.end"
        }
    }

    func frame(at now: Timestamp) -> WireFrame {
        let id: Cursor
        let data: String
        var retryMilliseconds: Int64?
        // Everything here is made by this server and needs no escaping.
        switch self {
        case .ready(let cursor, let resumed, let heartbeatSeconds, let user, let device):
            id = cursor
            data =
                #"{"cursor":"\#(cursor)","resumed":\#(resumed),"heartbeatSeconds":\#(heartbeatSeconds),"#
                + #""user":"\#(user)","device":"\#(device)"}"#
        case .gap(let requested, let cursor):
            id = cursor
            data = #"{"requested":"\#(requested)","cursor":"\#(cursor)"}"#
        case .heartbeat(let cursor):
            id = cursor
            data = #"{"cursor":"\#(cursor)"}"#
        case .end(let reason, let cursor, let retryAfter):
            id = cursor
            retryMilliseconds = retryAfter.milliseconds
            data = #"{"reason":"\#(reason.rawValue)","retryAfterMs":\#(retryAfter.milliseconds)}"#
        }
        let envelope = #"{"id":"\#(id)","type":"\#(self.type)","at":"\#(now.rfc3339)","data":\#(data)}"#
        return WireFrame(id: id.description, type: self.type, envelope: envelope, retryMilliseconds: retryMilliseconds)
    }

    func bytes(for wire: Wire, at now: Timestamp) -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: 256)
        wire.encode(self.frame(at: now), &buffer)
        return buffer
    }
}

extension LoopHub {
    func writeControl(_ event: ControlEvent, to subscriber: Subscriber) {
        guard case .stream(let wire, let sink) = subscriber.delivery else { return }
        sink.write(event.bytes(for: wire, at: self.time.now), chunkedBySelf: sink.isChunked)
    }

    /// Begins a stream: `stream.ready`, and `stream.gap` when resuming did not work.
    func begin(_ subscriber: Subscriber, _ admission: Admission) {
        let tail = self.cursor(admission.position)
        let isResumed = if case .resumed = admission.start { true } else { false }
        self.writeControl(
            .ready(
                cursor: tail, resumed: isResumed, heartbeatSeconds: self.settings.heartbeatEvery.components.seconds,
                user: subscriber.subscription.user, device: subscriber.subscription.device), to: subscriber)
        if case .gap(let requested) = admission.start {
            self.writeControl(.gap(requested: requested, cursor: tail), to: subscriber)
        }
    }

    /// Ends a reader with a reason that it is told.
    func end(_ subscriber: Subscriber, _ reason: StreamEndReason) {
        guard subscriber.state != .ended else { return }
        let seq = subscriber.state == .live ? max(self.position, subscriber.position) : subscriber.position
        switch subscriber.delivery {
        case .stream(_, let sink):
            let base = reason == .limit || reason == .cut ? self.settings.retryAfterLimit : self.settings.retryAfter
            let retryAfter = base.jittered(by: 0.5)
            self.writeControl(.end(reason, cursor: self.cursor(seq), retryAfter: retryAfter), to: subscriber)
            self.remove(subscriber.id)
            sink.finish(reason, grace: self.settings.flushGrace)
        case .poll(let waiter):
            self.complete(waiter, of: subscriber, .ended(reason, cursor: self.cursor(seq)))
        case .none:
            self.remove(subscriber.id)
        }
    }

    /// Once a second: deadlines, stalled readers, and the heartbeats of one part of the readers.
    ///
    /// Heartbeats are spread over the seconds of their interval, so that 10 000 idle streams are no burst.
    func secondPassed() {
        let now = self.time.now
        // Counted, not read from a clock: a timer that comes late must not pass over anybody's turn.
        self.seconds += 1
        let parts = max(1, self.settings.heartbeatEvery.components.seconds)
        if self.seconds % parts == 0 { self.ageRecent(every: parts) }
        var heartbeats = [ByteBuffer?](repeating: nil, count: TickTree.slotCount)
        for subscriber in Array(self.subscribers.values) {
            if self.sweep(poll: subscriber, now: now) { continue }
            if let expiresAt = subscriber.expiresAt, now >= expiresAt {
                self.end(subscriber, .expired)
            } else if let rotatesAt = subscriber.rotatesAt, now >= rotatesAt, subscriber.state == .live {
                self.end(subscriber, self.isDraining ? .drain : .rotate)
            } else if self.isStalled(subscriber, now: now) {
                self.end(subscriber, .slow)
            } else if Int64(subscriber.id) % parts == self.seconds % parts {
                self.writeHeartbeat(to: subscriber, from: &heartbeats, at: now)
            }
        }
    }

    private func writeHeartbeat(to subscriber: Subscriber, from frames: inout [ByteBuffer?], at now: Timestamp) {
        // A reader whose snapshot is ahead of the loop would get a cursor that goes back.
        guard case .stream(let wire, let sink) = subscriber.delivery, subscriber.state == .live, sink.isWritable,
            subscriber.position <= self.position
        else { return }
        let index = TickTree.slot(of: wire, isChunked: sink.isChunked)
        if frames[index] == nil {
            let bytes = ControlEvent.heartbeat(cursor: self.cursor(self.position)).bytes(for: wire, at: now)
            frames[index] = ByteBuffer(joining: [bytes], isChunked: sink.isChunked)
        }
        if let frame = frames[index] { sink.write(frame) }
    }

    /// Bytes pending and no progress for too long.
    private func isStalled(_ subscriber: Subscriber, now: Timestamp) -> Bool {
        guard case .stream(_, let sink) = subscriber.delivery else { return false }
        guard sink.pendingBytes > 0 else {
            subscriber.stalledSince = nil
            return false
        }
        let taken = sink.takenBytes
        guard let since = subscriber.stalledSince, taken == subscriber.takenBytes else {
            subscriber.stalledSince = now
            subscriber.takenBytes = taken
            return false
        }
        return now.duration(since: since) >= self.settings.stallMax
    }

    /// Ends everything, spread over a few seconds.
    func drain() {
        self.isDraining = true
        for subscriber in Array(self.subscribers.values) {
            let delay = Double(self.settings.drainSpread.milliseconds) * Double.random(in: 0...1)
            let hub = NIOLoopBound(self, eventLoop: self.eventLoop)
            let id = subscriber.id
            self.eventLoop.scheduleTask(in: .milliseconds(Int64(delay))) {
                if let subscriber = hub.value.subscribers[id] { hub.value.end(subscriber, .drain) }
            }
        }
    }
}

extension Duration {
    /// Give or take a share of itself, at random.
    func jittered(by share: Double) -> Duration {
        .milliseconds(Int64(Double(self.milliseconds) * Double.random(in: (1 - share)...(1 + share))))
    }
}
