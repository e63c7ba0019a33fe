/// Which calls an admin asks for: all that is given must hold.
package struct CallQuery: Hashable, Sendable {
    /// Who took part, or was rung.
    package var user: UserID?
    package var room: RoomID?
    package var state: CallState?
    package var endReason: CallEndReason?
    /// Made at this time or later.
    package var since: Timestamp?
    /// Made before this time.
    package var until: Timestamp?
    /// Whole seconds from the first answer to the end.
    package var durationSecondsMin: Int?
    /// Used by a participant.
    package var transport: Transport?

    package init(
        user: UserID? = nil, room: RoomID? = nil, state: CallState? = nil, endReason: CallEndReason? = nil,
        since: Timestamp? = nil, until: Timestamp? = nil, durationSecondsMin: Int? = nil, transport: Transport? = nil
    ) {
        self.user = user
        self.room = room
        self.state = state
        self.endReason = endReason
        self.since = since
        self.until = until
        self.durationSecondsMin = durationSecondsMin
        self.transport = transport
    }
}

/// A stretch of a list of calls: newest first, or oldest first when only ``after`` is given.
package struct CallStretch: Hashable, Sendable {
    /// Exclusive bounds; see ``CallRecord/position``.
    package var before: Int64?
    package var after: Int64?
    package var limit: Int

    package init(before: Int64? = nil, after: Int64? = nil, limit: Int) {
        self.before = before
        self.after = after
        self.limit = limit
    }

    package var isAscending: Bool { self.after != nil && self.before == nil }
}

/// Which of one's own calls somebody asks for: those of rooms whose calls they may read.
package struct OwnCallQuery: Hashable, Sendable {
    package var user: UserID
    /// Somebody else who took part, or was rung.
    package var with: UserID?
    package var isMissedOnly: Bool
    /// Only those missed after this time.
    package var missedAfter: Timestamp?

    package init(user: UserID, with: UserID? = nil, isMissedOnly: Bool = false, missedAfter: Timestamp? = nil) {
        self.user = user
        self.with = with
        self.isMissedOnly = isMissedOnly
        self.missedAfter = missedAfter
    }
}

/// What statistics need of one call. Times are in milliseconds since 1970.
package struct CallFigures: Hashable, Sendable {
    package var createdAt: Int64
    package var offeredAt: Int64?
    package var answeredAt: Int64?
    package var connectedAt: Int64?
    package var durationSeconds: Int?
    package var transports: TransportSet
    package var isRelayed: Bool?
    /// `nil` while it goes on.
    package var endReason: CallEndReason?
    /// What it is grouped by: the room, or the initiator; empty for other groupings.
    package var key: String

    package init(
        createdAt: Int64, offeredAt: Int64?, answeredAt: Int64?, connectedAt: Int64?, durationSeconds: Int?,
        transports: TransportSet, isRelayed: Bool?, endReason: CallEndReason?, key: String
    ) {
        self.createdAt = createdAt
        self.offeredAt = offeredAt
        self.answeredAt = answeredAt
        self.connectedAt = connectedAt
        self.durationSeconds = durationSeconds
        self.transports = transports
        self.isRelayed = isRelayed
        self.endReason = endReason
        self.key = key
    }
}

/// By what statistics tell calls apart. A call of several transports counts for each of them.
package enum CallGrouping: String, Codable, Sendable, CaseIterable { case room, initiator, endReason, transport }

/// One of one's own calls.
package struct OwnCall: Hashable, Sendable {
    package var record: CallRecord
    /// When the asker missed it; `nil` if they did not.
    package var missedAt: Timestamp?

    package init(record: CallRecord, missedAt: Timestamp?) {
        self.record = record
        self.missedAt = missedAt
    }
}
