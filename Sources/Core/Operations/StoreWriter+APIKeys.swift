extension StoreReader {
    /// The asker's keys, oldest first, each with when it was last used, to the hour; `nil` for never.
    package func apiKeyViews(of user: UserID) throws -> [(key: APIKey, lastUsedAt: Timestamp?)] {
        try self.apiKeys(of: user).map { key in
            let lastUsedAt = try self.session(key.session)?.lastUsedAt
            return (key, lastUsedAt.flatMap { $0 < key.createdAt ? nil : $0 })
        }
    }
}

extension StoreWriter {
    /// Makes a key for the asker. Where there are too many, expired ones make room.
    ///
    /// - parameter hash: SHA-256 of the key, hex.
    /// - throws: ``Problem`` `validation-failed`, `forbidden` for a scope that is for admins, `limit-reached`.
    package func makeAPIKey(_ new: NewAPIKey, hash: String, as acting: Acting) throws -> APIKey {
        try FieldRules.apiKeyName(new.name)
        guard !new.scopes.isEmpty else { throw Problem.invalid("scopes", "must name at least one scope") }
        if let expiresAt = new.expiresAt {
            let last = acting.now.advanced(by: Limits.apiKeyLifetimeMax)
            guard expiresAt > acting.now, expiresAt <= last else {
                throw Problem.invalid("expiresAt", "must be in the future and at most ten years ahead")
            }
        }
        let user = try self.presentUser(acting)
        if new.scopes.contains(where: \.isForAdmins) { try user.require(.administer) }
        let keys = try self.apiKeys(of: user.id)
        if keys.count >= Limits.apiKeysPerUserMax {
            let expired = keys.filter { key in key.expiresAt.map { $0 <= acting.now } ?? false }
            guard keys.count - expired.count < Limits.apiKeysPerUserMax else {
                throw Problem(.limitReached, "A user has at most \(Limits.apiKeysPerUserMax) API keys")
            }
            for key in expired { try self.remove(key, now: acting.now) }
        }
        // Not used yet, so that its first use is written down at once.
        let session = Session(
            id: acting.ids.next(at: acting.now), user: user.id, createdAt: acting.now,
            lastUsedAt: acting.now.advanced(by: .zero - Limits.lastUsedPrecision))
        try self.insert(session)
        let key = APIKey(
            id: acting.ids.next(at: acting.now), hash: hash, user: user.id, session: session.id, name: new.name,
            scopes: Set(new.scopes), createdAt: acting.now, expiresAt: new.expiresAt)
        try self.insert(key)
        return key
    }

    /// Ends one of the asker's keys and its streams.
    ///
    /// - throws: ``Problem`` `not-found`.
    package func deleteAPIKey(_ id: APIKeyID, as acting: Acting) throws {
        guard let key = try self.apiKeys(of: acting.user.id).first(where: { $0.id == id }) else {
            throw Problem.notFound
        }
        try self.remove(key, now: acting.now)
    }

    private func remove(_ key: APIKey, now: Timestamp) throws {
        if let session = try self.session(key.session) { try self.revoke(session, now: now) }
        try self.delete(key)
    }
}
