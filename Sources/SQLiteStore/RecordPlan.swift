import Core

/// How a query for calls is carried out: which index is walked, in the order of positions, and what is asked of each
/// of its entries. Named in the SQL, as the planner knows nothing of what is rare; docs/records.md explains the choice.
struct RecordPlan {
    /// What follows `FROM`.
    private(set) var source = "callRecord"
    /// The column that is walked.
    private(set) var position = "callRecord.position"
    private(set) var conditions: [String] = []
    /// `?1`… of the conditions.
    private(set) var values: [SQLValue] = []

    /// Reasons for which few calls end: their index is the shortest way to any of them.
    private static let rareReasons: Set<CallEndReason> = [.busy, .failed, .lost, .endedByAdmin, .tooLong]
    /// Reasons for which calls end that nobody answered, and that so lasted no time.
    private static let unansweredReasons: Set<CallEndReason> = [.missed, .cancelled, .rejected]
    /// Durations with an index of their own, the longest first.
    private static let durations = [(3600, "callRecordHour"), (600, "callRecordTenMinutes"), (60, "callRecordMinute")]

    init(_ query: CallQuery, _ stretch: CallStretch) {
        var table = "callRecord"
        if let state = query.state, state != .ended {
            self.walk("callRecordLive", "callRecord.state <> 'ended' AND callRecord.state = ", state.rawValue)
            self.require(participant: query.user)
        } else if let user = query.user {
            self.source =
                "callRecordParticipant CROSS JOIN callRecord ON callRecord.position = callRecordParticipant.position"
            self.position = "callRecordParticipant.position"
            table = "callRecordParticipant"
            self.require("callRecordParticipant.user =", user.text)
        } else if let reason = query.endReason, Self.rareReasons.contains(reason) {
            self.walk("callRecordByEndReason", "callRecord.endReason = ", reason.rawValue)
        } else if let room = query.room {
            self.walk("callRecordByRoom", "callRecord.room = ", room.text)
        } else if let seconds = query.durationSecondsMin, seconds >= Self.durations[0].0 {
            self.source = "callRecord INDEXED BY \(Self.durations[0].1)"
        } else if let transport = query.transport {
            self.source = "callRecord INDEXED BY \(Self.index(of: transport))"
        } else if let reason = query.endReason, Self.unansweredReasons.contains(reason) {
            self.walk("callRecordByEndReason", "callRecord.endReason = ", reason.rawValue)
        } else if let (_, index) = Self.durations.first(where: { $0.0 <= query.durationSecondsMin ?? 0 }) {
            self.source = "callRecord INDEXED BY \(index)"
        } else if let reason = query.endReason {
            self.walk("callRecordByEndReason", "callRecord.endReason = ", reason.rawValue)
        }
        self.filter(query, in: table)
        // One bound at each end: of two, SQLite begins at the first that it finds and walks to the other.
        let lower = [query.since.map(CallRecord.firstPosition), stretch.after.map { $0 == .max ? $0 : $0 + 1 }]
        let upper = [query.until.map(CallRecord.firstPosition), stretch.before]
        if let least = lower.compactMap(\.self).max() { self.require("\(self.position) >=", least) }
        if let most = upper.compactMap(\.self).min() { self.require("\(self.position) <", most) }
    }

    private mutating func require(_ condition: String, _ value: SQLValue) {
        self.values.append(value)
        self.conditions.append("\(condition) ?\(self.values.count)")
    }

    private mutating func require(participant: UserID?) {
        guard let participant else { return }
        self.values.append(participant.text)
        self.conditions.append(
            """
            EXISTS (SELECT 1 FROM callRecordParticipant WHERE callRecordParticipant.user = ?\(self.values.count) \
            AND callRecordParticipant.position = callRecord.position)
            """)
    }

    private mutating func walk(_ index: String, _ condition: String, _ value: String) {
        self.source = "callRecord INDEXED BY \(index)"
        self.require(condition, value)
    }

    /// All that the query asks for; what the walked index begins with is asked twice, at no cost.
    private mutating func filter(_ query: CallQuery, in table: String) {
        if let room = query.room { self.require("\(table).room =", room.text) }
        // Who has ended has a reason, and the reason is in the indexes.
        if query.state == .ended { self.conditions.append("\(table).endReason IS NOT NULL") }
        if let reason = query.endReason { self.require("\(table).endReason =", reason.rawValue) }
        if let transport = query.transport {
            self.conditions.append("\(table).transports & \(TransportSet(transport).rawValue)")
        }
        if let seconds = query.durationSecondsMin {
            if let threshold = Self.durations.first(where: { $0.0 <= seconds })?.0 {
                self.conditions.append("\(table).durationSeconds >= \(threshold)")
            }
            self.require("\(table).durationSeconds >=", seconds)
        }
    }

    private static func index(of transport: Transport) -> String {
        switch transport {
        case .sse: "callRecordSSE"
        case .ndjson: "callRecordNDJSON"
        case .poll: "callRecordPoll"
        case .websocket: "callRecordWebSocket"
        case .bridge: "callRecordBridge"
        }
    }

    /// - parameter order: `ASC` or `DESC`, by position.
    /// - returns: the statement; its last parameter is the limit.
    func sql(_ selection: String, order: String) -> String {
        let filter = self.conditions.isEmpty ? "" : "WHERE \(self.conditions.joined(separator: " AND ")) "
        return "SELECT \(selection) FROM \(self.source) \(filter)ORDER BY \(self.position) \(order) "
            + "LIMIT ?\(self.values.count + 1)"
    }
}
