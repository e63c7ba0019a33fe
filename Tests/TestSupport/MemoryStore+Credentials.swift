import Core

extension MemoryReading {
    func apiKey(hash: String) throws -> APIKey? { self.state.apiKeys.values.first { $0.hash == hash } }
    func apiKey(of session: SessionID) throws -> APIKey? {
        self.state.apiKeys.values.first { $0.session == session }
    }
    func apiKeys(of user: UserID) throws -> [APIKey] {
        self.state.apiKeys.values.filter { $0.user == user }.sorted { $0.id < $1.id }
    }

    func invite(_ id: InviteID) throws -> Invite? { self.state.invites[id] }
    func invite(hash: String) throws -> Invite? { self.state.invites.values.first { $0.hash == hash } }
    func invites(after: InviteID?, limit: Int) throws -> [Invite] {
        let found = self.state.invites.values.filter { invite in after.map { invite.id > $0 } ?? true }
        return Array(found.sorted { $0.id < $1.id }.prefix(limit))
    }
}

extension MemoryWriter {
    func insert(_ key: APIKey) throws {
        try self.require(
            !self.state.apiKeys.values.contains { $0.hash == key.hash || $0.session == key.session || $0.id == key.id },
            "apiKey.id, .hash and .session are unique")
        try self.require(self.state.sessions[key.session] != nil, "apiKey.session exists")
        self.state.apiKeys[key.id] = key
    }

    func delete(_ key: APIKey) throws { self.state.apiKeys[key.id] = nil }

    func insert(_ invite: Invite) throws {
        try self.require(
            !self.state.invites.values.contains { $0.hash == invite.hash || $0.id == invite.id },
            "invite.id and .hash are unique")
        try self.require(self.state.users[invite.createdBy] != nil, "invite.createdBy exists")
        self.state.invites[invite.id] = invite
    }

    func update(_ invite: Invite) throws {
        if self.state.invites[invite.id] != nil { self.state.invites[invite.id] = invite }
    }

    func delete(_ invite: Invite) throws { self.state.invites[invite.id] = nil }

    func deleteInvites(expiredBy time: Timestamp) throws {
        self.state.invites = self.state.invites.filter { $0.value.expiresAt > time }
    }
}
