/// Somebody of a remote room, as its frames name them; none of it is longer than
/// ``Limits/remoteNameCharactersMax``.
package struct RemotePerson: Hashable, Sendable {
    package let id: String
    package let username: String
    package let color: String

    package init(id: String, username: String, color: String) {
        self.id = id
        self.username = username
        self.color = color
    }
}

/// A message of a remote room.
package struct RemoteMessage: Hashable, Sendable {
    /// In the remote room, of at most ``Limits/remoteNameCharactersMax``; `nil` if it gives none.
    package let id: String?
    package let author: RemotePerson
    package let content: String
    package let metadata: JSONValue?

    package init(id: String?, author: RemotePerson, content: String, metadata: JSONValue?) {
        self.id = id
        self.author = author
        self.content = content
        self.metadata = metadata
    }
}

/// What became of something that came over a bridge.
package enum BridgeIntake: Sendable {
    case taken(BridgedUser)
    /// It is here already.
    case known
    /// Its author may not speak here: removed by a moderator, or suspended; or there is no such bridge any more.
    case refused
}

extension StoreWriter {
    /// Takes in a message of a remote room, in its author's name; a `join_call` opens a call.
    ///
    /// What is too long for a message here is cut, and metadata that is too large is left out: the remote room's bounds
    /// are not ours, and something of it is better than nothing.
    ///
    /// - throws: ``Problem`` where an operation refuses (archived room); nothing of it remains then.
    package func takeIn(
        _ message: RemoteMessage, over name: BridgeName, joinedMax: Int, now: Timestamp, ids: IDSource
    ) throws -> BridgeIntake {
        guard let bridge = try self.bridge(name), let room = try self.room(bridge.room) else { return .refused }
        if let id = message.id, try self.hasReceipt(id, of: name) { return .known }
        let mark = BridgeMark(in: message.metadata)
        let instance = try self.instance()
        let known = mark?.id ?? message.id.flatMap { $0.utf8.count >= RemoteRules.worldwideIDBytesMin ? $0 : nil }
        if let mark, mark.via.contains(instance) || mark.isSpent { return .known }
        if let known, try self.isKnown(mark: known, in: room.id) { return .known }
        guard let author = try self.bridgedUser(message.author, of: bridge, in: room, now: now, ids: ids),
            let user = try self.speaker(author, in: room)
        else { return .refused }
        let acting = Acting(user: user, device: author.device, now: now, ids: ids)
        let content = RemoteRules.content(message.content)
        guard !content.isEmpty else { return .taken(author) }
        let id = known ?? ids.next(MessageID.self, at: now).text
        let metadata = RemoteRules.metadata(message.metadata, marked: BridgeMark(id: id, via: mark?.via ?? []))
        let written: MessageID
        if metadata["action"] == .string("join_call") {
            let new = NewMessage(content: content, metadata: metadata, origin: .bridge)
            written = try self.openCall(
                by: new, in: .id(room.id), transport: .bridge, joinedMax: joinedMax, as: acting
            ).message
        } else {
            let room = try self.writableAccess(.id(room.id), as: user, to: .postMessage).room
            written = try self.write(
                content: content, metadata: JSON.text(metadata), origin: .bridge, in: room, as: acting
            ).id
        }
        if let remoteID = message.id {
            try self.insert(BridgeReceipt(bridge: name, remoteID: remoteID, mark: id, message: written))
        }
        return .taken(author)
    }

    /// Carries out a signal that somebody of a remote room sent to a user here.
    ///
    /// - throws: ``Problem`` as ``sendRoomSignal(_:to:in:transport:joinedMax:as:)``.
    package func takeIn(
        signal: RoomSignal, from person: RemotePerson, to recipient: FrameRecipient, over name: BridgeName,
        joinedMax: Int, now: Timestamp, ids: IDSource
    ) throws -> BridgeIntake {
        guard let bridge = try self.bridge(name), let room = try self.room(bridge.room),
            let sender = try self.bridgedUser(person, of: bridge, in: room, now: now, ids: ids),
            let user = try self.speaker(sender, in: room)
        else { return .refused }
        let acting = Acting(user: user, device: sender.device, now: now, ids: ids)
        _ = try self.sendRoomSignal(
            signal, to: recipient, in: .id(room.id), transport: .bridge, joinedMax: joinedMax, as: acting)
        return .taken(sender)
    }

    /// Remembers a message of before the bridge began, so that it is not taken in later.
    package func passOver(_ message: RemoteMessage, over name: BridgeName) throws -> BridgeIntake {
        guard let id = message.id, try !self.hasReceipt(id, of: name), try self.bridge(name) != nil else {
            return .known
        }
        let mark = BridgeMark(in: message.metadata)?.id ?? id
        try self.insert(BridgeReceipt(bridge: name, remoteID: id, mark: mark, message: nil))
        return .known
    }

    /// Somebody is there in the remote room.
    package func bridgedUserSeen(
        _ person: RemotePerson, over name: BridgeName, now: Timestamp, ids: IDSource
    ) throws -> BridgeIntake {
        guard let bridge = try self.bridge(name), let room = try self.room(bridge.room),
            let user = try self.bridgedUser(person, of: bridge, in: room, now: now, ids: ids)
        else { return .refused }
        return .taken(user)
    }

    /// Deletes users of a remote room that were not seen for ``Limits/bridgedUserLifetime``; at most `limit` of them.
    package func expireBridgedUsers(
        of name: BridgeName, but present: Set<UserID>, now: Timestamp, ids: IDSource, limit: Int
    ) throws {
        let horizon = now.advanced(by: .zero - Limits.bridgedUserLifetime - Limits.lastUsedPrecision)
        let gone = try self.bridgedUsers(of: name).lazy.filter { !present.contains($0.user) }.prefix {
            $0.lastSeenAt < horizon
        }
        for user in Array(gone.prefix(limit)) { try self.retire(user, by: nil, now: now, ids: ids) }
    }

    /// Remembers the mark of a message that another server's bridge brought through the room actor.
    func noteMark(of message: Message) throws {
        let metadata = try message.metadata.map { try JSON.decode(JSONValue.self, from: $0) }
        guard let mark = BridgeMark(in: metadata) else { return }
        // The same message may come to several rooms here.
        let id = "\(message.room) \(mark.id)"
        guard try !self.hasReceipt(id, of: .actorDoor) else { return }
        try self.insert(BridgeReceipt(bridge: .actorDoor, remoteID: id, mark: mark.id, message: message.id))
    }

    // MARK: Users

    /// The user that stands for a remote one, made on first sight, with the name and colour that they have now.
    ///
    /// - returns: `nil` when there is no place for another one.
    func bridgedUser(
        _ person: RemotePerson, of bridge: Bridge, in room: Room, now: Timestamp, ids: IDSource
    ) throws -> BridgedUser? {
        if var known = try self.bridgedUser(person.id, of: bridge.name) {
            if known.lastSeenAt <= now.advanced(by: .zero - Limits.lastUsedPrecision) {
                known.lastSeenAt = now
                try self.update(known)
            }
            try self.rename(known.user, as: person, now: now)
            return known
        }
        guard try self.makePlace(in: bridge, now: now, ids: ids) else { return nil }
        let id = ids.next(UserID.self, at: now)
        let user = User(
            id: id, username: RemoteRules.username(person, id), displayName: RemoteRules.displayName(person),
            color: User.isValid(color: person.color) ? person.color : User.color(for: id), role: .user, kind: .bridged,
            createdAt: now, lastUsedAt: now)
        try self.insert(user)
        let session = try self.startSession(of: user, refreshTokenHash: nil, now: now, ids: ids)
        let bridged = BridgedUser(
            bridge: bridge.name, remoteID: person.id, user: id, session: session.id, lastSeenAt: now)
        try self.insert(bridged)
        let acting = Acting(user: user, device: bridged.device, now: now, ids: ids)
        try self.add(user, to: room, role: .member, as: acting)
        return bridged
    }

    /// The user, if they may do anything in the room: one whom a moderator removed stays out.
    func speaker(_ bridged: BridgedUser, in room: Room) throws -> User? {
        guard let user = try self.user(bridged.user), user.deletedAt == nil, !user.isSuspended,
            try self.member(user.id, of: room.id) != nil
        else { return nil }
        return user
    }

    private func rename(_ id: UserID, as person: RemotePerson, now: Timestamp) throws {
        guard let user = try self.user(id), user.deletedAt == nil else { return }
        var renamed = user
        renamed.displayName = RemoteRules.displayName(person)
        if User.isValid(color: person.color) { renamed.color = person.color }
        guard renamed != user else { return }
        try self.update(renamed)
        try self.append(
            EventDraft(.userChanged, to: [], actor: id, at: now, data: JSON.text(UserChangedPayload(user: id))))
    }

    /// Sees to it that one more user of the bridge fits: whoever is away and was not seen for longest goes.
    private func makePlace(in bridge: Bridge, now: Timestamp, ids: IDSource) throws -> Bool {
        guard try self.bridgedUserCount(of: bridge.name) >= Limits.bridgedUsersMax else { return true }
        guard let oldest = try self.bridgedUserAway(of: bridge.name) else { return false }
        try self.retire(oldest, by: nil, now: now, ids: ids)
        return true
    }

    /// A remote user is gone for good: as when a guest expires, but what they said keeps their name.
    func retire(_ bridged: BridgedUser, by actor: UserID?, now: Timestamp, ids: IDSource) throws {
        try self.delete(bridged)
        guard var user = try self.user(bridged.user), user.deletedAt == nil else { return }
        user.username = nil
        user.isOnline = false
        user.deletedAt = now
        try self.update(user)
        for member in try self.memberships(of: user.id) {
            try self.remove(member, user, reason: .deleted, by: actor, now: now, ids: ids)
        }
        for session in try self.sessions(of: user.id) { try self.revoke(session, now: now) }
    }
}

extension StoreReader {
    /// A message that is in the room already, by the mark of a copy that another server brings to the room actor: it is
    /// not said again, and the other server is told that it is here. What other rooms have is none of its business.
    ///
    /// - returns: `nil` for a message without a mark, or one that is new.
    package func knownMessage(
        marked metadata: JSONValue?, in room: RoomID
    ) throws -> (message: Message, user: User)? {
        guard let mark = BridgeMark(in: metadata) else { return nil }
        let id = try self.own(mark.id, in: room) ?? self.receipt(mark: mark.id, in: room)?.message
        guard let id, let message = try self.message(id), let user = try self.user(message.user) else { return nil }
        return (message, user)
    }

    fileprivate func isKnown(mark: String, in room: RoomID) throws -> Bool {
        try self.own(mark, in: room) != nil || self.receipt(mark: mark, in: room) != nil
    }

    /// A message that was first said in this room, by its mark.
    private func own(_ mark: String, in room: RoomID) throws -> MessageID? {
        guard let id = MessageID(mark), let message = try self.message(id), message.room == room else { return nil }
        return id
    }
}

/// What remote rooms may say, made fit for here.
private enum RemoteRules {
    /// An id so long is made to be unique in the world; others may clash with those of other rooms.
    static let worldwideIDBytesMin = 20

    static func content(_ text: String) -> String {
        let scalars = text.unicodeScalars.lazy.filter { $0.value != 0 }.prefix(Limits.messageCharactersMax)
        return String(String.UnicodeScalarView(scalars))
    }

    static func metadata(_ metadata: JSONValue?, marked mark: BridgeMark) -> JSONValue {
        let whole = metadata.marked(mark)
        if let text = try? JSON.text(whole), text.utf8.count <= Limits.metadataBytesMax { return whole }
        guard let action = metadata?["action"], action == .string("join_call") else {
            return JSONValue?.none.marked(mark)
        }
        return JSONValue?.some(.object(["action": action])).marked(mark)
    }

    /// One line that shows something.
    static func displayName(_ person: RemotePerson) -> String {
        let scalars = person.username.unicodeScalars.filter { FieldRules.mayStandInLine($0) && $0 != "\u{FEFF}" }
        let name = String(String.UnicodeScalarView(scalars.prefix(Limits.displayNameCharactersMax)))
        return name.unicodeScalars.contains { !$0.properties.isWhitespace } ? name : "guest"
    }

    /// What can be typed after an `@`: of the name what a username may have, and the end of the id, which makes it
    /// unique.
    static func username(_ person: RemotePerson, _ id: UserID) -> String {
        let letters = person.username.lowercased().unicodeScalars.filter { scalar in
            ("a"..."z").contains(scalar) || ("0"..."9").contains(scalar)
        }
        let stem = letters.isEmpty ? "guest" : String(String.UnicodeScalarView(letters.prefix(15)))
        return "\(stem).\(id.text.suffix(16).lowercased())"
    }
}

extension BridgeName {
    /// No bridge has this name: what came through the room actor is remembered by it.
    package static let actorDoor = BridgeName(known: "")
}
