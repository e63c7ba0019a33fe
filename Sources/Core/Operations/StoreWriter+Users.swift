/// What somebody who signs up says about themselves.
package struct NewUser: Sendable {
    package var username: String
    /// `nil`: the username.
    package var displayName: String?
    /// `nil`: follows from the id.
    package var color: String?
    /// `nil`: a guest.
    package var passwordHash: String?

    package init(username: String, displayName: String? = nil, color: String? = nil, passwordHash: String? = nil) {
        self.username = username
        self.displayName = displayName
        self.color = color
        self.passwordHash = passwordHash
    }

    /// Whether the fields are well-formed. Sign-up checks again; asked first, it saves the cost of hashing a password.
    ///
    /// - throws: ``Problem`` `validation-failed`.
    package func check() throws(Problem) {
        try FieldRules.username(self.username)
        if let displayName { try FieldRules.displayName(displayName) }
        if let color { try FieldRules.color(color) }
    }
}

/// Another password, whose owner was found to know the former one.
package struct PasswordChange: Sendable {
    package let hash: String
    /// As it was when that was found; `nil` for none.
    package let former: String?

    package init(hash: String, former: String?) {
        self.hash = hash
        self.former = former
    }
}

/// What somebody changes about themselves; `nil` stays as it is.
package struct ProfileChange: Sendable {
    package var displayName: String?
    package var color: String?
    package var password: PasswordChange?

    package init(displayName: String? = nil, color: String? = nil, password: PasswordChange? = nil) {
        self.displayName = displayName
        self.color = color
        self.password = password
    }
}

extension StoreReader {
    /// A user whom the asker may see: oneself, whom one shares a room with, everybody for an admin or when so
    /// configured.
    ///
    /// - throws: ``Problem`` `not-found`, also for a user out of sight.
    package func visibleUser(_ reference: UserReference, as asker: User, allVisible: Bool) throws -> User {
        let user = try self.user(reference, as: asker)
        let isVisible =
            try user.id == asker.id || allVisible || asker.role == .admin || self.shareRoom(user.id, asker.id)
        guard isVisible else { throw Problem.notFound }
        return user
    }
}

extension StoreWriter {
    /// Makes an account, or a guest if there is no password, signed in by its first session.
    ///
    /// - throws: ``Problem`` `validation-failed`, `name-taken`.
    ///
    /// - parameter refreshTokenHash: SHA-256, hex; `nil` for a session that is never refreshed.
    package func signUp(
        _ new: NewUser, refreshTokenHash: String?, now: Timestamp, ids: IDSource
    ) throws -> (user: User, session: Session) {
        try new.check()
        // The server's own administrator; taken even while there is none.
        guard new.username != User.adminUsername, try self.user(username: new.username) == nil else {
            throw Problem(.nameTaken)
        }
        let id = ids.next(UserID.self, at: now)
        let user = User(
            id: id, username: new.username, displayName: new.displayName ?? new.username,
            color: new.color ?? User.color(for: id), role: .user, kind: new.passwordHash == nil ? .guest : .account,
            createdAt: now, lastUsedAt: now, passwordHash: new.passwordHash)
        try self.insert(user)
        let session = try self.startSession(of: user, refreshTokenHash: refreshTokenHash, now: now, ids: ids)
        return (user, session)
    }

    /// The user `admin` with another session that has no refresh token, made by whoever holds the data directory.
    package func ensureAdmin(now: Timestamp, ids: IDSource) throws -> (user: User, session: Session) {
        let user: User
        if var existing = try self.user(username: User.adminUsername) {
            // Whoever holds the data directory gets in again, whatever admins did to one another.
            if !existing.isActingAdmin {
                (existing.role, existing.isSuspended) = (.admin, false)
                try self.update(existing)
                try self.appendUserChanged(existing.id, at: now)
            }
            user = existing
        } else {
            let id = ids.next(UserID.self, at: now)
            user = User(
                id: id, username: User.adminUsername, displayName: "Admin", color: User.color(for: id), role: .admin,
                kind: .account, createdAt: now, lastUsedAt: now)
            try self.insert(user)
        }
        let session = try self.startSession(of: user, refreshTokenHash: nil, now: now, ids: ids)
        return (user, session)
    }

    /// Changes the asker's own profile; members and messages show it from then on. Another password ends all other
    /// sessions of theirs, and makes an account of a guest.
    ///
    /// - throws: ``Problem`` `validation-failed`, also for a password that was changed meanwhile; `unauthorized` if the
    ///   asker was deleted meanwhile.
    package func changeProfile(_ change: ProfileChange, as acting: Acting) throws -> User {
        if let displayName = change.displayName { try FieldRules.displayName(displayName) }
        if let color = change.color { try FieldRules.color(color) }
        var user = try self.presentUser(acting)
        user.displayName = change.displayName ?? user.displayName
        user.color = change.color ?? user.color
        if let password = change.password {
            guard user.kind != .bridged else {
                throw Problem.invalid("password", "must not be given: you live elsewhere")
            }
            guard user.passwordHash == password.former else { throw Problem.wrongPresentPassword }
            user.passwordHash = password.hash
            user.kind = .account
            for session in try self.sessions(of: user.id) where session.id != acting.device.session {
                try self.revoke(session, now: acting.now)
            }
        }
        try self.update(user)
        try self.appendUserChanged(user.id, at: acting.now)
        return user
    }

    /// Deletes a user: the name is free again, records keep a pseudonym, calls and rooms are left, sessions end.
    ///
    /// A room without another owner passes to its longest-standing moderator, else member; an empty one is archived.
    ///
    /// - throws: ``Problem`` `last-admin`.
    package func deleteUser(_ user: User, by actor: UserID?, now: Timestamp, ids: IDSource) throws {
        try self.requireAnotherAdmin(than: user)
        var pseudonym = user
        pseudonym.username = nil
        pseudonym.displayName = user.kind == .guest ? "guest" : "deleted user"
        pseudonym.passwordHash = nil
        pseudonym.isOnline = false
        pseudonym.deletedAt = now
        try self.update(pseudonym)
        for member in try self.memberships(of: user.id) {
            try self.remove(member, pseudonym, reason: .deleted, by: actor, now: now, ids: ids)
            try self.passOn(member.room, now: now)
        }
        for session in try self.sessions(of: user.id) { try self.revoke(session, now: now) }
        for key in try self.apiKeys(of: user.id) { try self.delete(key) }
        try self.appendUserChanged(user.id, at: now)
    }

    /// Deletes guests that were not used for 24 h; at most `limit` of them. Up to an hour later, never earlier, as the
    /// last use is known to the hour.
    ///
    /// Returns how many: `limit` means that there may be more.
    package func expireGuests(now: Timestamp, ids: IDSource, limit: Int) throws -> Int {
        let lifetime = Limits.guestLifetime + Limits.lastUsedPrecision
        let expired = try self.guests(lastUsedBefore: now.advanced(by: .zero - lifetime), limit: limit)
        for guest in try expired.compactMap({ try self.user($0) }) {
            try self.deleteUser(guest, by: nil, now: now, ids: ids)
        }
        return expired.count
    }

    /// Remembers that the user and the session are in use; writes at most once an hour.
    package func touch(_ user: UserID, _ session: SessionID, now: Timestamp) throws {
        let stale = now.advanced(by: .zero - Limits.lastUsedPrecision)
        if var user = try self.user(user), user.lastUsedAt <= stale, user.deletedAt == nil {
            user.lastUsedAt = now
            try self.update(user)
        }
        if var session = try self.session(session), session.lastUsedAt <= stale, session.revokedAt == nil {
            session.lastUsedAt = now
            try self.update(session)
        }
    }

    /// Logs that a user came or went, to everybody who shares a room with them; no change, no event.
    ///
    /// - parameter isOnline: the caller sees to it that there is at most one change in 10 s.
    package func changePresence(of user: UserID, to isOnline: Bool, now: Timestamp) throws {
        guard var user = try self.user(user), user.deletedAt == nil, user.isOnline != isOnline else { return }
        user.isOnline = isOnline
        try self.update(user)
        let rooms = try self.memberships(of: user.id).map { Audience.room($0.room) }
        try self.append(
            EventDraft(
                .presenceChanged, to: [.user(user.id)] + rooms, actor: user.id, at: now,
                data: JSON.text(PresencePayload(user))))
    }

    /// The asker's row as it is in this write; the one in ``Acting`` may be a moment old.
    ///
    /// - throws: ``Problem`` `unauthorized` if they were deleted meanwhile.
    func presentUser(_ acting: Acting) throws -> User {
        guard let user = try self.user(acting.user.id), user.deletedAt == nil else { throw Problem(.unauthorized) }
        return user
    }

    /// Tells the servers that share the log to forget what they know of a user.
    func appendUserChanged(_ user: UserID, at now: Timestamp) throws {
        try self.append(
            EventDraft(.userChanged, to: [], actor: user, at: now, data: JSON.text(UserChangedPayload(user: user))))
    }
}

extension Problem {
    /// Whoever changes a password proves that they know the present one.
    package static let wrongPresentPassword = Problem.invalid("currentPassword", "must be the present password")
}
