// What admins ask about calls, and what people ask about their own. That the asker is an admin is the caller's
// business.

extension StoreReader {
    /// Fills in whom and what a query names otherwise than by id. An id is taken as it is: records outlive their users.
    ///
    /// - throws: ``Problem`` `validation-failed` naming `user` or `room`, if there is none of that name.
    package func resolving(
        _ query: CallQuery, user: UserReference?, room: RoomReference?, as asker: User
    ) throws -> CallQuery {
        var query = query
        query.user = try user.map { try self.recordedUser($0, field: "user", as: asker) }
        switch room {
        case .id(let id): query.room = id
        case .name(let name):
            guard let found = try self.room(name: name) else { throw Problem.invalid("room", "must be a room") }
            query.room = found.id
        case nil: break
        }
        return query
    }

    private func recordedUser(_ reference: UserReference, field: String, as asker: User) throws -> UserID {
        switch reference {
        case .me: return asker.id
        case .id(let id): return id
        case .username(let name):
            guard let found = try self.user(username: name) else { throw Problem.invalid(field, "must be a user") }
            return found.id
        }
    }

    /// A page of calls with their participants.
    ///
    /// - throws: ``Problem`` `validation-failed` naming `before` or `after`, if that is no call.
    package func callRecords(
        _ query: CallQuery, before: CallID?, after: CallID?, limit: Int
    ) throws -> [CallRecordPayload] {
        let stretch = CallStretch(
            before: try self.position(of: before, field: "before"), after: try self.position(of: after, field: "after"),
            limit: limit)
        return try self.callRecords(query, stretch).map { try self.payload(of: $0) }
    }

    private func position(of call: CallID?, field: String) throws -> Int64? {
        guard let call else { return nil }
        guard let record = try self.callRecord(call) else { throw Problem.invalid(field, "must be a call") }
        return record.position
    }

    package func payload(of record: CallRecord) throws -> CallRecordPayload {
        CallRecordPayload(record, participants: try self.participantPayloads(of: record.call.id))
    }

    private func participantPayloads(of call: CallID) throws -> [ParticipantPayload] {
        try self.participants(of: call).map { ParticipantPayload($0.participant, $0.user) }
    }

    /// The whole record of a call.
    ///
    /// - throws: ``Problem`` `not-found`.
    package func callDetails(_ id: CallID) throws -> CallDetailsPayload {
        guard let record = try self.callRecord(id), let rows = try self.callRows(id) else { throw Problem.notFound }
        let participants = try self.participantPayloads(of: id)
        let users = try self.usersByID(
            participants.map(\.participant.user) + [record.call.endedBy].compactMap(\.self))
        let names = users.mapValues { $0.username.map { "@\($0)" } ?? $0.displayName }
        return CallDetailsPayload(
            CallDetails(
                record: record, rows: rows, timeline: try self.timeline(of: id),
                qualities: try self.qualities(of: id), names: names),
            participants: participants)
    }

    /// What the groups of statistics are called.
    package func names(of groups: [String], by grouping: CallGrouping?) throws -> [String: String] {
        var names: [String: String] = [:]
        for group in groups {
            switch grouping {
            case .room: names[group] = try self.room(RoomID(known: group)).map { $0.name ?? $0.title }
            case .initiator: names[group] = try self.user(UserID(known: group)).map { $0.username ?? $0.displayName }
            case .endReason, .transport, nil: break
            }
        }
        return names
    }

    // MARK: One's own calls

    /// A page of the asker's own calls, and how many of all they missed and have not seen.
    ///
    /// - throws: ``Problem`` `validation-failed` naming `before` or `after`, if that is no call of theirs.
    package func ownCalls(
        with: UserReference?, isMissedOnly: Bool, isUnseenOnly: Bool, before: CallID?, after: CallID?, limit: Int,
        as user: User
    ) throws -> (calls: [OwnCallPayload], unseenCount: Int) {
        let seen = try self.callsSeen(by: user.id) ?? Timestamp(milliseconds: 0)
        let unseenCount = try self.unseenCallCount(of: user.id, after: seen)
        let stretch = CallStretch(
            before: try self.ownPosition(of: before, field: "before", user),
            after: try self.ownPosition(of: after, field: "after", user), limit: limit)
        var query = OwnCallQuery(
            user: user.id, isMissedOnly: isMissedOnly, missedAfter: isUnseenOnly ? seen : nil)
        switch with {
        case .me: query.with = user.id
        case .id(let id): query.with = id
        case .username(let name):
            // Whether others exist is nobody's business: one without calls in common is like one who does not.
            guard let found = try self.user(username: name) else { return ([], unseenCount) }
            query.with = found.id
        case nil: break
        }
        let calls = try self.ownCalls(query, stretch).map { own in
            OwnCallPayload(
                call: CallPayload(
                    own.record.call, participants: try self.participantPayloads(of: own.record.call.id)),
                missedAt: own.missedAt, isUnseen: own.missedAt.map { $0 > seen } ?? false)
        }
        return (calls, unseenCount)
    }

    private func ownPosition(of call: CallID?, field: String, _ user: User) throws -> Int64? {
        guard let call else { return nil }
        guard let record = try self.callRecord(call),
            try self.participants(of: call).contains(where: { $0.participant.user == user.id })
        else { throw Problem.invalid(field, "must be a call of yours") }
        return record.position
    }

    func unseenCallCount(of user: UserID, after seen: Timestamp) throws -> Int {
        try self.missedCallCount(of: user, after: seen, max: Limits.unseenCallsCountMax)
    }
}

extension StoreWriter {
    /// The asker has seen the calls that they missed up to a time; their devices hear of it. Never goes back.
    ///
    /// - parameter until: the future counts as now.
    package func markCallsSeen(until: Timestamp, as acting: Acting) throws -> CallsSeenPayload {
        let before = try self.callsSeen(by: acting.user.id)
        let until = max(min(until, acting.now), before ?? until)
        let unseenCount = try self.unseenCallCount(of: acting.user.id, after: until)
        let payload = CallsSeenPayload(until: until, unseenCount: unseenCount)
        guard before != until else { return payload }
        try self.setCallsSeen(by: acting.user.id, until: until)
        try self.append(
            EventDraft(
                .callSeen, to: [.user(acting.user.id)], actor: acting.user.id, at: acting.now,
                data: JSON.text(payload)))
        return payload
    }
}
