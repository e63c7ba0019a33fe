import Core
import Hub

/// One write; thrown away whole if it fails.
final class MemoryWriter: MemoryReading, StoreWriter {
    var state: MemoryState
    private(set) var changes: CommittedChanges
    private(set) var lastAppendedSeq: Int64?

    init(_ state: MemoryState) {
        self.state = state
        self.changes = CommittedChanges(events: [], rewritten: [:], tail: state.tail)
    }

    var nextSeq: Int64 { self.state.tail + 1 }

    func require(_ holds: Bool, _ rule: String) throws {
        guard holds else { throw MemoryConstraintError(description: rule) }
    }

    // MARK: The log

    @discardableResult
    func append(_ draft: EventDraft) throws -> Int64 {
        let event = draft.event(seq: self.nextSeq)
        self.state.events.append(
            MemoryState.LoggedEvent(event: event, message: draft.message, signal: draft.signal))
        self.state.tail = event.seq
        self.changes.events.append(event)
        self.changes.tail = event.seq
        self.lastAppendedSeq = event.seq
        return event.seq
    }

    func redactEvents(of message: MessageID, before seq: Int64, data: String) throws {
        for index in self.state.events.indices
        where self.state.events[index].message == message && self.state.events[index].event.seq < seq {
            self.state.events[index].event.data = data
            let rewritten = self.state.events[index].event.seq
            self.changes.rewritten.updateValue(data, forKey: rewritten)
            for index in self.changes.events.indices where self.changes.events[index].seq == rewritten {
                self.changes.events[index].data = data
            }
        }
    }

    func deleteEvents(of signals: [SignalID]) throws {
        self.deleteEvents { event in event.signal.map(signals.contains) ?? false }
    }

    func deleteSignalEvents(of call: CallID) throws {
        self.deleteEvents { $0.signal != nil && $0.event.call == call }
    }

    func deleteSignalEvents(of call: CallID, leg: LegID) throws {
        self.deleteEvents { event in
            guard event.signal != nil, event.event.call == call,
                let data = try? JSON.decode(JSONValue.self, from: event.event.data)
            else { return false }
            return data["leg"] == .string(leg.text) || data["toLeg"] == .string(leg.text)
        }
    }

    private func deleteEvents(where isGone: (MemoryState.LoggedEvent) -> Bool) {
        let seqs = Set(self.state.events.filter(isGone).map(\.event.seq))
        self.state.events.removeAll { seqs.contains($0.event.seq) }
        self.changes.events.removeAll { seqs.contains($0.seq) }
        for seq in seqs { self.changes.rewritten.updateValue(nil, forKey: seq) }
    }

    func trimEvents(through seq: Int64, limit: Int) throws -> Int {
        let seq = min(seq, self.state.tail)
        let old = self.state.events.prefix { $0.event.seq <= seq }.prefix(limit)
        let reached = old.count < limit ? seq : (old.last?.event.seq ?? 0)
        self.state.events.removeFirst(old.count)
        self.state.trimmedThrough = max(self.state.trimmedThrough, reached)
        return old.count
    }

    func trimBound(olderThan time: Timestamp, countMax: Int) throws -> Int64 {
        let firstYoung = self.state.events.first { $0.event.at >= time }?.event.seq
        return max(firstYoung.map { $0 - 1 } ?? self.state.tail, self.state.tail - Int64(countMax), 0)
    }

    // MARK: Identity

    func insert(_ user: User) throws {
        try self.require(self.state.users[user.id] == nil, "user.id is unique")
        try self.put(user)
    }

    func update(_ user: User) throws {
        if self.state.users[user.id] != nil { try self.put(user) }
    }

    private func put(_ user: User) throws {
        if let username = user.username {
            try self.require(user.deletedAt == nil, "a deleted user has no username")
            try self.require(
                !self.state.users.values.contains { $0.username == username && $0.id != user.id },
                "user.username is unique")
        }
        self.state.users[user.id] = user
    }

    func insert(_ session: Session) throws {
        try self.require(self.state.sessions[session.id] == nil, "session.id is unique")
        try self.require(self.state.users[session.user] != nil, "session.user exists")
        self.state.sessions[session.id] = session
    }

    func update(_ session: Session) throws {
        if self.state.sessions[session.id] != nil { self.state.sessions[session.id] = session }
    }

    func sessions(of user: UserID) throws -> [Session] {
        self.state.sessions.values.filter { $0.user == user && $0.revokedAt == nil }.sorted { $0.id < $1.id }
    }

    func insert(_ token: RefreshToken) throws {
        try self.require(self.state.refreshTokens[token.hash] == nil, "refreshToken.hash is unique")
        try self.require(self.state.sessions[token.session] != nil, "refreshToken.session exists")
        self.state.refreshTokens[token.hash] = token
    }

    func deleteRefreshTokens(of session: SessionID, below generation: Int) throws {
        self.state.refreshTokens = self.state.refreshTokens.filter { _, token in
            token.session != session || token.generation >= generation
        }
    }

    func insert(_ ticket: StreamTicket) throws {
        try self.require(self.state.tickets[ticket.hash] == nil, "streamTicket.hash is unique")
        try self.require(self.state.users[ticket.user] != nil, "streamTicket.user exists")
        self.state.tickets[ticket.hash] = ticket
    }

    func update(_ ticket: StreamTicket) throws {
        if self.state.tickets[ticket.hash] != nil { self.state.tickets[ticket.hash] = ticket }
    }

    // MARK: Rooms and chat

    func insert(_ room: Room) throws {
        try self.require(self.state.rooms[room.id] == nil, "room.id is unique")
        try self.require(self.state.users[room.createdBy] != nil, "room.createdBy exists")
        try self.put(room)
    }

    func update(_ room: Room) throws {
        if self.state.rooms[room.id] != nil { try self.put(room) }
    }

    private func put(_ room: Room) throws {
        try self.require(
            room.name == nil || !self.state.rooms.values.contains { $0.name == room.name && $0.id != room.id },
            "room.name is unique")
        self.state.rooms[room.id] = room
    }

    func insert(_ member: Member) throws {
        let key = MemoryState.MemberKey(room: member.room, user: member.user)
        try self.require(self.state.members[key] == nil, "a user is a member once")
        try self.require(self.state.rooms[member.room] != nil, "member.room exists")
        try self.require(self.state.users[member.user] != nil, "member.user exists")
        self.state.members[key] = member
    }

    func update(_ member: Member) throws {
        let key = MemoryState.MemberKey(room: member.room, user: member.user)
        if self.state.members[key] != nil { self.state.members[key] = member }
    }

    func delete(_ member: Member) throws {
        self.state.members[MemoryState.MemberKey(room: member.room, user: member.user)] = nil
    }

    func insert(_ message: Message) throws {
        try self.require(self.state.messages[message.id] == nil, "message.id is unique")
        try self.require(!self.state.messages.values.contains { $0.seq == message.seq }, "message.seq is unique")
        try self.require(self.state.rooms[message.room] != nil, "message.room exists")
        try self.require(self.state.users[message.user] != nil, "message.user exists")
        self.state.messages[message.id] = message
    }

    func update(_ message: Message) throws {
        if self.state.messages[message.id] != nil { self.state.messages[message.id] = message }
    }

    // MARK: Calls

    func save(_ new: CallRows, replacing old: CallRows?) throws {
        let id = new.call.id
        try self.require(old != nil || self.state.calls[id] == nil, "call.id is unique")
        try self.require(self.state.rooms[new.call.room] != nil, "call.room exists")
        try self.require(new.participants.allSatisfy { self.state.users[$0.user] != nil }, "participant.user exists")
        var rows = new
        rows.participants = Self.merged(self.state.calls[id]?.participants, new.participants, key: \.user)
        rows.legs = Self.merged(self.state.calls[id]?.legs, new.legs, key: \.id)
        self.state.calls[id] = rows
        self.state.deadlines[id] = new.deadline
        self.saveRecord(of: rows)
    }

    /// What was there stays where it is, as `new` has it now; what is new follows.
    private static func merged<Value, Key: Hashable>(
        _ stored: [Value]?, _ new: [Value], key: (Value) -> Key
    ) -> [Value] {
        let fresh = Dictionary(new.map { (key($0), $0) }, uniquingKeysWith: { $1 })
        let known = Set((stored ?? []).map(key))
        return (stored ?? []).map { fresh[key($0)] ?? $0 } + new.filter { !known.contains(key($0)) }
    }

    func insert(_ entry: TimelineEntry, of call: CallID) throws {
        try self.require(self.state.calls[call] != nil, "timelineEntry.call exists")
        self.state.timelines[call, default: []].append(entry)
    }

    func save(_ quality: CallQuality) throws {
        try self.require(
            self.state.calls[quality.call]?.legs.contains { $0.id == quality.leg } ?? false, "callQuality.leg exists")
        let known = self.state.qualities.firstIndex { $0.leg == quality.leg && $0.peer == quality.peer }
        if let known { self.state.qualities[known] = quality } else { self.state.qualities.append(quality) }
        guard quality.isPathKnown else { return }
        let wasRelayed = self.state.records[quality.call]?.isRelayed ?? false
        self.state.records[quality.call]?.isRelayed = wasRelayed || quality.isRelayed
    }

    // MARK: Idempotency and housekeeping

    func insert(_ answer: IdempotentAnswer) throws { self.state.answers[answer.name] = answer }

    func deleteExpired(
        answersBefore: Timestamp, ticketsBefore: Timestamp, sessionsUnusedBefore: Timestamp, limit: Int
    ) throws {
        let answers = self.state.answers.filter { $0.value.createdAt < answersBefore }
        for (key, _) in answers.sorted(by: { $0.value.createdAt < $1.value.createdAt }).prefix(limit) {
            self.state.answers[key] = nil
        }
        let tickets = self.state.tickets.values.filter { $0.createdAt < ticketsBefore }
        for ticket in tickets.sorted(by: { $0.createdAt < $1.createdAt }).prefix(limit) {
            self.state.tickets[ticket.hash] = nil
        }
        let tokens = self.state.refreshTokens.values.filter { token in
            self.state.sessions[token.session].map { $0.lastUsedAt < sessionsUnusedBefore } ?? true
        }
        for token in tokens.prefix(limit) { self.state.refreshTokens[token.hash] = nil }
    }
}
