/// `ringing → connecting → active → ended`: connecting at the first offer, active at the first answer.
package enum CallState: String, Codable, Sendable, CaseIterable { case ringing, connecting, active, ended }

/// How a call ended, in the words of the contract.
package enum CallEndReason: String, Codable, Sendable, CaseIterable {
    case completed, rejected, missed, cancelled, busy, failed, lost
    case endedByAdmin = "ended-by-admin"
    case tooLong = "too-long"
}

/// Where a participant stands; see ``Participant``.
package enum ParticipantState: String, Codable, Sendable, CaseIterable { case invited, joined, rejected, left, lost }
/// What a participant says of its ICE connection.
package enum ConnectionState: String, Codable, Sendable, CaseIterable { case connected, disconnected, failed }
/// By which wire a participant reads.
package enum Transport: String, Codable, Sendable, CaseIterable { case sse, ndjson, poll, websocket, bridge }

/// What a call is meant to carry.
package struct CallMedia: Hashable, Codable, Sendable {
    package var audio: Bool
    package var video: Bool
    package init(audio: Bool, video: Bool) {
        self.audio = audio
        self.video = video
    }
}

/// What a participant sends at the moment.
package struct ParticipantMedia: Hashable, Codable, Sendable {
    package var audio: Bool
    package var video: Bool
    package var screen: Bool
    package init(audio: Bool, video: Bool, screen: Bool) {
        self.audio = audio
        self.video = video
        self.screen = screen
    }
}

/// One call of a room, from its creation to its record.
package struct Call: Hashable, Sendable {
    package var id: CallID
    package var room: RoomID
    package var initiator: UserID
    package var state: CallState
    package var endReason: CallEndReason?
    package var endedBy: UserID?
    package var media: CallMedia
    package var ringTimeoutSeconds: Int
    package var createdAt: Timestamp
    /// When it first rang somebody; `nil` for an open invitation that has invited nobody.
    package var ringingAt: Timestamp?
    /// When the offer came that was answered first; until there is one, the newest offer.
    package var offeredAt: Timestamp?
    package var answeredAt: Timestamp?
    package var connectedAt: Timestamp?
    package var endedAt: Timestamp?
    /// Whether the end follows from a connection that was closed, and nobody asked for it.
    package var isInferred: Bool

    package init(
        id: CallID, room: RoomID, initiator: UserID, state: CallState = .ringing, endReason: CallEndReason? = nil,
        endedBy: UserID? = nil, media: CallMedia, ringTimeoutSeconds: Int, createdAt: Timestamp,
        ringingAt: Timestamp? = nil, offeredAt: Timestamp? = nil, answeredAt: Timestamp? = nil,
        connectedAt: Timestamp? = nil, endedAt: Timestamp? = nil, isInferred: Bool = false
    ) {
        self.id = id
        self.room = room
        self.initiator = initiator
        self.state = state
        self.endReason = endReason
        self.endedBy = endedBy
        self.media = media
        self.ringTimeoutSeconds = ringTimeoutSeconds
        self.createdAt = createdAt
        self.ringingAt = ringingAt
        self.offeredAt = offeredAt
        self.answeredAt = answeredAt
        self.connectedAt = connectedAt
        self.endedAt = endedAt
        self.isInferred = isInferred
    }

    /// From the first answer to the end, rounded to whole seconds; `nil` until it ended or if nobody answered.
    package var durationSeconds: Int? {
        guard let answeredAt, let endedAt else { return nil }
        return Int((endedAt.duration(since: answeredAt).milliseconds + 500) / 1000)
    }
}

/// One user in one call, with the leg of the device that owns their place.
package struct Participant: Hashable, Sendable {
    package var call: CallID
    package var user: UserID
    /// The device and leg that own the place while joined, and last did afterwards; `nil` until the first joining.
    package var device: DeviceID?
    package var leg: LegID?
    package var state: ParticipantState
    package var invitedAt: Timestamp?
    package var joinedAt: Timestamp?
    package var leftAt: Timestamp?
    package var media: ParticipantMedia
    package var connection: ConnectionState?
    /// When ``connection`` was last reported to be another one than before.
    package var connectionAt: Timestamp?
    package var transport: Transport?
    /// Is in another call while rung: this is a waiting ring, and the caller is told. Kept as it was at the ring's end.
    package var isBusy: Bool
    /// While joined, when somebody must look again whether the device still holds its place; see ``Lease``.
    package var leaseCheckAt: Timestamp?
    /// While joined with TURN credentials, when the device is told to get others; `nil` if it was given none.
    package var iceRefreshAt: Timestamp?
    /// Lets a beacon end this leg without other credentials; SHA-256, never the token.
    package var leaveTokenHash: String?
    /// Candidates to this participant wait until it has answered.
    package var holdsCandidates: Bool
    /// The device speaks the room protocol's frames, as the seed's clients do: it has one peer at a time, hears nothing
    /// of a call but its signals, and says nothing when it hangs up.
    package var readsFrames: Bool

    package init(
        call: CallID, user: UserID, device: DeviceID? = nil, leg: LegID? = nil, state: ParticipantState,
        invitedAt: Timestamp? = nil, joinedAt: Timestamp? = nil, leftAt: Timestamp? = nil,
        media: ParticipantMedia = ParticipantMedia(audio: true, video: true, screen: false),
        connection: ConnectionState? = nil, connectionAt: Timestamp? = nil, transport: Transport? = nil,
        isBusy: Bool = false, leaseCheckAt: Timestamp? = nil, iceRefreshAt: Timestamp? = nil,
        leaveTokenHash: String? = nil, holdsCandidates: Bool = false, readsFrames: Bool = false
    ) {
        self.call = call
        self.user = user
        self.device = device
        self.leg = leg
        self.state = state
        self.invitedAt = invitedAt
        self.joinedAt = joinedAt
        self.leftAt = leftAt
        self.media = media
        self.connection = connection
        self.connectionAt = connectionAt
        self.transport = transport
        self.isBusy = isBusy
        self.leaseCheckAt = leaseCheckAt
        self.iceRefreshAt = iceRefreshAt
        self.leaveTokenHash = leaveTokenHash
        self.holdsCandidates = holdsCandidates
        self.readsFrames = readsFrames
    }
}

/// One joining of a call by a device; kept for the record.
package struct Leg: Hashable, Sendable {
    package var id: LegID
    package var call: CallID
    package var user: UserID
    package var device: DeviceID
    package var transport: Transport?
    package var joinedAt: Timestamp
    /// When the first offer was made by or to it; `nil` while there was none.
    package var offeredAt: Timestamp?
    package var leftAt: Timestamp?
    /// Set with ``leftAt``.
    package var endReason: LegEndReason?
    /// What it offered of itself so far.
    package var candidateTypes: CandidateTypes

    package init(
        id: LegID, call: CallID, user: UserID, device: DeviceID, transport: Transport?, joinedAt: Timestamp,
        offeredAt: Timestamp? = nil, leftAt: Timestamp? = nil, endReason: LegEndReason? = nil,
        candidateTypes: CandidateTypes = []
    ) {
        self.id = id
        self.call = call
        self.user = user
        self.device = device
        self.transport = transport
        self.joinedAt = joinedAt
        self.offeredAt = offeredAt
        self.leftAt = leftAt
        self.endReason = endReason
        self.candidateTypes = candidateTypes
    }
}

/// What passes between two participants; `superseded` is the server's word.
package enum SignalType: String, Codable, Sendable, CaseIterable {
    case offer, answer, candidates, reject, renegotiate, custom
    case restartICE = "restart-ice"
    /// The server's word: an offer was superseded by another one.
    case superseded
}

/// A recent description that one joined participant sent to another with their current legs, pending or not. What
/// candidates are matched with and what answers are checked against. Never holds SDP, only its ufrags.
package struct Description: Hashable, Sendable {
    /// Which half of a negotiation it is.
    package enum Kind: String, Codable, Sendable { case offer, answer }

    /// Whether it still counts.
    package enum State: String, Codable, Sendable {
        /// An offer that waits for its answer.
        case pending
        /// An answered offer, or an answer.
        case settled
        /// Rejected, superseded or lapsed.
        case void
    }

    package var signal: SignalID
    package var call: CallID
    package var kind: Kind
    package var state: State
    package var from: UserID
    package var fromLeg: LegID
    package var to: UserID
    package var toLeg: LegID
    /// The `ice-ufrag` values of the SDP; empty for an encrypted payload.
    package var ufrags: [String]
    /// Whether the pair had no answered offer before (legs considered).
    package var isInitial: Bool
    package var createdAt: Timestamp

    package init(
        signal: SignalID, call: CallID, kind: Kind, state: State, from: UserID, fromLeg: LegID, to: UserID,
        toLeg: LegID, ufrags: [String], isInitial: Bool, createdAt: Timestamp
    ) {
        self.signal = signal
        self.call = call
        self.kind = kind
        self.state = state
        self.from = from
        self.fromLeg = fromLeg
        self.to = to
        self.toLeg = toLeg
        self.ufrags = ufrags
        self.isInitial = isInitial
        self.createdAt = createdAt
    }
}

/// A batch of candidates that waits for its description, or for its addressee's answer.
package struct HeldCandidates: Hashable, Sendable {
    package var signal: SignalID
    package var call: CallID
    package var from: UserID
    package var fromLeg: LegID
    package var to: UserID
    package var toLeg: LegID
    /// The ufrags that the candidates name, distinct; empty when they name none.
    package var ufrags: [String]
    package var count: Int
    /// The signal's payload members as JSON text.
    package var payload: String
    package var createdAt: Timestamp

    package init(
        signal: SignalID, call: CallID, from: UserID, fromLeg: LegID, to: UserID, toLeg: LegID, ufrags: [String],
        count: Int, payload: String, createdAt: Timestamp
    ) {
        self.signal = signal
        self.call = call
        self.from = from
        self.fromLeg = fromLeg
        self.to = to
        self.toLeg = toLeg
        self.ufrags = ufrags
        self.count = count
        self.payload = payload
        self.createdAt = createdAt
    }
}

/// How many candidates went from one participant to another in one ICE generation.
package struct CandidateCount: Hashable, Sendable {
    package var from: UserID
    package var to: UserID
    /// The ufrags of the description that they belong to, joined by commas (its signal id if it names none); empty for
    /// candidates that came before any description. Unique with `from` and `to` in a call.
    package var generation: String
    /// Let through; held ones are counted where they are held.
    package var count: Int
    /// Refused, as a bound would have been passed.
    package var dropped: Int

    package init(from: UserID, to: UserID, generation: String, count: Int, dropped: Int = 0) {
        self.from = from
        self.to = to
        self.generation = generation
        self.count = count
        self.dropped = dropped
    }
}

/// One line of a call's record: a state change, a joining, who ended it. Never SDP.
package struct TimelineEntry: Hashable, Sendable {
    package var at: Timestamp
    /// `created`, `state`, `participant`, `offer`, `answer`, `dropped`, …
    package var kind: String
    package var user: UserID?
    /// A JSON object as text.
    package var data: String

    package init(at: Timestamp, kind: String, user: UserID?, data: String) {
        self.at = at
        self.kind = kind
        self.user = user
        self.data = data
    }
}

/// All rows of one call that a decision needs: a call's truth.
package struct CallRows: Hashable, Sendable {
    package var call: Call
    /// In order of first appearance.
    package var participants: [Participant]
    package var legs: [Leg]
    /// In the order in which they came.
    package var descriptions: [Description]
    /// In the order in which they came.
    package var held: [HeldCandidates]
    package var candidateCounts: [CandidateCount]

    package init(
        call: Call, participants: [Participant] = [], legs: [Leg] = [], descriptions: [Description] = [],
        held: [HeldCandidates] = [], candidateCounts: [CandidateCount] = []
    ) {
        self.call = call
        self.participants = participants
        self.legs = legs
        self.descriptions = descriptions
        self.held = held
        self.candidateCounts = candidateCounts
    }
}
