package import Core
package import Hub
package import Logging

/// Tells who asks, by access token, API key, stream ticket or resume token.
package final class Authenticator: Sendable {
    private let store: any EventStore
    let tokens: AccessTokens
    private let time: any TimeSource
    private let logger: Logger
    private let cache: IdentityCache

    /// Starts to follow the log, from which revocations and changes of users are learned before they are acknowledged.
    ///
    /// - throws: the store's error.
    package init(store: any EventStore, tokens: AccessTokens, time: any TimeSource, logger: Logger) async throws {
        self.store = store
        self.tokens = tokens
        self.time = time
        self.logger = logger
        let cache = IdentityCache()
        self.cache = cache
        _ = try await store.follow { cache.apply($0.events) }
    }

    /// Who shows an access token or an API key.
    ///
    /// - parameter deviceLabel: already checked.
    /// - throws: ``Problem`` `unauthorized`.
    package func identity(bearer token: String, deviceLabel: String?) async throws -> Identity {
        let claims =
            token.hasPrefix(SecretToken.Kind.apiKey.rawValue)
            ? try await self.claims(ofKey: token) : try await self.tokens.claims(in: token, now: self.time.now)
        let holder = try await self.holder(of: claims.session)
        guard holder.user.id == claims.user else { throw Problem(.unauthorized) }
        return Identity(
            user: holder.user, device: DeviceID(session: claims.session, label: deviceLabel),
            session: claims.session, expiresAt: claims.expiresAt, granted: holder.granted)
    }

    /// What an API key stands for. One that was asked about before needs no look at the database.
    private func claims(ofKey key: String) async throws -> AccessClaims {
        let claims: AccessClaims
        if let known = self.tokens.knownClaims(in: key) {
            claims = known
        } else {
            let hash = SecretToken.hash(of: key)
            guard let found = try await self.store.read({ try $0.apiKey(hash: hash) }) else {
                throw Problem(.unauthorized, "The API key is unknown or was deleted")
            }
            claims = AccessClaims(user: found.user, session: found.session, expiresAt: found.expiresAt)
            self.tokens.remember(key, claims)
        }
        guard claims.stands(at: self.time.now) else { throw Problem(.unauthorized, "The API key has expired") }
        return claims
    }

    /// Who a verified token or key stands for, if that is known without the database.
    ///
    /// - parameter deviceLabel: already checked.
    func knownIdentity(_ claims: AccessClaims, deviceLabel: String?) -> Identity? {
        let now = self.time.now
        guard claims.stands(at: now), let holder = self.cache.lookup(claims.session).holder,
            holder.user.id == claims.user, !holder.user.isSuspended, !holder.isStale(at: now)
        else { return nil }
        return Identity(
            user: holder.user, device: DeviceID(session: claims.session, label: deviceLabel),
            session: claims.session, expiresAt: claims.expiresAt, granted: holder.granted)
    }

    /// Uses a ticket, which stands for the device it was made for.
    ///
    /// - parameter deviceLabel: another tab may say so; `nil`: the device that asked for the ticket.
    /// - returns: the identity, which lasts as long as the ticket, and whether this resumes an earlier stream.
    /// - throws: ``Problem`` `unauthorized`.
    package func identity(
        ticket: String, deviceLabel: String?, for use: TicketUse
    ) async throws -> (identity: Identity, isResuming: Bool) {
        let hash = SecretToken.hash(of: ticket)
        let now = self.time.now
        let opened = try await self.store.write { try $0.openStreamTicket(hash: hash, for: use, now: now) }
        return (try await self.identity(opened, deviceLabel: deviceLabel), opened.isResuming)
    }

    /// Uses a resume token, which stands for the device that it was made for.
    ///
    /// - throws: ``Problem`` `unauthorized`.
    func identity(resuming token: String) async throws -> Identity {
        guard token.hasPrefix(SecretToken.Kind.resume.rawValue) else { throw Problem(.unauthorized) }
        let hash = SecretToken.hash(of: token)
        let now = self.time.now
        let opened = try await self.store.write { try $0.useResumeToken(hash: hash, now: now) }
        return try await self.identity(opened, deviceLabel: nil)
    }

    private func identity(_ opened: OpenedTicket, deviceLabel: String?) async throws -> Identity {
        let session = opened.device.session
        let holder = try await self.holder(of: session)
        guard holder.user.id == opened.user else { throw Problem(.unauthorized) }
        let device = deviceLabel.map { DeviceID(session: session, label: $0) } ?? opened.device
        let expiresAt = min(opened.expiresAt, holder.expiresAt ?? opened.expiresAt)
        guard self.time.now < expiresAt else { throw Problem(.unauthorized, "The API key has expired") }
        return Identity(
            user: holder.user, device: device, session: session, expiresAt: expiresAt, granted: holder.granted)
    }

    /// Whose session it is.
    ///
    /// - throws: ``Problem`` `unauthorized` if it was revoked, or its user deleted or suspended.
    private func holder(of session: SessionID) async throws -> IdentityCache.Holder {
        let (known, version) = self.cache.lookup(session)
        let holder: IdentityCache.Holder
        if let known {
            holder = known
        } else {
            let found = try await self.store.read { store -> IdentityCache.Holder? in
                guard let session = try store.session(session), session.revokedAt == nil,
                    let user = try store.user(session.user), user.deletedAt == nil
                else { return nil }
                let key = try store.apiKey(of: session.id)
                return IdentityCache.Holder(
                    user: user, granted: key.map { Permission.granted(to: $0.scopes) }, expiresAt: key?.expiresAt,
                    lastUsedAt: session.lastUsedAt)
            }
            guard let found else { throw Problem(.unauthorized) }
            self.cache.fill(found, session: session, at: version)
            holder = found
        }
        guard !holder.user.isSuspended else { throw Problem(.unauthorized, "This account is suspended") }
        await self.touch(holder, session)
        return holder
    }

    /// At most once an hour; that it fails is no reason to refuse a request.
    private func touch(_ holder: IdentityCache.Holder, _ session: SessionID) async {
        let now = self.time.now
        let user = holder.user
        guard holder.isStale(at: now) else { return }
        do {
            try await self.store.write { try $0.touch(user.id, session, now: now) }
            self.cache.touched(user.id, session, at: now)
        } catch {
            self.logger.warning("last use not recorded", metadata: ["user.id": "\(user.id)", "error": "\(error)"])
        }
    }
}

extension IdentityCache.Holder {
    /// Whether the last use is to be written down again.
    fileprivate func isStale(at now: Timestamp) -> Bool {
        now.duration(since: min(self.user.lastUsedAt, self.lastUsedAt)) >= Limits.lastUsedPrecision
    }
}
