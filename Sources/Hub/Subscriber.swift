package import Core
package import NIOCore

/// One reader on its loop: an open stream, or a poll that waits.
///
/// It holds no queue: it is live, or it is behind and is caught up by its position.
final class Subscriber {
    enum Delivery {
        case stream(Wire, any StreamSink)
        case poll(PollWaiter)
    }

    enum State {
        /// Has everything that the loop has passed.
        case live
        /// Has everything up to ``position``; continues when its connection takes more.
        case behind
        /// As ``behind``, while the database is asked.
        case reading
        case ended
    }

    let id: Int
    let subscription: Subscription
    let profile: Profile
    let delivery: Delivery
    /// Membership as of the loop's position, or of a later snapshot when it was registered with one.
    var visibility: Visibility
    /// All events up to here were delivered or are none of its business; exact only when it is not live.
    var position: Int64
    var state = State.live
    /// The log's tail in the snapshot that ``visibility`` came from.
    let snapshotSeq: Int64
    /// The room whose loss ends this stream.
    let scopeRoom: RoomID?

    // What the current tick brings, as indices into the tick's events.
    var marks: [Int32] = []
    var lastMarkedSeq: Int64 = 0

    // Deadlines, looked at once a second.
    let rotatesAt: Timestamp?
    let expiresAt: Timestamp?
    var stalledSince: Timestamp?
    /// What its connection had taken in all when it was last looked at.
    var takenBytes = 0

    init(
        id: Int, admission: Admission, profile: Profile, delivery: Delivery, rotatesAt: Timestamp?
    ) {
        self.id = id
        self.subscription = admission.subscription
        self.scopeRoom = admission.scopeRoom
        self.profile = profile
        self.delivery = delivery
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

/// A poll that waits for something to answer.
final class PollWaiter {
    let limit: Int
    let promise: EventLoopPromise<PollResult>
    var timeout: Scheduled<Void>?

    init(limit: Int, promise: EventLoopPromise<PollResult>) {
        self.limit = limit
        self.promise = promise
    }
}

/// What a waiting poll is answered with.
package enum PollResult: Sendable {
    /// Events behind the position it waited at, ascending, and where to go on.
    case events([LoggedEvent], ephemeral: [LoggedEvent], cursor: Cursor, more: Bool)
    /// Memory does not reach back to its position any more: ask the database.
    case reread
    /// The server ends the wait: the credential ended or the room was lost.
    case ended(StreamEndReason, cursor: Cursor)
}
