package import Core
package import Hub

/// Makes users and their tokens: hashing and signing happen outside the store's writes, decisions inside.
package struct SignIn: Sendable {
    let store: any EventStore
    let passwords: PasswordHasher
    let tokens: AccessTokens
    let time: any TimeSource
    let ids: IDSource
    package let registration: Registration

    package init(
        store: any EventStore, passwords: PasswordHasher, tokens: AccessTokens, time: any TimeSource, ids: IDSource,
        registration: Registration = .open
    ) {
        self.store = store
        self.passwords = passwords
        self.tokens = tokens
        self.time = time
        self.ids = ids
        self.registration = registration
    }

    /// Makes an account, or a guest if there is no password.
    ///
    /// - parameter isAdmins: whether an admin asks, who needs no invite.
    /// - throws: ``Problem`` `validation-failed`, `name-taken`, `registration-closed`, `invite-required`,
    ///   `unavailable`.
    func signUp(_ request: SignUpRequest, isAdmins: Bool = false) async throws -> SignedInPayload {
        if self.registration == .closed, !isAdmins { throw Problem(.registrationClosed) }
        let takesInvite = self.registration == .invite && !isAdmins
        let inviteHash = request.invite.map { SecretToken.hash(of: $0) }
        var new = NewUser(username: request.username, displayName: request.displayName, color: request.color)
        try new.check()
        // Asked once more where it is used; here, hashing a password is not for everybody.
        if takesInvite {
            let now = self.time.now
            _ = try await self.store.read { try $0.requireInvite(hash: inviteHash, now: now) }
        }
        if let password = request.password {
            try PasswordHasher.check(password)
            new.passwordHash = try await self.passwords.hash(password)
        }
        let refreshToken = SecretToken(.refresh)
        let now = self.time.now
        let (user, session) = try await self.store.write { [new, ids] store in
            if takesInvite { try store.useInvite(hash: inviteHash, now: now) }
            return try store.signUp(new, refreshTokenHash: refreshToken.hash, now: now, ids: ids)
        }
        return try await self.answer(user, session, refreshToken, now: now)
    }

    /// Signs in by password. Wrong name and wrong password are one answer that takes one time.
    ///
    /// - throws: ``Problem`` `unauthorized`, `unavailable`.
    func signIn(username: String, password: String) async throws -> SignedInPayload {
        // What no password can be costs nothing: also not the time of hashing megabytes.
        guard password.unicodeScalars.count <= Limits.passwordCharactersMax else { throw Self.wrongPassword }
        let found = try await self.store.read { try $0.user(username: username) }
        guard try await self.passwords.isRight(password, for: found?.passwordHash), let found else {
            throw Self.wrongPassword
        }
        let refreshToken = SecretToken(.refresh)
        let now = self.time.now
        let (user, session) = try await self.store.write { [ids] in
            try $0.signIn(found, refreshTokenHash: refreshToken.hash, now: now, ids: ids)
        }
        return try await self.answer(user, session, refreshToken, now: now)
    }

    /// Hashes another password for a user who proves to know the present one; who has none needs no proof.
    ///
    /// - throws: ``Problem`` `validation-failed`, `unavailable`.
    func passwordChange(to password: String, from current: String?, of user: UserID) async throws -> PasswordChange {
        try PasswordHasher.check(password)
        let former = try await self.store.read { try $0.user(user)?.passwordHash }
        if let former {
            guard let current, current.unicodeScalars.count <= Limits.passwordCharactersMax,
                try await self.passwords.isRight(current, for: former)
            else { throw Problem.wrongPresentPassword }
        }
        return PasswordChange(hash: try await self.passwords.hash(password), former: former)
    }

    /// Exchanges a refresh token for the next pair.
    ///
    /// - throws: ``Problem`` `unauthorized`; what that revoked is committed.
    func refresh(_ spent: String) async throws -> SignedInPayload {
        let refreshToken = SecretToken(.refresh)
        let spentHash = SecretToken.hash(of: spent)
        let now = self.time.now
        let refreshed = try await self.store.write {
            try $0.refresh(tokenHash: spentHash, newTokenHash: refreshToken.hash, now: now)
        }
        switch refreshed {
        case .renewed(let user, let session): return try await self.answer(user, session, refreshToken, now: now)
        case .refused: throw Problem(.unauthorized, "The refresh token is unknown, expired or was used before")
        }
    }

    private static let wrongPassword = Problem(.unauthorized, "The username or the password is wrong")

    private func answer(
        _ user: User, _ session: Session, _ refreshToken: SecretToken, now: Timestamp
    ) async throws -> SignedInPayload {
        let (token, expiresAt) = try await self.tokens.issue(for: user, session: session.id, now: now)
        return SignedInPayload(
            user: UserPayload(user), accessToken: token, expiresAt: expiresAt, refreshToken: refreshToken.text)
    }
}
