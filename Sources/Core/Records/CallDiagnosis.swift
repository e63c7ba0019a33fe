/// Why a call failed, in plain language: what an admin reads first.
package struct CallDiagnosis: Hashable, Sendable, Encodable {
    /// Stable, for programs; see ``CallCause``.
    package let code: CallCause
    /// One sentence: what happened.
    package let summary: String
    /// What it was concluded from, a sentence each.
    package let facts: [String]
    /// What to do about it.
    package let advice: String
}

/// The causes that a diagnosis tells apart.
package enum CallCause: String, Codable, Sendable, CaseIterable {
    case calleeOffline = "callee-offline"
    case notAnswered = "not-answered"
    case calleeBusy = "callee-busy"
    case declined
    case callerGaveUp = "caller-gave-up"
    case callerLost = "caller-lost"
    case invitationExpired = "invitation-expired"
    case joinedWithoutOffer = "joined-without-offer"
    case leftBeforeAnswer = "left-before-answer"
    case offerNotDelivered = "offer-not-delivered"
    case offerNotAnswered = "offer-not-answered"
    case answerNotDelivered = "answer-not-delivered"
    case noCandidates = "no-candidates"
    case candidatesDropped = "candidates-dropped"
    case hostCandidatesOnly = "host-candidates-only"
    case noRelayCandidates = "no-relay-candidates"
    case relayFailed = "relay-failed"
    case connectionNotReported = "connection-not-reported"
    case connectionBroke = "connection-broke"
    case deviceLost = "device-lost"
    case participantRemoved = "participant-removed"
    case roomArchived = "room-archived"
    case endedByAdmin = "ended-by-admin"
    case tooLong = "too-long"
    case unknown

    var advice: String {
        switch self {
        case .calleeOffline:
            "Nothing rings where nobody listens. Let the application keep an event stream open, or wake it by a push notification when call.ringing is for somebody who is offline."
        case .notAnswered: "The ring reached somebody who was online. A longer ringTimeoutSeconds gives them more time."
        case .calleeBusy: "They were in another call. Call again when it is over."
        case .declined: "Nothing is wrong with the connection: somebody said no."
        case .callerGaveUp: "Nothing is wrong with the connection: the caller hung up before anybody answered."
        case .callerLost:
            "The caller's device stopped asking while it rang: a closed laptop, a killed page, a lost network. Let pages hang up by beacon when they close."
        case .invitationExpired: "Invite people by name, so that somebody is rung."
        case .joinedWithoutOffer:
            "The client that joined has to make an offer to each of the peers in the answer of /join. Often the camera or microphone was refused there: make the offer without them, or leave."
        case .leftBeforeAnswer:
            "Nothing was negotiated yet. If it happens often, look at how long clients take to answer."
        case .offerNotDelivered:
            "The device that had joined was not reading events. Let it open its stream before it joins, and keep it open."
        case .offerNotAnswered:
            "The offer arrived. The client that got it has to answer or reject: look at its errors, often the description was not accepted."
        case .answerNotDelivered:
            "The device that had offered was not reading events any more. Let it keep its stream open while it waits."
        case .noCandidates:
            "A client that offers no candidates cannot be reached. Let it send what onicecandidate gives, or wait for gathering before it describes."
        case .candidatesDropped: "Send fewer candidates, in batches, behind the description that they belong to."
        case .hostCandidatesOnly:
            "Host candidates connect within one network only. Let clients use the servers of GET /v1/ice-servers, and configure TURN (--turn-url, --turn-secret)."
        case .noRelayCandidates:
            "Strict firewalls and some NATs need a relay. Configure TURN (--turn-url, --turn-secret), over TCP and TLS too."
        case .relayFailed:
            "A relay was offered and did not help. Check the TURN server with comblang doctor: address, secret, open ports, the server's clock."
        case .connectionNotReported:
            "Let clients report what ICE says (PATCH participants/me, connection); without it nobody can tell why media did not flow."
        case .connectionBroke:
            "Media flowed before. Let clients restart ICE when the connection fails, and look at the network at that time."
        case .deviceLost:
            "The device stopped asking: a killed page, a closed laptop, a lost network. Let pages hang up by beacon when they close."
        case .participantRemoved: "Whoever removed them from the room ended the call with it."
        case .roomArchived: "Calls end with their room. Use another room, or take this one out of the archive."
        case .endedByAdmin: "Ask the admin; the audit log has who and when."
        case .tooLong:
            "Calls end after 12 hours. If nobody was there any more, let clients leave when their page closes."
        case .unknown: "Look at the timeline. If it happens again, report it with the record of the call."
        }
    }
}

/// All that is known of one call, for its record and its diagnosis.
package struct CallDetails: Hashable, Sendable {
    package var record: CallRecord
    package var rows: CallRows
    package var timeline: [TimelineEntry]
    package var qualities: [CallQuality]
    /// What people are called; an id stands for who is missing.
    package var names: [UserID: String]

    package init(
        record: CallRecord, rows: CallRows, timeline: [TimelineEntry], qualities: [CallQuality],
        names: [UserID: String]
    ) {
        self.record = record
        self.rows = rows
        self.timeline = timeline
        self.qualities = qualities
        self.names = names
    }

    var call: Call { self.rows.call }

    func name(_ user: UserID?) -> String {
        guard let user else { return "the server" }
        return self.names[user] ?? user.text
    }

    /// `siti, budi and dewi`.
    func list(_ users: [UserID]) -> String {
        let names = users.map { self.name($0) }
        guard let last = names.last, names.count > 1 else { return names.first ?? "nobody" }
        return names.dropLast().joined(separator: ", ") + " and " + last
    }

    func entries(_ kind: String) -> [Line] {
        self.timeline.filter { $0.kind == kind }.map { entry in
            Line(user: entry.user, data: (try? JSON.decode(JSONValue.self, from: entry.data)) ?? .null)
        }
    }

    /// A line of the timeline, readable.
    struct Line {
        let user: UserID?
        let data: JSONValue

        func text(_ member: String) -> String? { self.data[member]?.stringValue }
    }
}
