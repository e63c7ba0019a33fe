import Core

/// One reader on its loop: an open stream, or a poll that waits.
///
/// It holds no queue: it is live, or it is behind and is caught up by its position.
final class Subscriber {
    enum Delivery {
        case stream(Wire, any StreamSink)
        case poll(PollWaiter)
        /// A poll was answered and the next one of its connection is not there yet.
        case none
    }

    enum State: UInt8 {
        /// Has everything that the loop has passed.
        case live
        /// Has everything up to ``position``; continues when its connection takes more.
        case behind
        /// As ``behind``, while the database is asked.
        case reading
        /// Between two polls: its memberships are followed, and nothing is delivered.
        case resting
        case ended
    }

    // What a tick looks at comes first: of thousands of readers none is in the processor's cache, and each line of
    // theirs that is touched costs as much as the work on it.

    var state = State.live
    /// What the current tick brings: where it stands in the ``TickTree``.
    var node = TickTree.root
    var lastMarkedSeq: Int64 = 0
    /// All events up to here were delivered or are none of its business; exact only when it is not live.
    var position: Int64
    /// The log's tail in the snapshot that ``visibility`` came from.
    let snapshotSeq: Int64
    let profile: Profile
    /// The connection of a stream, which of a node's bytes it takes, and how they are made.
    let stream: Stream?

    struct Stream {
        let sink: any StreamSink
        let slot: Int
    }

    // Deadlines, looked at once a second.
    let rotatesAt: Timestamp?
    let expiresAt: Timestamp?
    var stalledSince: Timestamp?
    /// Of a reader between two polls.
    var restsUntil: Timestamp?
    /// What its connection had taken in all when it was last looked at.
    var takenBytes = 0

    let id: Int
    let subscription: Subscription
    var delivery: Delivery
    /// Membership as of the loop's position, or of a later snapshot when it was registered with one.
    var visibility: Visibility
    /// The room whose loss ends this stream.
    let scopeRoom: RoomID?

    init(
        id: Int, admission: Admission, profile: Profile, delivery: Delivery, rotatesAt: Timestamp?
    ) {
        self.id = id
        self.subscription = admission.subscription
        self.scopeRoom = admission.scopeRoom
        self.profile = profile
        self.delivery = delivery
        self.stream =
            if case .stream(let wire, let sink) = delivery {
                Stream(sink: sink, slot: TickTree.slot(of: wire, isChunked: sink.isChunked))
            } else {
                nil
            }
        self.visibility = admission.visibility
        self.position = admission.position
        self.snapshotSeq = admission.bounds.tail
        self.rotatesAt = rotatesAt
        self.expiresAt = admission.subscription.expiresAt
    }

    /// The audiences under whose keys it stands in the loop's table.
    var audiences: [Audience] {
        let subscription = self.subscription
        var audiences: [Audience] = [.user(subscription.user), .device(subscription.device)]
        audiences += self.visibility.rooms.keys.filter { self.follows($0) }.map { .room($0) }
        return audiences
    }

    /// Whether events for this room can be of the scope at all. A room filter does not narrow this: presence is for
    /// many rooms, and may be visible by another one than the one that lets it through, here as in the database.
    func follows(_ room: RoomID) -> Bool { self.scopeRoom.map { $0 == room } ?? true }
}

/// Scope and filter, shared by all readers that have the same: what passes is decided once for each event.
final class Profile {
    private let scope: EventScope
    private let filter: EventFilter
    private var decidedSeq: Int64 = -1
    private var decision = false

    init(scope: EventScope, filter: EventFilter) {
        self.scope = scope
        self.filter = filter
    }

    struct Key: Hashable {
        let scope: EventScope
        let filter: EventFilter
    }

    func passes(_ event: Event) -> Bool {
        // Ephemeral events all have seq 0 and are decided each time.
        if event.seq == self.decidedSeq, event.seq != 0 { return self.decision }
        self.decision = self.filter.passes(event, in: self.scope)
        self.decidedSeq = event.seq
        return self.decision
    }
}
