/// Why one joining of a call ended.
package enum LegEndReason: String, Codable, Sendable, CaseIterable {
    /// The same device joined again: a reloaded page.
    case replaced
    /// Another device of the user took the place.
    case takenOver = "taken-over"
    case left
    /// Its first offer was declined.
    case rejected
    /// Its first offer was not answered, or it never made one.
    case timeout
    /// The device did not hold its place.
    case lost
    /// Its user is no member of the room any more.
    case removed
    /// The call ended for everybody.
    case ended
}

/// The kinds of ICE candidates that a side offered (RFC 8445, RFC 8839). Stored as its number.
package struct CandidateTypes: OptionSet, Hashable, Sendable {
    package let rawValue: Int
    package init(rawValue: Int) { self.rawValue = rawValue }

    package static let host = CandidateTypes(rawValue: 1)
    /// Server reflexive: what a STUN server saw.
    package static let srflx = CandidateTypes(rawValue: 2)
    package static let prflx = CandidateTypes(rawValue: 4)
    /// A TURN server's.
    package static let relay = CandidateTypes(rawValue: 8)
    /// Encrypted: the server cannot tell.
    package static let unreadable = CandidateTypes(rawValue: 16)

    init(_ type: CandidateType) {
        switch type {
        case .host: self = .host
        case .srflx: self = .srflx
        case .prflx: self = .prflx
        case .relay: self = .relay
        }
    }

    init(_ types: [CandidateTypes]) { self = types.reduce([]) { $0.union($1) } }

    /// In the order of how directly they reach: `["host", "relay"]`; `encrypted` for what the server cannot tell.
    package var names: [String] {
        CandidateType.allCases.filter { self.contains(CandidateTypes($0)) }.map(\.rawValue)
            + (self.contains(.unreadable) ? ["encrypted"] : [])
    }
}

/// Several wires: those that the participants of a call used. Stored as its number.
package struct TransportSet: OptionSet, Hashable, Sendable {
    package let rawValue: Int
    package init(rawValue: Int) { self.rawValue = rawValue }

    package init(_ transport: Transport) {
        self.init(rawValue: 1 << (Transport.allCases.firstIndex(of: transport) ?? 0))
    }

    package init(_ transports: [Transport?]) {
        self = transports.reduce([]) { set, transport in transport.map { set.union(TransportSet($0)) } ?? set }
    }

    package var transports: [Transport] { Transport.allCases.filter { self.contains(TransportSet($0)) } }
}

/// What happened to what was sent in a call.
package struct CallCounts: Hashable, Sendable {
    /// Signals that were written to a reader of their addressee.
    package var delivered = 0
    /// Signals that were not, in time.
    package var expired = 0
    /// Candidates that were refused as a bound would have been passed.
    package var dropped = 0
    /// Requests that came again with their `Idempotency-Key` and were answered as the first time.
    package var retried = 0
    /// Lines that the timeline had no place for.
    package var omitted = 0

    package init(delivered: Int = 0, expired: Int = 0, dropped: Int = 0, retried: Int = 0, omitted: Int = 0) {
        self.delivered = delivered
        self.expired = expired
        self.dropped = dropped
        self.retried = retried
        self.omitted = omitted
    }
}

/// A call as admins find it among a million: one narrow row, made with the call and complete at its end. All but
/// ``position``, ``counts`` and ``isRelayed`` follows from ``CallRows``.
package struct CallRecord: Hashable, Sendable {
    /// Its place among all calls: by the time of its creation, and as they came within a millisecond. Never given
    /// twice.
    package var position: Int64
    package var call: Call
    /// All that its legs were ever seen to use.
    package var transports: TransportSet
    /// All that its legs offered.
    package var candidateTypes: CandidateTypes
    package var participantCount: Int
    package var legCount: Int
    /// Whether media ever went over a TURN server; `nil` if nobody reported its path.
    package var isRelayed: Bool?
    package var counts: CallCounts

    package init(
        position: Int64, call: Call, transports: TransportSet, candidateTypes: CandidateTypes, participantCount: Int,
        legCount: Int, isRelayed: Bool? = nil, counts: CallCounts = CallCounts()
    ) {
        self.position = position
        self.call = call
        self.transports = transports
        self.candidateTypes = candidateTypes
        self.participantCount = participantCount
        self.legCount = legCount
        self.isRelayed = isRelayed
        self.counts = counts
    }

    package init(_ rows: CallRows, position: Int64) {
        self.init(
            position: position, call: rows.call, transports: TransportSet(rows.legs.map(\.transport)),
            candidateTypes: CandidateTypes(rows.legs.map(\.candidateTypes)), participantCount: rows.participants.count,
            legCount: rows.legs.count)
    }

    /// Positions have room for so many calls of one millisecond; more overflow into the next one's.
    package static let positionsPerMillisecond: Int64 = 1024

    /// The first position that a call made at this time can have.
    package static func firstPosition(at time: Timestamp) -> Int64 {
        time.milliseconds * self.positionsPerMillisecond
    }
}

extension Call {
    /// From the offer to its answer, in milliseconds; `nil` if nobody answered.
    package var offerToAnswerMs: Int64? { self.milliseconds(until: self.answeredAt) }

    /// From the offer to the first report of a connection, in milliseconds; `nil` if there was none.
    package var offerToConnectedMs: Int64? { self.milliseconds(until: self.connectedAt) }

    private func milliseconds(until time: Timestamp?) -> Int64? {
        guard let time, let offeredAt, self.answeredAt != nil else { return nil }
        return max(0, time.duration(since: offeredAt).milliseconds)
    }
}

extension CallRows {
    /// When a participant missed the call: they were rung, and the ring ended neither by them nor by a device of
    /// theirs. `nil` if they did not (or not yet).
    package func missedAt(by participant: Participant) -> Timestamp? {
        guard let invitedAt = participant.invitedAt else { return nil }
        let hasJoined = participant.joinedAt.map { $0 >= invitedAt } ?? false
        switch participant.state {
        case .invited: return self.call.state == .ended && !hasJoined ? self.call.endedAt : nil
        case .left, .lost: return hasJoined ? nil : participant.leftAt
        case .joined, .rejected: return nil
        }
    }
}
