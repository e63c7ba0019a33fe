// Coming to a room by its WebSocket.

/// What somebody who came to a room finds, of one snapshot.
package struct RoomScene: Sendable {
    /// Who one is, as others see them.
    package let user: User
    /// Those who are online, oneself among them; at most ``Limits/roomUsersMax``, ascending by id.
    package let present: [User]
    /// What was said, oldest first; at most ``Limits/roomHistoryMax``. What was deleted is left out.
    package let history: [(message: Message, user: User)]
}

extension StoreReader {
    /// - parameter hasHistory: `false` for who goes on where they were, and is told what they missed.
    /// - throws: ``Problem`` `unauthorized` for a user who does not exist any more.
    package func scene(of room: RoomID, for user: UserID, hasHistory: Bool) throws -> RoomScene {
        guard let user = try self.user(user), user.deletedAt == nil else { throw Problem(.unauthorized) }
        var present = try self.usersOnline(in: room, limit: Limits.roomUsersMax)
        if !present.contains(where: { $0.id == user.id }) { present.append(user) }
        let query = MessageQuery(room: room, limit: Limits.roomHistoryMax)
        let history = hasHistory ? try self.messages(query).reversed().filter { $0.message.deletedAt == nil } : []
        return RoomScene(user: user, present: present.sorted { $0.id < $1.id }, history: history)
    }
}

extension StoreWriter {
    /// Comes to a room to read and speak: whoever may join a public room by themselves, joins it by this.
    ///
    /// - parameter mayJoin: whether the credential reaches so far.
    /// - throws: ``Problem`` `not-found`, `room-archived` and `limit-reached` for who is no member yet, `forbidden`,
    ///   `insufficient-scope`.
    package func enterRoom(_ reference: RoomReference, mayJoin: Bool = true, as acting: Acting) throws -> Room {
        let access = try self.access(reference, as: acting.user)
        if access.member == nil {
            guard mayJoin else { throw Problem(.insufficientScope, "The user is no member, and the key may not join") }
            _ = try self.putMember(.me, of: .id(access.room.id), role: nil, as: acting)
        }
        return try self.access(.id(access.room.id), as: acting.user, to: .readEvents).room
    }

    /// Makes a guest who gives only a name to show; the server finds the username.
    ///
    /// - throws: ``Problem`` `validation-failed` naming `username` or `color`.
    package func signUpVisitor(
        _ name: String, color: String?, now: Timestamp, ids: IDSource
    ) throws -> (user: User, session: Session) {
        try FieldRules.displayName(name, field: "username")
        // The random half of a ULID is in the alphabet of usernames, once it is in small letters.
        let suffix = ids.next(UserID.self, at: now).text.suffix(16).lowercased()
        let new = NewUser(username: "guest-\(suffix)", displayName: name, color: color)
        return try self.signUp(new, refreshTokenHash: nil, now: now, ids: ids)
    }

    /// Makes a token by which a device comes back to a room as who it is, as long as its session stands.
    ///
    /// - parameter hash: SHA-256 of the token.
    package func makeResumeToken(hash: String, user: UserID, device: DeviceID, now: Timestamp) throws {
        try self.insert(StreamTicket(hash: hash, user: user, device: device, createdAt: now, openedAt: now))
    }

    /// Uses a resume token, which is good for another ``Limits/roomResumeMax`` by it. Whether its session still stands
    /// is for the authenticator to say.
    ///
    /// - throws: ``Problem`` `unauthorized`.
    package func useResumeToken(hash: String, now: Timestamp) throws -> OpenedTicket {
        guard var ticket = try self.streamTicket(hash: hash), ticket.openedAt != nil,
            now < ticket.createdAt.advanced(by: Limits.roomResumeMax)
        else { throw Problem(.unauthorized, "The resume token is unknown or was not used for too long") }
        ticket.createdAt = now
        try self.update(ticket)
        return OpenedTicket(
            user: ticket.user, device: ticket.device, expiresAt: now.advanced(by: Limits.roomResumeMax),
            isResuming: true)
    }
}
