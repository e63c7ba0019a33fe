/// A message to be posted.
package struct NewMessage: Sendable {
    package var content: String
    package var metadata: JSONValue?
    package var origin: MessageOrigin

    package init(content: String, metadata: JSONValue? = nil, origin: MessageOrigin = .rest) {
        self.content = content
        self.metadata = metadata
        self.origin = origin
    }
}

/// What changes about a message; `nil` stays as it is.
package struct MessageChange: Sendable {
    package var content: String?
    package var metadata: JSONValue?

    package init(content: String? = nil, metadata: JSONValue? = nil) {
        self.content = content
        self.metadata = metadata
    }
}

/// Which part of a room's history; the bounds are messages of the room, exclusive.
package struct HistoryPage: Sendable {
    package var before: MessageID?
    package var after: MessageID?
    package var search: String?
    package var user: UserID?
    package var limit: Int

    package init(
        before: MessageID? = nil, after: MessageID? = nil, search: String? = nil, user: UserID? = nil, limit: Int
    ) {
        self.before = before
        self.after = after
        self.search = search
        self.user = user
        self.limit = limit
    }
}

extension StoreReader {
    /// A room's messages with their authors, newest first; oldest first when only `after` is given.
    ///
    /// - throws: ``Problem`` `not-found`, `not-a-member`, `forbidden`, or `validation-failed` for a bound that is no
    ///   message of the room.
    package func history(
        of room: RoomReference, _ page: HistoryPage, as user: User
    ) throws -> [(message: Message, user: User)] {
        let room = try self.access(room, as: user, to: .readMessages).room
        if let search = page.search, search.unicodeScalars.count > Limits.searchCharactersMax {
            throw Problem.invalid("q", "must have at most \(Limits.searchCharactersMax) characters")
        }
        let seq = { (id: MessageID?, field: String) throws -> Int64? in
            guard let id else { return nil }
            guard let message = try self.message(id), message.room == room.id else {
                throw Problem.invalid(field, "must be a message of this room")
            }
            return message.seq
        }
        return try self.messages(
            MessageQuery(
                room: room.id, beforeSeq: seq(page.before, "before"), afterSeq: seq(page.after, "after"),
                search: page.search, user: page.user, limit: page.limit))
    }

    /// Messages of all rooms, for admins: private ones too, tombstones only where no text is looked for. Newest first;
    /// oldest first when only `after` is given.
    ///
    /// - throws: ``Problem`` `validation-failed` for a search for nothing, and for a bound that is no message.
    package func searchMessages(
        _ page: HistoryPage, in room: RoomReference?, as admin: User
    ) throws -> [(message: Message, user: User)] {
        guard page.search != nil || room != nil || page.user != nil else {
            throw Problem.invalid("q", "must be given, or a room, or a user")
        }
        let found = try room.map { room throws -> RoomID in
            guard let found = try self.roomAndMember(room, user: admin.id)?.room else {
                throw Problem.invalid("room", "must be a room")
            }
            return found.id
        }
        let seq = { (id: MessageID?, field: String) throws -> Int64? in
            guard let id else { return nil }
            guard let message = try self.message(id) else { throw Problem.invalid(field, "must be a message") }
            return message.seq
        }
        return try self.messages(
            MessageQuery(
                room: found, beforeSeq: seq(page.before, "before"), afterSeq: seq(page.after, "after"),
                search: page.search, user: page.user, limit: page.limit))
    }

    /// One message of a room, or the tombstone of one.
    ///
    /// - throws: ``Problem`` `not-found`, `not-a-member`, `forbidden`.
    package func message(
        _ id: MessageID, in room: RoomReference, as user: User
    ) throws -> (message: Message, user: User) {
        let room = try self.access(room, as: user, to: .readMessages).room
        return try self.messageWithAuthor(id, in: room)
    }

    /// What others see while the asker types.
    ///
    /// - throws: ``Problem`` `not-found`, `not-a-member`, `forbidden`, `room-archived`.
    package func typing(in room: RoomReference, as user: User) throws -> TypingPayload {
        let room = try self.access(room, as: user, to: .type).room
        guard !room.isArchived else { throw Problem(.roomArchived) }
        return TypingPayload(
            room: room.id, user: user.id, username: user.username, displayName: user.displayName, color: user.color)
    }

    func messageWithAuthor(_ id: MessageID, in room: Room) throws -> (message: Message, user: User) {
        guard let message = try self.message(id), message.room == room.id, let author = try self.user(message.user)
        else { throw Problem.notFound }
        return (message, author)
    }
}

extension StoreWriter {
    /// Posts what a client wrote.
    ///
    /// - throws: ``Problem`` `not-found`, `not-a-member`, `forbidden`, `room-archived`, `validation-failed`.
    package func postMessage(_ new: NewMessage, in room: RoomReference, as acting: Acting) throws -> Message {
        try FieldRules.messageContent(new.content)
        let metadata = try new.metadata.flatMap { try MessageMetadata.text(of: $0, from: new.origin) }
        let access = try self.writableAccess(room, as: acting.user, to: .postMessage)
        return try self.write(content: new.content, metadata: metadata, origin: new.origin, in: access.room, as: acting)
    }

    /// Writes a message that is known to be allowed and well-formed: a client's, or the server's own `join_call`.
    ///
    /// - parameter metadata: a JSON object as ``JSON/text(_:)`` writes it.
    @discardableResult
    func write(
        content: String, metadata: String?, origin: MessageOrigin, in room: Room, as acting: Acting
    ) throws -> Message {
        let message = Message(
            id: acting.ids.next(at: acting.now), room: room.id, seq: self.nextSeq, user: acting.user.id,
            content: content, metadata: metadata, createdAt: acting.now, origin: origin)
        try self.insert(message)
        try self.append(.messageCreated, message, by: acting.user, as: acting)
        if let bridge = room.bridge { try self.enqueue(message, for: bridge) }
        if origin == .websocket, metadata != nil { try self.noteMark(of: message) }
        return message
    }

    /// Changes the asker's own message, or, for moderators, anybody's. The earlier version is kept nowhere, the log
    /// included.
    ///
    /// - throws: ``Problem`` `not-found` (also for a deleted message), `not-a-member`, `forbidden` for another's
    ///   message, `room-archived`, `validation-failed`.
    package func editMessage(
        _ id: MessageID, in room: RoomReference, _ change: MessageChange, as acting: Acting
    ) throws -> (message: Message, user: User) {
        if let content = change.content { try FieldRules.messageContent(content) }
        let access = try self.writableAccess(room, as: acting.user, to: .editOwnMessage)
        var (message, author) = try self.messageWithAuthor(id, in: access.room)
        if message.user != acting.user.id { try access.require(.editAnyMessage) }
        guard message.deletedAt == nil else { throw Problem(.notFound, "The message was deleted") }
        guard change.content != nil || change.metadata != nil else { return (message, author) }
        message.content = change.content ?? message.content
        if let metadata = change.metadata { message.metadata = try MessageMetadata.text(of: metadata, from: .rest) }
        message.editedAt = acting.now
        try self.replace(message, author, logging: .messageEdited, as: acting)
        return (message, author)
    }

    /// Leaves a tombstone of the asker's own message, or, for moderators, of anybody's. A second time does nothing.
    ///
    /// - throws: ``Problem`` `not-found`, `not-a-member`, `forbidden`, `room-archived`.
    package func deleteMessage(_ id: MessageID, in room: RoomReference, as acting: Acting) throws {
        let access = try self.writableAccess(room, as: acting.user, to: .editOwnMessage)
        var (message, author) = try self.messageWithAuthor(id, in: access.room)
        if message.user != acting.user.id { try access.require(.editAnyMessage) }
        guard message.deletedAt == nil else { return }
        message.content = ""
        message.metadata = nil
        message.deletedAt = acting.now
        try self.replace(message, author, logging: .messageDeleted, as: acting)
    }

    /// Moves the asker's read marker to a message; never back.
    ///
    /// - throws: ``Problem`` `not-found`, `not-a-member`, `forbidden`, or `validation-failed` for what is no message
    ///   of the room.
    package func markRead(_ id: MessageID, in room: RoomReference, as acting: Acting) throws {
        let access = try self.access(room, as: acting.user, to: .markRead)
        guard let message = try self.message(id), message.room == access.room.id else {
            throw Problem.invalid("message", "must be a message of this room")
        }
        guard var member = access.member, message.seq > member.readSeq else { return }
        member.readSeq = message.seq
        try self.update(member)
        let payload = ReadPayload(room: message.room, message: id, seq: message.seq)
        try self.append(
            EventDraft(
                .readUpdated, to: [.user(acting.user.id)], room: message.room, actor: acting.user.id, at: acting.now,
                data: JSON.text(payload)))
    }

    private func replace(
        _ message: Message, _ author: User, logging type: EventType, as acting: Acting
    ) throws {
        try self.update(message)
        let redacted = MessagePayload(message, author).redactedText
        try self.redactEvents(of: message.id, before: self.nextSeq, data: redacted)
        try self.append(type, message, by: author, as: acting)
    }

    private func append(_ type: EventType, _ message: Message, by author: User, as acting: Acting) throws {
        try self.append(
            EventDraft(
                type, to: [.room(message.room)], room: message.room, actor: acting.user.id, at: acting.now,
                data: MessagePayload(message, author).text, message: message.id))
    }
}

/// The object that a client attaches to a message.
enum MessageMetadata {
    /// As it is stored; `nil` for `null`. What only servers may write is taken out (`_comblang`) or refused.
    ///
    /// - throws: ``Problem`` `validation-failed`.
    static func text(of value: JSONValue, from origin: MessageOrigin) throws -> String? {
        if value == .null { return nil }
        let members = try self.members(of: value, from: origin)
        guard members["action"] != .string("join_call") else {
            throw Problem.invalid("metadata.action", "must not be join_call: POST /v1/rooms/{room}/calls writes it")
        }
        return try self.text(of: members)
    }

    /// What a client attaches to the message that opens a call, and the call.
    ///
    /// - throws: ``Problem`` `validation-failed`.
    static func invitation(to call: CallID, _ value: JSONValue, from origin: MessageOrigin) throws -> String {
        var members = try self.members(of: value, from: origin)
        members["action"] = .string("join_call")
        members["call"] = .string(call.text)
        return try self.text(of: members)
    }

    /// Only servers write marks: over bridges, and to each other's room actors.
    private static func members(of value: JSONValue, from origin: MessageOrigin) throws -> [String: JSONValue] {
        guard case .object(var members) = value else { throw Problem.invalid("metadata", "must be an object") }
        members[BridgeMark.member] = origin == .rest ? nil : BridgeMark(in: value)?.json
        return members
    }

    private static func text(of members: [String: JSONValue]) throws -> String {
        let text = try JSON.text(members)
        guard text.utf8.count <= Limits.metadataBytesMax else {
            throw Problem.invalid("metadata", "must be at most \(Limits.metadataBytesMax) bytes of JSON")
        }
        return text
    }
}
