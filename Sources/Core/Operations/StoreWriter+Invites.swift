extension StoreReader {
    /// The invite of a code that somebody signs up with.
    ///
    /// - parameter hash: SHA-256 of the code, hex; `nil`: none was given.
    /// - throws: ``Problem`` `invite-required` if there is none that admits anybody.
    @discardableResult
    package func requireInvite(hash: String?, now: Timestamp) throws -> Invite {
        guard let hash else { throw Problem(.inviteRequired) }
        guard let invite = try self.invite(hash: hash), invite.admits(at: now) else {
            throw Problem(.inviteRequired, "The invite is unknown, expired or used up")
        }
        return invite
    }
}

extension StoreWriter {
    /// Makes an invite. Those that have expired are deleted.
    ///
    /// - parameter hash: SHA-256 of its code, hex.
    /// - throws: ``Problem`` `validation-failed`, `limit-reached`; `forbidden` if the asker is no admin any more.
    package func makeInvite(_ new: NewInvite, hash: String, as acting: Acting) throws -> Invite {
        try self.presentUser(acting).require(.administer)
        if let note = new.note { try FieldRules.inviteNote(note) }
        let usesMax = new.usesMax ?? 1
        guard (1...Limits.inviteUsesMax).contains(usesMax) else {
            throw Problem.invalid("uses", "must be a whole number from 1 to \(Limits.inviteUsesMax)")
        }
        let expiresAt = new.expiresAt ?? acting.now.advanced(by: Limits.inviteLifetimeDefault)
        guard expiresAt > acting.now, expiresAt <= acting.now.advanced(by: Limits.inviteLifetimeMax) else {
            throw Problem.invalid("expiresAt", "must be in the future and at most 90 days ahead")
        }
        try self.deleteInvites(expiredBy: acting.now)
        guard try self.invites(after: nil, limit: Limits.invitesMax).count < Limits.invitesMax else {
            throw Problem(.limitReached, "There are at most \(Limits.invitesMax) invites")
        }
        let invite = Invite(
            id: acting.ids.next(at: acting.now), hash: hash, note: new.note, createdBy: acting.user.id,
            createdAt: acting.now, expiresAt: expiresAt, usesMax: usesMax)
        try self.insert(invite)
        try self.audit(
            AuditRecord(.inviteCreated, of: invite.id.text, ["uses": .integer(Int64(usesMax))]), as: acting)
        return invite
    }

    /// Counts a use of an invite.
    ///
    /// - throws: ``Problem`` `invite-required`.
    package func useInvite(hash: String?, now: Timestamp) throws {
        var invite = try self.requireInvite(hash: hash, now: now)
        invite.uses += 1
        try self.update(invite)
    }

    /// Deletes an invite; who signed up with it stays.
    ///
    /// - throws: ``Problem`` `not-found`; `forbidden` if the asker is no admin any more.
    package func deleteInvite(_ id: InviteID, as acting: Acting) throws {
        try self.presentUser(acting).require(.administer)
        guard let invite = try self.invite(id) else { throw Problem.notFound }
        try self.delete(invite)
        try self.audit(AuditRecord(.inviteDeleted, of: id.text), as: acting)
    }
}
