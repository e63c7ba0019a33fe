import Core

extension MemoryReading {
    func users(_ query: UserQuery) throws -> [UserOverview] {
        let found = self.state.users.values.filter { user in
            user.deletedAt == nil && query.after.map { user.id > $0 } ?? true
                && query.role.map { user.role == $0 } ?? true && query.kind.map { user.kind == $0 } ?? true
                && query.isSuspended.map { user.isSuspended == $0 } ?? true
                && query.isOnline.map { user.isOnline == $0 } ?? true
                && query.search.map { Self.holds($0, [user.username, user.displayName], id: user.id.text) } ?? true
        }
        return found.sorted { $0.id < $1.id }.prefix(query.limit).map { user in
            UserOverview(
                user: user, roomCount: self.state.members.keys.count { $0.user == user.id },
                sessionCount: self.state.sessions.values.count { $0.user == user.id && $0.revokedAt == nil })
        }
    }

    func actingAdminCount() throws -> Int { self.state.users.values.count(where: \.isActingAdmin) }

    func rooms(_ query: RoomQuery) throws -> [RoomOverview] {
        let found = self.state.rooms.values.filter { room in
            query.after.map { room.id > $0 } ?? true && query.visibility.map { room.visibility == $0 } ?? true
                && query.isArchived.map { room.isArchived == $0 } ?? true
                && query.search.map { Self.holds($0, [room.name, room.title], id: room.id.text) } ?? true
        }
        return try found.sorted { $0.id < $1.id }.prefix(query.limit).map { room in
            let messages = self.state.messages.values.filter { $0.room == room.id }
            return RoomOverview(
                room: room, memberCount: try self.memberCount(of: room.id), messageCount: messages.count,
                liveCallCount: self.state.calls.values.count { $0.call.room == room.id && $0.call.state != .ended },
                lastMessageAt: messages.max { $0.seq < $1.seq }?.createdAt)
        }
    }

    private static func holds(_ text: String, _ texts: [String?], id: String) -> Bool {
        text == id || texts.contains { $0?.lowercased().contains(text.lowercased()) == true }
    }

    func backup(_ id: BackupID) throws -> Backup? { self.state.backups[id] }

    func backups(before: BackupID?, limit: Int) throws -> [Backup] {
        let found = self.state.backups.values.filter { backup in before.map { backup.id < $0 } ?? true }
        return Array(found.sorted { $0.id > $1.id }.prefix(limit))
    }

    func auditEntries(_ query: AuditQuery) throws -> [AuditEntry] {
        let ascends = query.after != nil && query.before == nil
        let found = self.state.audit.filter { entry in
            query.admin.map { entry.admin == $0 } ?? true
                && query.action.map { entry.action == $0.rawValue } ?? true
                && query.resource.map { entry.resource == $0 } ?? true
                && query.since.map { entry.at >= $0 } ?? true && query.until.map { entry.at < $0 } ?? true
                && query.before.map { entry.id < $0 } ?? true && query.after.map { entry.id > $0 } ?? true
        }
        return Array(found.sorted { ascends ? $0.id < $1.id : $0.id > $1.id }.prefix(query.limit))
    }
}

extension MemoryWriter {
    func insert(_ backup: Backup) throws {
        try self.require(self.state.backups[backup.id] == nil, "backup.id is unique")
        try self.require(self.state.users[backup.createdBy] != nil, "backup.createdBy exists")
        self.state.backups[backup.id] = backup
    }

    func update(_ backup: Backup) throws {
        if self.state.backups[backup.id] != nil { self.state.backups[backup.id] = backup }
    }

    func delete(_ backup: Backup) throws { self.state.backups[backup.id] = nil }

    func insert(_ entry: AuditEntry) throws {
        try self.require(!self.state.audit.contains { $0.id == entry.id }, "auditEntry.id is unique")
        try self.require(self.state.users[entry.admin] != nil, "auditEntry.admin exists")
        self.state.audit.append(entry)
    }

    func deleteAuditEntries(before time: Timestamp, countMax: Int, limit: Int) throws -> Int {
        let old = self.state.audit.prefix { $0.at < time }.count
        let count = min(limit, max(old, self.state.audit.count - countMax))
        self.state.audit.removeFirst(count)
        return count
    }
}
