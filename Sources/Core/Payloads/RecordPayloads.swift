// Records of calls, as their participants and as admins see them.

/// A call with what admins ask about it, in lists and in an export.
package struct CallRecordPayload: Encodable, Sendable {
    package let record: CallRecord
    package let participants: [ParticipantPayload]

    package init(_ record: CallRecord, participants: [ParticipantPayload]) {
        (self.record, self.participants) = (record, participants)
    }

    private enum CodingKeys: String, CodingKey {
        case inferred, offeredAt, offerToAnswerMs, offerToConnectedMs, transports, candidateTypes, relayed, legCount,
            counts
    }

    package func encode(to encoder: any Encoder) throws {
        try CallPayload(self.record.call, participants: self.participants).encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.record.call.isInferred, forKey: .inferred)
        try container.encode(self.record.call.offeredAt, forKey: .offeredAt)
        try container.encode(self.record.call.offerToAnswerMs, forKey: .offerToAnswerMs)
        try container.encode(self.record.call.offerToConnectedMs, forKey: .offerToConnectedMs)
        try container.encode(self.record.transports.transports, forKey: .transports)
        try container.encode(self.record.candidateTypes.names, forKey: .candidateTypes)
        try container.encode(self.record.isRelayed, forKey: .relayed)
        try container.encode(self.record.legCount, forKey: .legCount)
        try container.encode(CallCountsPayload(counts: self.record.counts), forKey: .counts)
    }
}

/// What happened to what was sent.
private struct CallCountsPayload: Encodable {
    let counts: CallCounts

    private enum CodingKeys: String, CodingKey { case delivered, expired, dropped, retried, omitted }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.counts.delivered, forKey: .delivered)
        try container.encode(self.counts.expired, forKey: .expired)
        try container.encode(self.counts.dropped, forKey: .dropped)
        try container.encode(self.counts.retried, forKey: .retried)
        try container.encode(self.counts.omitted, forKey: .omitted)
    }
}

/// The whole record of one call.
package struct CallDetailsPayload: Encodable, Sendable {
    package let details: CallDetails
    package let participants: [ParticipantPayload]

    package init(_ details: CallDetails, participants: [ParticipantPayload]) {
        (self.details, self.participants) = (details, participants)
    }

    private enum CodingKeys: String, CodingKey { case legs, timeline, quality, diagnosis }

    package func encode(to encoder: any Encoder) throws {
        try CallRecordPayload(self.details.record, participants: self.participants).encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.details.rows.legs.map(LegPayload.init), forKey: .legs)
        try container.encode(self.details.timeline.map(TimelineEntryPayload.init), forKey: .timeline)
        try container.encode(self.details.qualities.map(QualityPayload.init), forKey: .quality)
        try container.encode(CallDiagnosis.of(self.details), forKey: .diagnosis)
    }
}

/// One joining of a call.
private struct LegPayload: Encodable {
    let leg: Leg

    init(_ leg: Leg) { self.leg = leg }

    private enum CodingKeys: String, CodingKey {
        case id, user, device, transport, joinedAt, offeredAt, leftAt, endReason, candidateTypes
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.leg.id, forKey: .id)
        try container.encode(self.leg.user, forKey: .user)
        try container.encode(self.leg.device, forKey: .device)
        try container.encode(self.leg.transport, forKey: .transport)
        try container.encode(self.leg.joinedAt, forKey: .joinedAt)
        try container.encode(self.leg.offeredAt, forKey: .offeredAt)
        try container.encode(self.leg.leftAt, forKey: .leftAt)
        try container.encode(self.leg.endReason, forKey: .endReason)
        try container.encode(self.leg.candidateTypes.names, forKey: .candidateTypes)
    }
}

/// A line of the timeline.
private struct TimelineEntryPayload: Encodable {
    let entry: TimelineEntry

    init(_ entry: TimelineEntry) { self.entry = entry }

    private enum CodingKeys: String, CodingKey { case at, kind, user, data }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.entry.at, forKey: .at)
        try container.encode(self.entry.kind, forKey: .kind)
        try container.encode(self.entry.user, forKey: .user)
        try container.encode(try JSON.decode(JSONValue.self, from: self.entry.data), forKey: .data)
    }
}

/// What one leg reported of its connection to a peer.
private struct QualityPayload: Encodable {
    let quality: CallQuality

    init(_ quality: CallQuality) { self.quality = quality }

    private enum CodingKeys: String, CodingKey {
        case user, leg, peer, firstAt, lastAt, reportCount, localCandidateType, remoteCandidateType, `protocol`,
            relayProtocol, metrics
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.quality.user, forKey: .user)
        try container.encode(self.quality.leg, forKey: .leg)
        try container.encode(self.quality.peer, forKey: .peer)
        try container.encode(self.quality.firstAt, forKey: .firstAt)
        try container.encode(self.quality.lastAt, forKey: .lastAt)
        try container.encode(self.quality.reportCount, forKey: .reportCount)
        try container.encode(self.quality.localCandidateType, forKey: .localCandidateType)
        try container.encode(self.quality.remoteCandidateType, forKey: .remoteCandidateType)
        try container.encode(self.quality.candidateProtocol, forKey: .protocol)
        try container.encode(self.quality.relayProtocol, forKey: .relayProtocol)
        try container.encode(self.quality.metrics, forKey: .metrics)
    }
}

/// One of the asker's own calls.
package struct OwnCallPayload: Encodable, Sendable {
    package let call: CallPayload
    /// When the asker missed it.
    package let missedAt: Timestamp?
    /// Whether they missed it and have not seen that yet.
    package let isUnseen: Bool

    private enum CodingKeys: String, CodingKey { case missed, missedAt, unseen }

    package func encode(to encoder: any Encoder) throws {
        try self.call.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.missedAt != nil, forKey: .missed)
        try container.encode(self.missedAt, forKey: .missedAt)
        try container.encode(self.isUnseen, forKey: .unseen)
    }
}

/// `data` of `call.seen`, and the answer that caused it: missed calls up to `until` are seen, so many are not.
package struct CallsSeenPayload: Encodable, Sendable {
    package let until: Timestamp
    package let unseenCount: Int
}
