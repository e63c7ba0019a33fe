import Core

extension SQLiteReading {
    func callRecord(_ id: CallID) throws -> CallRecord? {
        try self.db.first("SELECT \(CallRecord.selection) FROM callRecord WHERE call = ?1", [id.text]) {
            try CallRecord(&$0)
        }
    }

    func callRecords(_ query: CallQuery, _ stretch: CallStretch) throws -> [CallRecord] {
        var plan = RecordPlan(query)
        plan.bound(stretch)
        let sql = plan.sql(CallRecord.selection, order: stretch.isAscending ? "ASC" : "DESC")
        return try self.db.all(sql, plan.values + [stretch.limit]) { try CallRecord(&$0) }
    }

    func callFigures(
        _ query: CallQuery, by grouping: CallGrouping?, after: Int64, limit: Int
    ) throws -> (figures: [CallFigures], last: Int64?) {
        var plan = RecordPlan(query)
        plan.bound(CallStretch(after: after, limit: limit))
        let key =
            switch grouping {
            case .room: "room"
            case .initiator: "initiator"
            case .endReason, .transport, nil: ""
            }
        var last = after
        let figures = try self.db.all(
            plan.sql(CallFigures.selection(key: key), order: "ASC"), plan.values + [limit]
        ) { row in
            last = row.integer()
            return try CallFigures(&row)
        }
        return (figures, figures.count < limit ? nil : last)
    }

    func participants(of call: CallID) throws -> [(participant: Participant, user: User)] {
        try self.db.all(
            """
            SELECT \(Participant.table.selection), \(User.table.selection) \
            FROM participant CROSS JOIN user ON user.id = participant.user \
            WHERE participant.call = ?1 ORDER BY participant.position
            """, [call.text]
        ) { row in
            let participant = try Participant(&row)
            // `isLive`, which is the call's.
            row.skip()
            return (participant, try User(&row))
        }
    }

    // MARK: One's own calls

    func ownCalls(_ query: OwnCallQuery, _ stretch: CallStretch) throws -> [OwnCall] {
        var conditions = ["mine.user = ?1", Self.mayRead]
        var values: [SQLValue] = [query.user.text, stretch.limit]
        func require(_ condition: String, _ value: SQLValue) {
            values.append(value)
            conditions.append(condition.replacing("?", with: "?\(values.count)"))
        }
        if query.isMissedOnly || query.missedAfter != nil { conditions.append("mine.missedAt IS NOT NULL") }
        if let after = query.missedAfter { require("mine.missedAt > ?", after.milliseconds) }
        if let with = query.with {
            require(
                """
                EXISTS (SELECT 1 FROM callRecordParticipant AS theirs \
                WHERE theirs.user = ? AND theirs.position = mine.position)
                """, with.text)
        }
        if let before = stretch.before { require("mine.position < ?", before) }
        if let after = stretch.after { require("mine.position > ?", after) }
        let sql = """
            SELECT mine.missedAt, \(CallRecord.selection) FROM callRecordParticipant AS mine \
            CROSS JOIN callRecord ON callRecord.position = mine.position \
            WHERE \(conditions.joined(separator: " AND ")) \
            ORDER BY mine.position \(stretch.isAscending ? "ASC" : "DESC") LIMIT ?2
            """
        return try self.db.all(sql, values) { row in
            let missedAt = row.optionalTime()
            return OwnCall(record: try CallRecord(&row), missedAt: missedAt)
        }
    }

    /// Whoever has left a room does not read its calls any more.
    private static var mayRead: String {
        "EXISTS (SELECT 1 FROM member WHERE member.room = mine.room AND member.user = mine.user)"
    }

    func missedCallCount(of user: UserID, after time: Timestamp, max: Int) throws -> Int {
        Int(
            try self.db.integer(
                """
                SELECT count(*) FROM (SELECT 1 FROM callRecordParticipant AS mine INDEXED BY callRecordMissed \
                WHERE mine.user = ?1 AND mine.missedAt > ?2 AND \(Self.mayRead) LIMIT ?3)
                """, [user.text, time.milliseconds, max]))
    }

    func callsSeen(by user: UserID) throws -> Timestamp? {
        try self.db.first("SELECT until FROM callsSeen WHERE user = ?1", [user.text]) { $0.time() }
    }

    func description(_ signal: SignalID, of call: CallID) throws -> TimelineEntry? {
        try self.db.first(
            """
            SELECT \(TimelineEntry.table.selection) FROM timelineEntry \
            WHERE call = ?1 AND kind IN ('offer', 'answer') AND json_extract(data, '$.signal') = ?2 LIMIT 1
            """, [call.text, signal.text]
        ) { row in
            row.skip()
            return TimelineEntry(&row)
        }
    }

    func timelineCount(of call: CallID) throws -> Int {
        Int(try self.db.integer("SELECT count(*) FROM timelineEntry WHERE call = ?1", [call.text]))
    }
}
