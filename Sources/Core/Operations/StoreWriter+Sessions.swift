/// How an attempt to refresh ended. A value, not an error: a refusal that revoked the family must be committed.
package enum Refreshed: Sendable {
    case renewed(user: User, session: Session)
    /// Answered 401.
    case refused
}

/// What a stream ticket opens.
package struct OpenedTicket: Sendable {
    package let user: UserID
    package let device: DeviceID
    /// When it ends, and with it the streams that it opened.
    package let expiresAt: Timestamp
    /// A stream of this ticket was opened before; that older one ends with `replaced`.
    package let isResuming: Bool
}

/// Which wire a ticket is used for.
package enum TicketUse: Sendable {
    /// SSE or NDJSON. A ticket that was used may only resume (`Last-Event-ID`), so that `EventSource` can reconnect.
    case stream(isResuming: Bool)
    /// Once.
    case webSocket
}

extension StoreWriter {
    /// Begins a token family of generation 0.
    ///
    /// - parameter refreshTokenHash: SHA-256, hex; `nil` for a session that is never refreshed.
    func startSession(
        of user: User, refreshTokenHash: String?, now: Timestamp, ids: IDSource
    ) throws -> Session {
        let session = Session(id: ids.next(at: now), user: user.id, createdAt: now, lastUsedAt: now)
        try self.insert(session)
        if let refreshTokenHash {
            try self.insert(RefreshToken(hash: refreshTokenHash, session: session.id, generation: 0))
        }
        return session
    }

    /// Signs in a user whose password was found right.
    ///
    /// - parameter user: as read when the password was checked; it must still have that password hash.
    /// - throws: ``Problem`` `unauthorized`; `account-suspended`, which only who knows the password learns.
    package func signIn(
        _ user: User, refreshTokenHash: String, now: Timestamp, ids: IDSource
    ) throws -> (user: User, session: Session) {
        guard var present = try self.user(user.id), present.deletedAt == nil, present.passwordHash == user.passwordHash
        else { throw Problem(.unauthorized) }
        guard !present.isSuspended else { throw Problem(.accountSuspended) }
        present.lastUsedAt = now
        try self.update(present)
        let session = try self.startSession(of: present, refreshTokenHash: refreshTokenHash, now: now, ids: ids)
        return (present, session)
    }

    /// Exchanges a refresh token for the next one.
    ///
    /// The newest spent token repeated within 30 s gets another one of the present generation (its answer was lost);
    /// any older one can only be a copy, so the family is revoked.
    package func refresh(tokenHash: String, newTokenHash: String, now: Timestamp) throws -> Refreshed {
        guard let token = try self.refreshToken(hash: tokenHash), var session = try self.session(token.session),
            session.revokedAt == nil, let user = try self.user(session.user), user.deletedAt == nil, !user.isSuspended,
            now.duration(since: session.lastUsedAt) < Limits.refreshTokenLifetime
        else { return .refused }
        if token.generation == session.generation {
            session.generation += 1
            session.rotatedAt = now
        } else {
            let isNewestSpent = token.generation == session.generation - 1
            guard isNewestSpent, let rotatedAt = session.rotatedAt,
                now.duration(since: rotatedAt) <= Limits.refreshRepeatWindow
            else {
                try self.revoke(session, now: now)
                return .refused
            }
        }
        session.lastUsedAt = now
        try self.update(session)
        try self.insert(RefreshToken(hash: newTokenHash, session: session.id, generation: session.generation))
        try self.deleteRefreshTokens(of: session.id, below: session.generation - Limits.spentRefreshTokensKept)
        try self.touch(user.id, session.id, now: now)
        return .renewed(user: user, session: session)
    }

    /// Ends a token family; the log tells every server to end its streams. A second time does nothing.
    package func revoke(_ session: Session, now: Timestamp) throws {
        guard session.revokedAt == nil else { return }
        var session = session
        session.revokedAt = now
        try self.update(session)
        try self.append(
            EventDraft(
                .sessionRevoked, to: [], actor: session.user, at: now,
                data: JSON.text(SessionRevokedPayload(session: session.id, user: session.user))))
    }

    /// Makes a ticket for the asker's device.
    package func makeStreamTicket(hash: String, as acting: Acting) throws -> StreamTicket {
        let ticket = StreamTicket(hash: hash, user: acting.user.id, device: acting.device, createdAt: acting.now)
        try self.insert(ticket)
        return ticket
    }

    /// Uses a ticket. Whether its session still stands is for the authenticator to say.
    ///
    /// - throws: ``Problem`` `unauthorized`.
    package func openStreamTicket(hash: String, for use: TicketUse, now: Timestamp) throws -> OpenedTicket {
        guard var ticket = try self.streamTicket(hash: hash) else { throw Problem(.unauthorized) }
        let expiresAt = ticket.createdAt.advanced(by: Limits.ticketLifetime)
        let opened = { (isResuming: Bool) in
            OpenedTicket(user: ticket.user, device: ticket.device, expiresAt: expiresAt, isResuming: isResuming)
        }
        let age = now.duration(since: ticket.createdAt)
        guard ticket.openedAt != nil else {
            guard age <= Limits.ticketOpensWithin else {
                throw Problem(.unauthorized, "The ticket was not used within 60 seconds")
            }
            ticket.openedAt = now
            if case .webSocket = use {
                // Spent: to any later use it is past its lifetime.
                ticket.createdAt = now.advanced(by: .zero - Limits.ticketLifetime)
            }
            try self.update(ticket)
            return opened(false)
        }
        guard case .stream(isResuming: true) = use, now < expiresAt else {
            throw Problem(.unauthorized, "The ticket was used already")
        }
        return opened(true)
    }
}
