import Core

extension SQLiteReading {
    func callRows(_ id: CallID) throws -> CallRows? {
        let call = try self.db.first("SELECT \(Call.table.selection) FROM call WHERE id = ?1", [id.text]) {
            try Call(&$0)
        }
        guard let call else { return nil }
        return CallRows(
            call: call,
            participants: try self.all(Participant.table, "participant", of: id) { try Participant(&$0) },
            legs: try self.all(Leg.table, "leg", of: id) { try Leg(&$0) },
            descriptions: try self.all(Description.table, "description", of: id) { try Description(&$0) },
            held: try self.all(HeldCandidates.table, "heldCandidates", of: id) { try HeldCandidates(&$0) },
            candidateCounts: try self.all(CandidateCount.table, "candidateCount", of: id) { row in
                row.skip()
                return CandidateCount(&row)
            })
    }

    func timeline(of call: CallID) throws -> [TimelineEntry] {
        try self.all(TimelineEntry.table, "timelineEntry", of: call) { row in
            row.skip()
            return TimelineEntry(&row)
        }
    }

    func qualities(of call: CallID) throws -> [CallQuality] {
        try self.all(CallQuality.table, "callQuality", of: call) { try CallQuality(&$0) }
    }

    func quality(of leg: LegID, peer: UserID?) throws -> CallQuality? {
        try self.db.first(
            "SELECT \(CallQuality.table.selection) FROM callQuality WHERE leg = ?1 AND ifnull(peer, '') = ?2",
            [leg.text, peer?.text ?? ""]
        ) { try CallQuality(&$0) }
    }

    func qualityCount(of call: CallID) throws -> Int {
        Int(try self.db.integer("SELECT count(*) FROM callQuality WHERE call = ?1", [call.text]))
    }

    /// All rows of one call, in the order in which they were first inserted.
    private func all<Value>(
        _ table: Table, _ name: String, of call: CallID, _ read: (inout Columns) throws -> Value
    ) throws -> [Value] {
        try self.db.all(
            "SELECT \(table.selection) FROM \(name) WHERE call = ?1 ORDER BY position", [call.text], read: read)
    }

    func calls(in room: RoomID, state: CallState?, before: CallID?, limit: Int) throws -> [CallID] {
        var conditions = "room = ?1"
        var values: [SQLValue] = [room.text, limit]
        if let state {
            values.append(state.rawValue)
            conditions += " AND state = ?\(values.count)"
        }
        if let before {
            values.append(before.text)
            conditions += " AND id < ?\(values.count)"
        }
        return try self.db.identifiers("SELECT id FROM call WHERE \(conditions) ORDER BY id DESC LIMIT ?2", values)
    }

    func liveCalls(of user: UserID, in room: RoomID?) throws -> [CallID] {
        let sql = """
            SELECT participant.call FROM participant CROSS JOIN call ON call.id = participant.call \
            WHERE participant.user = ?1 AND participant.isLive = 1 AND participant.state IN ('invited', 'joined') \
            \(room == nil ? "" : "AND call.room = ?2") ORDER BY participant.call
            """
        return try self.db.identifiers(sql, room.map { [user.text, $0.text] } ?? [user.text])
    }
}
