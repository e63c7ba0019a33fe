import Core

extension SQLiteWriter {
    /// Keeps the call's record as its rows say, in the same savepoint.
    func saveRecord(of new: CallRows, replacing old: CallRows?) throws {
        guard let old else {
            let position = try self.newPosition(at: new.call.createdAt)
            let record = CallRecord(new, position: position)
            try self.db.run(CallRecord.table.insert, record.values)
            return try self.saveParticipants(new, record, replacing: nil)
        }
        let (before, after) = (CallRecord(old, position: 0), CallRecord(new, position: 0))
        guard before != after || old.participants != new.participants else { return }
        guard var record = try self.callRecord(new.call.id) else { return }
        let transports = record.transports.union(after.transports)
        let hasChanged = before != after
        (record.call, record.candidateTypes) = (after.call, after.candidateTypes)
        // Legs are never deleted, but a leg's transport changes: the record keeps all that it was.
        record.transports = transports
        // Rows that were given without what is kept for the record (see `save`) take nothing from it.
        record.participantCount = max(record.participantCount, after.participantCount)
        record.legCount = max(record.legCount, after.legCount)
        if hasChanged { try self.db.run(CallRecord.table.update, record.values) }
        try self.saveParticipants(new, record, replacing: old)
    }

    private func newPosition(at time: Timestamp) throws -> Int64 {
        let first = CallRecord.firstPosition(at: time)
        let next = try self.db.integer(
            "SELECT ifnull(max(position) + 1, ?1) FROM callRecord WHERE position >= ?1 AND position <= ?2",
            [first, first + CallRecord.positionsPerMillisecond])
        guard next > first + CallRecord.positionsPerMillisecond else { return next }
        return try self.db.integer("SELECT max(position) + 1 FROM callRecord")
    }

    private func saveParticipants(_ new: CallRows, _ record: CallRecord, replacing old: CallRows?) throws {
        let known = Set((old?.participants ?? []).map(\.user))
        let former = Dictionary(
            (old?.participants ?? []).map { ($0.user, old?.missedAt(by: $0)) }, uniquingKeysWith: { $1 })
        let callChanged =
            old.map { old in
                old.call.endReason != new.call.endReason
                    || TransportSet(old.legs.map(\.transport)) != TransportSet(new.legs.map(\.transport))
            } ?? true
        for participant in new.participants {
            let missedAt = new.missedAt(by: participant)
            guard callChanged || !known.contains(participant.user) || former[participant.user] != missedAt else {
                continue
            }
            try self.db.run(
                """
                INSERT INTO callRecordParticipant \
                (user, position, room, endReason, transports, durationSeconds, missedAt) \
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (user, position) DO UPDATE SET \
                endReason = excluded.endReason, transports = excluded.transports, \
                durationSeconds = excluded.durationSeconds, missedAt = excluded.missedAt
                """,
                [
                    participant.user.text, record.position, new.call.room.text, new.call.endReason?.rawValue,
                    record.transports.rawValue, new.call.durationSeconds, missedAt?.milliseconds,
                ])
        }
    }

    /// A leg was seen on another wire than before.
    func noteTransport(_ transport: Transport, of call: CallID) throws {
        let bit = TransportSet(transport).rawValue
        guard let record = try self.callRecord(call), !record.transports.contains(TransportSet(transport)) else {
            return
        }
        try self.db.run(
            "UPDATE callRecord SET transports = transports | ?2 WHERE position = ?1", [record.position, bit])
        try self.db.run(
            """
            UPDATE callRecordParticipant SET transports = transports | ?2 \
            WHERE position = ?1 AND user IN (SELECT user FROM participant WHERE call = ?3)
            """, [record.position, bit, call.text])
    }

    func count(_ counts: CallCounts, of call: CallID) throws {
        try self.db.run(
            """
            UPDATE callRecord SET deliveredCount = deliveredCount + ?2, expiredCount = expiredCount + ?3, \
            droppedCount = droppedCount + ?4, retriedCount = retriedCount + ?5, omittedCount = omittedCount + ?6 \
            WHERE call = ?1
            """, [call.text, counts.delivered, counts.expired, counts.dropped, counts.retried, counts.omitted])
    }

    func setCallsSeen(by user: UserID, until: Timestamp) throws {
        try self.db.run(
            """
            INSERT INTO callsSeen (user, until) VALUES (?1, ?2) \
            ON CONFLICT (user) DO UPDATE SET until = max(until, excluded.until)
            """, [user.text, until.milliseconds])
    }
}
