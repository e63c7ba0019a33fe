import Core

extension CallRecord {
    /// What follows from the call's rows; the counts are only ever added to.
    static let table = Table(
        "callRecord", key: ["position"],
        [
            "createdAt", "offeredAt", "answeredAt", "connectedAt", "durationSeconds", "transports", "endReason", "room",
            "initiator", "call", "state", "endedBy", "isInferred", "audio", "video", "ringTimeoutSeconds", "ringingAt",
            "endedAt", "candidateTypes", "participantCount", "legCount",
        ])

    /// What ``init(_:)`` reads.
    static let selection =
        CallRecord.table.selection
        + [
            "isRelayed", "deliveredCount", "expiredCount", "droppedCount", "retriedCount", "omittedCount",
        ].map { ", callRecord.\($0)" }.joined()

    init(_ row: inout Columns) throws {
        let position = row.integer()
        let times = (created: row.time(), offered: row.optionalTime(), answered: row.optionalTime())
        let connectedAt = row.optionalTime()
        row.skip()
        let transports = TransportSet(rawValue: Int(row.integer()))
        let endReason: CallEndReason? = try row.optionalValue()
        let (room, initiator, id): (RoomID, UserID, CallID) = (row.id(), row.id(), row.id())
        let state: CallState = try row.value()
        let (endedBy, isInferred): (UserID?, Bool) = (row.optionalID(), row.flag())
        let media = CallMedia(audio: row.flag(), video: row.flag())
        let call = Call(
            id: id, room: room, initiator: initiator, state: state, endReason: endReason, endedBy: endedBy,
            media: media, ringTimeoutSeconds: Int(row.integer()), createdAt: times.created,
            ringingAt: row.optionalTime(), offeredAt: times.offered, answeredAt: times.answered,
            connectedAt: connectedAt, endedAt: row.optionalTime(), isInferred: isInferred)
        self.init(
            position: position, call: call, transports: transports,
            candidateTypes: CandidateTypes(rawValue: Int(row.integer())), participantCount: Int(row.integer()),
            legCount: Int(row.integer()), isRelayed: row.optionalInteger().map { $0 != 0 },
            counts: CallCounts(
                delivered: Int(row.integer()), expired: Int(row.integer()), dropped: Int(row.integer()),
                retried: Int(row.integer()), omitted: Int(row.integer())))
    }

    var values: [SQLValue] {
        let call = self.call
        return [
            self.position, call.createdAt.milliseconds, call.offeredAt?.milliseconds, call.answeredAt?.milliseconds,
            call.connectedAt?.milliseconds, call.durationSeconds, self.transports.rawValue, call.endReason?.rawValue,
            call.room.text, call.initiator.text, call.id.text, call.state.rawValue, call.endedBy?.text, call.isInferred,
            call.media.audio, call.media.video, call.ringTimeoutSeconds, call.ringingAt?.milliseconds,
            call.endedAt?.milliseconds, self.candidateTypes.rawValue, self.participantCount, self.legCount,
        ]
    }
}

extension CallFigures {
    /// - parameter key: the column by which calls are grouped; empty for none.
    static func selection(key: String) -> String {
        "position, createdAt, offeredAt, answeredAt, connectedAt, durationSeconds, transports, isRelayed, endReason"
            .split(separator: ", ").map { "callRecord.\($0)" }.joined(separator: ", ")
            + (key.isEmpty ? ", ''" : ", callRecord.\(key)")
    }

    /// - parameter row: begins behind the column `position`.
    init(_ row: inout Columns) throws {
        self.init(
            createdAt: row.integer(), offeredAt: row.optionalInteger(), answeredAt: row.optionalInteger(),
            connectedAt: row.optionalInteger(), durationSeconds: row.optionalInteger().map { Int($0) },
            transports: TransportSet(rawValue: Int(row.integer())), isRelayed: row.optionalInteger().map { $0 != 0 },
            endReason: try row.optionalValue(), key: row.text())
    }
}
