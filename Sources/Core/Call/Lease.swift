/// What a process knows of a device that has joined a call: when it last asked for anything, and whether it reads.
package struct DeviceActivity: Hashable, Sendable {
    /// Its last request of any kind; `nil` if none is remembered, which is at least as long as a lease.
    package var askedAt: Timestamp?
    /// When its last stream or waiting poll ended; `nil` as above.
    package var readUntil: Timestamp?
    /// Whether a stream is open or a poll waits.
    package var isReading: Bool
    /// Whether one of the open streams is SSE or NDJSON, where nothing comes back from the reader.
    package var readsOneWay: Bool

    package init(
        askedAt: Timestamp? = nil, readUntil: Timestamp? = nil, isReading: Bool = false, readsOneWay: Bool = false
    ) {
        self.askedAt = askedAt
        self.readUntil = readUntil
        self.isReading = isReading
        self.readsOneWay = readsOneWay
    }
}

/// How long a joined device holds its place without a sign of life.
///
/// It does while it has an open stream or asked within ``Limits/leaseHeld``; then ``Limits/leaseGrace`` is left. Rows
/// keep only when to look again: what a device does in between is remembered by the process and costs no write.
package enum Lease {
    /// What follows from a look at a device.
    package enum Outcome: Hashable, Sendable {
        /// It holds its place; look again then.
        case held(checkAt: Timestamp)
        /// As ``held(checkAt:)``, but its one-way streams have been silent for too long: end them, so that a client
        /// that is there comes back.
        case silent(checkAt: Timestamp)
        case lost
    }

    /// - parameter startedAt: when the process began to remember: nobody is older to it, so every lease starts whole.
    package static func outcome(_ activity: DeviceActivity, startedAt: Timestamp, now: Timestamp) -> Outcome {
        let askedAt = max(activity.askedAt ?? startedAt, startedAt)
        guard activity.isReading else {
            let heldUntil = max(askedAt.advanced(by: Limits.leaseHeld), activity.readUntil ?? startedAt)
            let lostAt = heldUntil.advanced(by: Limits.leaseGrace)
            return now >= lostAt ? .lost : .held(checkAt: lostAt)
        }
        // What ends without being noticed here is noticed one grace later at the earliest.
        guard activity.readsOneWay else { return .held(checkAt: now.advanced(by: Limits.leaseGrace)) }
        let silentAt = askedAt.advanced(by: Limits.streamSilenceMax)
        return now >= silentAt ? .silent(checkAt: now.advanced(by: Limits.leaseGrace)) : .held(checkAt: silentAt)
    }
}

/// A participant at whom somebody must look now.
package struct DueLease: Hashable, Sendable {
    package let call: CallID
    package let user: UserID
    package let device: DeviceID
    package let leg: LegID

    package init(call: CallID, user: UserID, device: DeviceID, leg: LegID) {
        self.call = call
        self.user = user
        self.device = device
        self.leg = leg
    }
}
