package import Core

/// Who wants to read what.
package struct Subscription: Sendable {
    package let user: UserID
    package let device: DeviceID
    package let scope: EventScope
    package let filter: EventFilter
    package let transport: Transport
    /// When the credential ends, and with it the stream.
    package let expiresAt: Timestamp?
    /// The hash of the ticket that opened it: a newer stream of the same ticket replaces it.
    package let ticket: String?
    /// Whether it is a client of the room protocol, who is told of calls by frames alone: ``Registry/seat(of:in:)``.
    package let readsFrames: Bool
    /// Whether another server reads for its user: one who is bridged here is not bridged on.
    package let isRelayed: Bool

    package init(
        user: UserID, device: DeviceID, scope: EventScope, filter: EventFilter, transport: Transport,
        expiresAt: Timestamp? = nil, ticket: String? = nil, readsFrames: Bool = false, isRelayed: Bool = false
    ) {
        self.isRelayed = isRelayed
        self.readsFrames = readsFrames
        self.user = user
        self.device = device
        self.scope = scope
        self.filter = filter
        self.transport = transport
        self.expiresAt = expiresAt
        self.ticket = ticket
    }
}

/// A subscription that was found allowed, with the position of the log in the snapshot that said so.
package struct Admission: Sendable {
    package let subscription: Subscription
    package let visibility: Visibility
    package let bounds: LogBounds
    /// The room whose membership a room's or a call's stream lives on.
    package let scopeRoom: RoomID?
    package let start: Start

    /// The same, with reading to begin at the snapshot's tail: what lies before was read already.
    package func advancedToTail() -> Admission {
        Admission(
            subscription: self.subscription, visibility: self.visibility, bounds: self.bounds,
            scopeRoom: self.scopeRoom,
            start: .resumed(after: self.bounds.tail))
    }

    /// Where reading begins.
    package enum Start: Hashable, Sendable {
        /// Nothing was asked for: reading begins at the tail.
        case fresh
        case resumed(after: Int64)
        case gap(requested: Cursor)
    }

    /// Where reading begins.
    package var position: Int64 {
        switch self.start {
        case .fresh, .gap: self.bounds.tail
        case .resumed(let seq): seq
        }
    }
}

extension StoreReader {
    /// Checks that the subscription may be read and finds where it starts, in one snapshot.
    ///
    /// - throws: ``Problem`` `not-found` or `not-a-member` for a room or call that the user may not follow.
    package func admit(_ subscription: Subscription, from start: StartPosition) throws -> Admission {
        // Whoever signed in a moment ago may have been revoked by a commit that the hub has passed already.
        guard let user = try self.user(subscription.user),
            try self.session(subscription.device.session)?.revokedAt == nil
        else { throw Problem(.unauthorized) }
        var scopeRoom: RoomID?
        switch subscription.scope {
        case .user: break
        case .room(let room):
            scopeRoom = try self.access(.id(room), as: user, to: .readEvents).room.id
        case .call(let call):
            guard let rows = try self.callRows(call) else { throw Problem.notFound }
            scopeRoom = try self.access(.id(rows.call.room), as: user, to: .readEvents).room.id
        }
        let rooms = try self.memberships(of: user.id).map { ($0.room, $0.joinedSeq) }
        let bounds = try self.logBounds()
        let resolved: Admission.Start =
            switch start {
            case .tail: .fresh
            case .earliest: .resumed(after: bounds.trimmedThrough)
            case .cursor(let cursor):
                switch bounds.resume(from: cursor) {
                case .resumed(let seq): .resumed(after: seq)
                case .gap: .gap(requested: cursor)
                }
            }
        return Admission(
            subscription: subscription,
            visibility: Visibility(
                user: user.id, device: subscription.device, rooms: Dictionary(rooms, uniquingKeysWith: max)),
            bounds: bounds, scopeRoom: scopeRoom, start: resolved)
    }
}
