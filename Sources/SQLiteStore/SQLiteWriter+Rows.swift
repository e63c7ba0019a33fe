import Core

// MARK: Identity

extension SQLiteWriter {
    func insert(_ user: User) throws { try self.db.run(User.table.insert, user.values) }
    func update(_ user: User) throws { try self.db.run(User.table.update, user.values) }
    func insert(_ session: Session) throws { try self.db.run(Session.table.insert, session.values) }
    func update(_ session: Session) throws { try self.db.run(Session.table.update, session.values) }
    func insert(_ token: RefreshToken) throws { try self.db.run(RefreshToken.table.insert, token.values) }
    func insert(_ ticket: StreamTicket) throws { try self.db.run(StreamTicket.table.insert, ticket.values) }
    func update(_ ticket: StreamTicket) throws { try self.db.run(StreamTicket.table.update, ticket.values) }

    func insert(_ key: APIKey) throws { try self.db.run(APIKey.table.insert, key.values) }

    func delete(_ key: APIKey) throws { try self.db.run("DELETE FROM apiKey WHERE id = ?1", [key.id.text]) }

    func sessions(of user: UserID) throws -> [Session] {
        try self.db.all(
            "SELECT \(Session.table.selection) FROM session WHERE user = ?1 AND revokedAt IS NULL ORDER BY id",
            [user.text]
        ) { Session(&$0) }
    }

    func deleteRefreshTokens(of session: SessionID, below generation: Int) throws {
        try self.db.run(
            "DELETE FROM refreshToken WHERE session = ?1 AND generation < ?2", [session.text, generation])
    }
}

// MARK: Rooms and chat

extension SQLiteWriter {
    func insert(_ room: Room) throws { try self.db.run(Room.table.insert, room.values) }
    func update(_ room: Room) throws { try self.db.run(Room.table.update, room.values) }
    func insert(_ member: Member) throws { try self.db.run(Member.table.insert, member.values) }
    func update(_ member: Member) throws { try self.db.run(Member.table.update, member.values) }

    func delete(_ member: Member) throws {
        try self.db.run("DELETE FROM member WHERE room = ?1 AND user = ?2", [member.room.text, member.user.text])
    }

    func update(_ message: Message) throws {
        guard let previous = try self.message(message.id) else { return }
        try self.db.run(Message.table.update, message.values)
        self.noteSearchChange(message, replacing: previous)
    }
}

// MARK: Calls

extension SQLiteWriter {
    func save(_ new: CallRows, replacing old: CallRows?) throws {
        let call = new.call.id
        if let old {
            if old.call != new.call || old.deadline != new.deadline {
                try self.db.run(Call.table.update, new.call.values(deadline: new.deadline))
            }
        } else {
            try self.db.run(Call.table.insert, new.call.values(deadline: new.deadline))
        }
        try self.saveParticipants(new, replacing: old)
        try self.upsert(new.legs, old?.legs, key: \.id, table: Leg.table) { $0.values }
        try self.upsert(new.descriptions, old?.descriptions, key: \.signal, table: Description.table) {
            try $0.values()
        }
        for signal in Self.gone(new.descriptions, old?.descriptions, key: \.signal) {
            try self.db.run("DELETE FROM description WHERE signal = ?1", [signal.text])
        }
        try self.upsert(new.held, old?.held, key: \.signal, table: HeldCandidates.table) { try $0.values() }
        for signal in Self.gone(new.held, old?.held, key: \.signal) {
            try self.db.run("DELETE FROM heldCandidates WHERE signal = ?1", [signal.text])
        }
        try self.upsert(new.candidateCounts, old?.candidateCounts, key: \.key, table: CandidateCount.table) {
            $0.values(call: call)
        }
        for key in Self.gone(new.candidateCounts, old?.candidateCounts, key: \.key) {
            try self.db.run(
                "DELETE FROM candidateCount WHERE call = ?1 AND sender = ?2 AND addressee = ?3 AND generation = ?4",
                [call.text] + key.map { $0 })
        }
        try self.saveRecord(of: new, replacing: old)
    }

    private func saveParticipants(_ new: CallRows, replacing old: CallRows?) throws {
        let isLive = new.call.state != .ended
        try self.upsert(new.participants, old?.participants, key: \.user, table: Participant.table) {
            $0.values(isLive: isLive)
        }
        if let old, (old.call.state != .ended) != isLive {
            try self.db.run("UPDATE participant SET isLive = ?2 WHERE call = ?1", [new.call.id.text, isLive])
        }
    }

    /// Writes what is new or differs.
    private func upsert<Value: Hashable, Key: Hashable>(
        _ new: [Value], _ old: [Value]?, key: (Value) -> Key, table: Table, values: (Value) throws -> [SQLValue]
    ) throws {
        let former = Dictionary((old ?? []).map { (key($0), $0) }, uniquingKeysWith: { $1 })
        for value in new where former[key(value)] != value {
            try self.db.run(table.upsert, try values(value))
        }
    }

    /// The keys that are only in `old`.
    private static func gone<Value, Key: Hashable>(_ new: [Value], _ old: [Value]?, key: (Value) -> Key) -> Set<Key> {
        Set((old ?? []).map(key)).subtracting(new.map(key))
    }

    func insert(_ entry: TimelineEntry, of call: CallID) throws {
        try self.db.run(TimelineEntry.table.insert, entry.values(call: call))
    }

    func save(_ quality: CallQuality) throws {
        try self.db.run(CallQuality.upsert, quality.values())
        guard quality.isPathKnown else { return }
        try self.db.run(
            "UPDATE callRecord SET isRelayed = ?2 WHERE call = ?1 AND ifnull(isRelayed, -1) < ?2",
            [quality.call.text, quality.isRelayed])
    }
}

extension CandidateCount {
    /// What names a row beside its call: sender, addressee and generation.
    fileprivate var key: [String] { [self.from.text, self.to.text, self.generation] }
}

// MARK: Idempotency and housekeeping

extension SQLiteWriter {
    /// Replaces an answer that has outlived its time but was not deleted yet.
    func insert(_ answer: IdempotentAnswer) throws {
        try self.db.run(
            "INSERT OR REPLACE INTO idempotentAnswer (\(IdempotentAnswer.columns)) VALUES (?1, ?2, ?3, ?4)",
            answer.values)
    }

    func deleteExpired(
        answersBefore: Timestamp, ticketsBefore: Timestamp, sessionsUnusedBefore: Timestamp, limit: Int
    ) throws {
        try self.db.run(
            """
            DELETE FROM idempotentAnswer WHERE position IN \
            (SELECT position FROM idempotentAnswer WHERE createdAt < ?1 ORDER BY createdAt LIMIT ?2)
            """, [answersBefore.milliseconds, limit])
        try self.db.run(
            """
            DELETE FROM streamTicket WHERE hash IN \
            (SELECT hash FROM streamTicket WHERE createdAt < ?1 ORDER BY createdAt LIMIT ?2)
            """, [ticketsBefore.milliseconds, limit])
        try self.db.run(
            """
            DELETE FROM refreshToken WHERE hash IN (SELECT refreshToken.hash FROM session \
            CROSS JOIN refreshToken ON refreshToken.session = session.id WHERE session.lastUsedAt < ?1 LIMIT ?2)
            """, [sessionsUnusedBefore.milliseconds, limit])
    }
}
