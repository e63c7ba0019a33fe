package import Core
package import Hub
package import Logging

/// Tells who asks, by access token or stream ticket.
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

    /// - parameter deviceLabel: already checked.
    /// - throws: ``Problem`` `unauthorized`.
    package func identity(bearer token: String, deviceLabel: String?) async throws -> Identity {
        let claims = try await self.tokens.claims(in: token, now: self.time.now)
        let user = try await self.user(of: claims.session)
        guard user.id == claims.user else { throw Problem(.unauthorized) }
        return Identity(
            user: user, device: DeviceID(session: claims.session, label: deviceLabel), session: claims.session,
            expiresAt: claims.expiresAt)
    }

    /// Who a verified token stands for, if that is known without the database.
    ///
    /// - parameter deviceLabel: already checked.
    func knownIdentity(_ claims: AccessClaims, deviceLabel: String?) -> Identity? {
        let now = self.time.now
        guard now < claims.expiresAt, let user = self.cache.lookup(claims.session).user, user.id == claims.user,
            !user.isSuspended, now.duration(since: user.lastUsedAt) < Limits.lastUsedPrecision
        else { return nil }
        return Identity(
            user: user, device: DeviceID(session: claims.session, label: deviceLabel), session: claims.session,
            expiresAt: claims.expiresAt)
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
        let user = try await self.user(of: session)
        guard user.id == opened.user else { throw Problem(.unauthorized) }
        let device = deviceLabel.map { DeviceID(session: session, label: $0) } ?? opened.device
        return Identity(user: user, device: device, session: session, expiresAt: opened.expiresAt)
    }

    /// Whose session it is.
    ///
    /// - throws: ``Problem`` `unauthorized` if it was revoked, or its user deleted or suspended.
    private func user(of session: SessionID) async throws -> User {
        let (known, version) = self.cache.lookup(session)
        let user: User
        if let known {
            user = known
        } else {
            let found = try await self.store.read { store -> User? in
                guard let session = try store.session(session), session.revokedAt == nil,
                    let user = try store.user(session.user), user.deletedAt == nil
                else { return nil }
                return user
            }
            guard let found else { throw Problem(.unauthorized) }
            self.cache.fill(found, session: session, at: version)
            user = found
        }
        guard !user.isSuspended else { throw Problem(.unauthorized, "This account is suspended") }
        await self.touch(user, session)
        return user
    }

    /// At most once an hour; that it fails is no reason to refuse a request.
    private func touch(_ user: User, _ session: SessionID) async {
        let now = self.time.now
        guard now.duration(since: user.lastUsedAt) >= Limits.lastUsedPrecision else { return }
        do {
            try await self.store.write { try $0.touch(user.id, session, now: now) }
            self.cache.touched(user.id, at: now)
        } catch {
            self.logger.warning("last use not recorded", metadata: ["user.id": "\(user.id)", "error": "\(error)"])
        }
    }
}
