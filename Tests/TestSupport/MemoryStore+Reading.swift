import Core
import Foundation

struct MemoryReader: MemoryReading {
    let state: MemoryState
}

/// The reading half, shared by reads and by writes, which read their own changes.
protocol MemoryReading: StoreReader {
    var state: MemoryState { get }
}

extension Sequence {
    /// The first `limit` in ascending order of `key` among those behind `after`.
    fileprivate func page<Key: Comparable>(by key: (Element) -> Key, after: Key?, limit: Int) -> [Element] {
        Array(
            self.filter { element in after.map { key(element) > $0 } ?? true }
                .sorted { key($0) < key($1) }
                .prefix(limit))
    }
}

extension MemoryReading {
    func logBounds() throws -> LogBounds { self.state.bounds }

    // MARK: Identity

    func user(_ id: UserID) throws -> User? { self.state.users[id] }
    func user(username: String) throws -> User? { self.state.users.values.first { $0.username == username } }
    func users(_ ids: Set<UserID>) throws -> [User] { ids.compactMap { self.state.users[$0] } }
    func session(_ id: SessionID) throws -> Session? { self.state.sessions[id] }
    func refreshToken(hash: String) throws -> RefreshToken? { self.state.refreshTokens[hash] }
    func streamTicket(hash: String) throws -> StreamTicket? { self.state.tickets[hash] }

    func users(sharingRoomWith user: UserID?, after: UserID?, limit: Int) throws -> [User] {
        try self.state.users.values
            .filter { other in
                guard other.deletedAt == nil else { return false }
                return try user.map { try self.shareRoom($0, other.id) } ?? true
            }
            .page(by: \.id, after: after, limit: limit)
    }

    func shareRoom(_ user: UserID, _ other: UserID) throws -> Bool {
        let rooms = Set(self.state.members.keys.filter { $0.user == user }.map(\.room))
        return self.state.members.keys.contains { $0.user == other && rooms.contains($0.room) }
    }

    func guests(lastUsedBefore time: Timestamp, limit: Int) throws -> [UserID] {
        self.state.users.values
            .filter { $0.kind == .guest && $0.deletedAt == nil && $0.lastUsedAt < time }
            .page(by: \.id, after: nil, limit: limit).map(\.id)
    }

    func usersOnline(in room: RoomID, limit: Int) throws -> [User] {
        let members = self.state.members.values.filter { $0.room == room }.compactMap { self.state.users[$0.user] }
        return Array(members.filter(\.isOnline).sorted { $0.id < $1.id }.prefix(limit))
    }

    func usersOnline() throws -> [UserID] { self.state.users.values.filter(\.isOnline).map(\.id).sorted() }

    func idempotentAnswer(_ name: String) throws -> IdempotentAnswer? { self.state.answers[name] }

    // MARK: Rooms

    func room(_ id: RoomID) throws -> Room? { self.state.rooms[id] }
    func room(name: String) throws -> Room? { self.state.rooms.values.first { $0.name == name } }

    func roomView(_ id: RoomID, for user: UserID) throws -> RoomView? {
        guard let room = self.state.rooms[id] else { return nil }
        let mine = try self.member(user, of: id)
        let unread = mine.map { mine in
            self.state.messages.values.count {
                $0.room == id && $0.seq > mine.readSeq && $0.user != user && $0.deletedAt == nil
            }
        }
        return RoomView(
            room: room, memberCount: try self.memberCount(of: id), unreadCount: unread ?? 0, role: mine?.role)
    }

    func roomViews(visibleTo user: UserID, after: RoomID?, limit: Int) throws -> [RoomView] {
        try self.state.rooms.values
            .filter { room in
                try room.visibility == .public && !room.isArchived || self.member(user, of: room.id) != nil
            }
            .page(by: \.id, after: after, limit: limit)
            .compactMap { try self.roomView($0.id, for: user) }
    }

    func member(_ user: UserID, of room: RoomID) throws -> Member? {
        self.state.members[MemoryState.MemberKey(room: room, user: user)]
    }

    func roomAndMember(_ reference: RoomReference, user: UserID) throws -> (room: Room, member: Member?)? {
        let found =
            switch reference {
            case .id(let id): try self.room(id)
            case .name(let name): try self.room(name: name)
            }
        return try found.map { ($0, try self.member(user, of: $0.id)) }
    }

    func members(of room: RoomID, after: UserID?, limit: Int) throws -> [(member: Member, user: User)] {
        self.state.members.values.filter { $0.room == room }
            .page(by: \.user, after: after, limit: limit)
            .compactMap { member in self.state.users[member.user].map { (member, $0) } }
    }

    func memberCount(of room: RoomID) throws -> Int { self.state.members.keys.count { $0.room == room } }

    func ownerCount(of room: RoomID) throws -> Int {
        self.state.members.values.count { $0.room == room && $0.role == .owner }
    }

    func memberships(of user: UserID) throws -> [Member] {
        self.state.members.values.filter { $0.user == user }.sorted { $0.room < $1.room }
    }

    // MARK: Messages

    func message(_ id: MessageID) throws -> Message? { self.state.messages[id] }

    func messages(_ query: MessageQuery) throws -> [(message: Message, user: User)] {
        let terms = query.search.map(SearchTerms.init)
        let ascends = query.afterSeq != nil && query.beforeSeq == nil
        let found = self.state.messages.values.filter { message in
            query.room.map { message.room == $0 } ?? true
                && query.beforeSeq.map { message.seq < $0 } ?? true
                && query.afterSeq.map { message.seq > $0 } ?? true
                && query.user.map { message.user == $0 } ?? true
                && terms.map { message.deletedAt == nil && Self.matches(message.content, $0) } ?? true
        }
        return found.sorted { ascends ? $0.seq < $1.seq : $0.seq > $1.seq }
            .prefix(query.limit)
            .compactMap { message in self.state.users[message.user].map { (message, $0) } }
    }

    private static func matches(_ content: String, _ terms: SearchTerms) -> Bool {
        let words = SearchTerms(Self.folded(content)).words
        let wanted = terms.words.map(Self.folded)
        return !wanted.isEmpty
            && wanted.indices.allSatisfy { index in
                let isPrefix = terms.lastIsPrefix && index == wanted.count - 1
                return words.contains { isPrefix ? $0.hasPrefix(wanted[index]) : $0 == wanted[index] }
            }
    }

    private static func folded(_ text: String) -> String {
        text.folding(options: [.caseInsensitive, .diacriticInsensitive], locale: nil)
    }

    // MARK: Calls

    func callRows(_ id: CallID) throws -> CallRows? { self.state.calls[id] }

    func calls(in room: RoomID, state: CallState?, before: CallID?, limit: Int) throws -> [CallID] {
        let calls = self.state.calls.values.map(\.call).filter { call in
            call.room == room && state.map { call.state == $0 } ?? true && before.map { call.id < $0 } ?? true
        }
        return Array(calls.map(\.id).sorted(by: >).prefix(limit))
    }

    func liveCalls(of user: UserID, in room: RoomID?) throws -> [CallID] {
        self.state.calls.values.filter { rows in
            rows.call.state != .ended && room.map { rows.call.room == $0 } ?? true
                && rows.participants.contains { $0.user == user && ($0.state == .invited || $0.state == .joined) }
        }
        .map(\.call.id).sorted()
    }

    func timeline(of call: CallID) throws -> [TimelineEntry] { self.state.timelines[call] ?? [] }

    func qualities(of call: CallID) throws -> [CallQuality] { self.state.qualities.filter { $0.call == call } }

    func quality(of leg: LegID, peer: UserID?) throws -> CallQuality? {
        self.state.qualities.first { $0.leg == leg && $0.peer == peer }
    }

    func qualityCount(of call: CallID) throws -> Int { try self.qualities(of: call).count }

    // MARK: The log

    func events(
        after: Int64, through: Int64, visibility: Visibility, scope: EventScope, filter: EventFilter, limit: Int,
        bytesMax: Int
    ) throws -> (events: [Event], considered: Int64) {
        var found: [Event] = []
        var bytes = 0
        for event in self.state.events.map(\.event) where event.seq > after && event.seq <= through {
            guard visibility.sees(event), filter.passes(event, in: scope) else { continue }
            bytes += event.data.utf8.count
            guard found.count < limit, found.isEmpty || bytes <= bytesMax else { return (found, event.seq - 1) }
            found.append(event)
        }
        return (found, through)
    }
}
