import Core

extension MemoryReading {
    func callRecord(_ id: CallID) throws -> CallRecord? { self.state.records[id] }

    func callRecords(_ query: CallQuery, _ stretch: CallStretch) throws -> [CallRecord] {
        self.stretch(stretch) { self.matches($0, query) }
    }

    func callFigures(
        _ query: CallQuery, by grouping: CallGrouping?, after: Int64, limit: Int
    ) throws -> (figures: [CallFigures], last: Int64?) {
        let records = self.stretch(CallStretch(after: after, limit: limit)) { self.matches($0, query) }
        let figures = records.map { record in
            let key =
                switch grouping {
                case .room: record.call.room.text
                case .initiator: record.call.initiator.text
                case .endReason, .transport, nil: ""
                }
            return CallFigures(
                createdAt: record.call.createdAt.milliseconds, offeredAt: record.call.offeredAt?.milliseconds,
                answeredAt: record.call.answeredAt?.milliseconds, connectedAt: record.call.connectedAt?.milliseconds,
                durationSeconds: record.call.durationSeconds, transports: record.transports,
                isRelayed: record.isRelayed, endReason: record.call.endReason, key: key)
        }
        return (figures, records.count < limit ? nil : records.last?.position)
    }

    private func stretch(_ stretch: CallStretch, where isWanted: (CallRecord) -> Bool) -> [CallRecord] {
        let found = self.state.records.values.filter { record in
            stretch.before.map { record.position < $0 } ?? true && stretch.after.map { record.position > $0 } ?? true
                && isWanted(record)
        }
        return Array(
            found.sorted { stretch.isAscending ? $0.position < $1.position : $0.position > $1.position }
                .prefix(stretch.limit))
    }

    private func participant(_ user: UserID, of call: CallID) -> Participant? {
        self.state.calls[call]?.participants.first { $0.user == user }
    }

    private func matches(_ record: CallRecord, _ query: CallQuery) -> Bool {
        let call = record.call
        return query.user.map { self.participant($0, of: call.id) != nil } ?? true
            && query.room.map { call.room == $0 } ?? true && query.state.map { call.state == $0 } ?? true
            && query.endReason.map { call.endReason == $0 } ?? true && query.since.map { call.createdAt >= $0 } ?? true
            && query.until.map { call.createdAt < $0 } ?? true
            && query.durationSecondsMin.map { call.durationSeconds ?? -1 >= $0 } ?? true
            && query.transport.map { record.transports.contains(TransportSet($0)) } ?? true
    }

    func participants(of call: CallID) throws -> [(participant: Participant, user: User)] {
        (self.state.calls[call]?.participants ?? []).compactMap { participant in
            self.state.users[participant.user].map { (participant, $0) }
        }
    }

    func ownCalls(_ query: OwnCallQuery, _ stretch: CallStretch) throws -> [OwnCall] {
        let missedAt = { (record: CallRecord) in
            self.state.calls[record.call.id].flatMap { rows in
                self.participant(query.user, of: record.call.id).flatMap(rows.missedAt)
            }
        }
        let records = self.stretch(stretch) { record in
            self.participant(query.user, of: record.call.id) != nil
                && self.state.members[MemoryState.MemberKey(room: record.call.room, user: query.user)] != nil
                && query.with.map { self.participant($0, of: record.call.id) != nil } ?? true
                && (!query.isMissedOnly || missedAt(record) != nil)
                && query.missedAfter.map { time in missedAt(record).map { $0 > time } ?? false } ?? true
        }
        return records.map { OwnCall(record: $0, missedAt: missedAt($0)) }
    }

    func missedCallCount(of user: UserID, after time: Timestamp, max: Int) throws -> Int {
        try self.ownCalls(OwnCallQuery(user: user, missedAfter: time), CallStretch(limit: max)).count
    }

    func callsSeen(by user: UserID) throws -> Timestamp? { self.state.callsSeen[user] }

    func description(_ signal: SignalID, of call: CallID) throws -> TimelineEntry? {
        self.state.timelines[call]?.first { entry in
            ["offer", "answer"].contains(entry.kind)
                && (try? JSON.decode(JSONValue.self, from: entry.data))?["signal"] == .string(signal.text)
        }
    }

    func timelineCount(of call: CallID) throws -> Int { self.state.timelines[call]?.count ?? 0 }
}

extension MemoryWriter {
    func saveRecord(of rows: CallRows) {
        let former = self.state.records[rows.call.id]
        let first = CallRecord.firstPosition(at: rows.call.createdAt)
        let position =
            former?.position
            ?? self.state.records.values.map(\.position)
            .filter { (first..<first + CallRecord.positionsPerMillisecond).contains($0) }.max().map { $0 + 1 } ?? first
        var record = CallRecord(rows, position: position)
        record.transports.formUnion(former?.transports ?? [])
        record.counts = former?.counts ?? CallCounts()
        record.isRelayed = former?.isRelayed
        self.state.records[rows.call.id] = record
    }

    func count(_ counts: CallCounts, of call: CallID) throws {
        guard var record = self.state.records[call] else { return }
        record.counts.delivered += counts.delivered
        record.counts.expired += counts.expired
        record.counts.dropped += counts.dropped
        record.counts.retried += counts.retried
        record.counts.omitted += counts.omitted
        self.state.records[call] = record
    }

    func setCallsSeen(by user: UserID, until: Timestamp) throws {
        self.state.callsSeen[user] = max(until, self.state.callsSeen[user] ?? until)
    }
}
