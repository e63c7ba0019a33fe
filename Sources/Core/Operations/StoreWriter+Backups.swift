extension StoreWriter {
    /// Notes that a backup is to be made, and by whom; making it is another's work.
    ///
    /// - throws: ``Problem`` `backup-running` while one is; `forbidden` if the asker is no admin any more.
    package func startBackup(as acting: Acting) throws -> Backup {
        try self.presentUser(acting).require(.administer)
        guard try self.runningBackups().isEmpty else { throw Problem(.backupRunning) }
        let id = acting.ids.next(BackupID.self, at: acting.now)
        let backup = Backup(
            id: id, state: .running, file: Backup.fileName(id, at: acting.now), createdBy: acting.user.id,
            createdAt: acting.now)
        try self.insert(backup)
        try self.audit(AuditRecord(.backupStarted, of: id.text, ["file": .string(backup.file)]), as: acting)
        return backup
    }

    /// Forgets the oldest of those that are done, and of those that failed, beyond the newest `kept` of each.
    ///
    /// Returns those that it forgot, whose files may go.
    package func forgetBackups(beyond kept: Int) throws -> [Backup] {
        let all = try self.backups(before: nil, limit: Limits.backupsListedMax)
        let gone = [Backup.State.done, .failed].flatMap { state in all.filter { $0.state == state }.dropFirst(kept) }
        for backup in gone { try self.delete(backup) }
        return gone
    }
}

extension StoreReader {
    /// At most one, but for what a crash left behind.
    package func runningBackups() throws -> [Backup] {
        try self.backups(before: nil, limit: Limits.backupsListedMax).filter { $0.state == .running }
    }
}
