extension CallRecordPayload {
    /// Columns stay in this order; new ones come at the end.
    package static let csvHeadings = [
        "id", "room", "initiator", "initiatorName", "participants", "participantNames", "state", "endReason", "endedBy",
        "inferred", "audio", "video", "createdAt", "ringingAt", "offeredAt", "answeredAt", "connectedAt", "endedAt",
        "durationSeconds", "offerToAnswerMs", "offerToConnectedMs", "transports", "candidateTypes", "relayed", "legs",
        "delivered", "expired", "dropped", "retried",
    ]

    /// One field for each heading; empty for what there is not. Several values are separated by spaces, names by
    /// semicolons.
    package var csvFields: [String] {
        let call = self.record.call
        let counts = self.record.counts
        let names = self.participants.map { $0.user?.displayName ?? "" }
        let initiator = self.participants.first { $0.participant.user == call.initiator }
        let number = { (value: Int64?) in value.map { String($0) } ?? "" }
        let time = { (value: Timestamp?) in value?.rfc3339 ?? "" }
        return [
            call.id.text, call.room.text, call.initiator.text, initiator?.user?.displayName ?? "",
            self.participants.map(\.participant.user.text).joined(separator: " "), names.joined(separator: "; "),
            call.state.rawValue, call.endReason?.rawValue ?? "", call.endedBy?.text ?? "", String(call.isInferred),
            String(call.media.audio), String(call.media.video), time(call.createdAt), time(call.ringingAt),
            time(call.offeredAt), time(call.answeredAt), time(call.connectedAt), time(call.endedAt),
            number(call.durationSeconds.map(Int64.init)), number(call.offerToAnswerMs),
            number(call.offerToConnectedMs), self.record.transports.transports.map(\.rawValue).joined(separator: " "),
            self.record.candidateTypes.names.joined(separator: " "), self.record.isRelayed.map { String($0) } ?? "",
            String(self.record.legCount), String(counts.delivered), String(counts.expired), String(counts.dropped),
            String(counts.retried),
        ]
    }
}
