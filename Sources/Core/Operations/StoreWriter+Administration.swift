/// What an admin changes about a user; `nil` stays as it is.
package struct UserRights: Sendable {
    package var role: UserRole?
    package var isSuspended: Bool?

    package init(role: UserRole? = nil, isSuspended: Bool? = nil) {
        self.role = role
        self.isSuspended = isSuspended
    }
}

extension StoreWriter {
    /// Makes a user an admin or takes that away, suspends them or lets them in again. What is so already is not
    /// written down.
    ///
    /// Suspending ends all sessions, hence all streams, and leaves all calls; rooms and messages stay. Who is let in
    /// again signs in anew.
    ///
    /// - throws: ``Problem`` `not-found`, `validation-failed`, `last-admin`; `forbidden` if the asker is no admin any
    ///   more.
    package func changeRights(_ reference: UserReference, _ rights: UserRights, as acting: Acting) throws -> User {
        try self.presentUser(acting).require(.administer)
        let before = try self.user(reference, as: acting.user)
        var user = before
        user.role = rights.role ?? before.role
        user.isSuspended = rights.isSuspended ?? before.isSuspended
        guard user != before else { return user }
        // A guest would take the rights along when it expires; a bridged user proves nothing here.
        guard user.role == .user || user.kind == .account else {
            throw Problem.invalid("role", "must be user: only accounts can be admins")
        }
        if !user.isActingAdmin { try self.requireAnotherAdmin(than: before) }
        try self.update(user)
        if user.isSuspended, !before.isSuspended {
            try self.removeFromCalls(of: user.id, in: nil, by: acting.user.id, now: acting.now, ids: acting.ids)
            for session in try self.sessions(of: user.id) { try self.revoke(session, now: acting.now) }
        }
        try self.appendUserChanged(user.id, at: acting.now)
        var parameters: [String: JSONValue] = [:]
        if user.role != before.role { parameters["role"] = .string(user.role.rawValue) }
        if user.isSuspended != before.isSuspended { parameters["suspended"] = .bool(user.isSuspended) }
        try self.audit(AuditRecord(.userChanged, of: user.id.text, parameters), as: acting)
        return user
    }

    /// A server without an admin could not be helped over HTTP.
    ///
    /// - throws: ``Problem`` `last-admin` if the user is the only admin who can act.
    func requireAnotherAdmin(than user: User) throws {
        guard user.isActingAdmin else { return }
        guard try self.actingAdminCount() > 1 else { throw Problem(.lastAdmin) }
    }
}

extension User {
    /// Whether they have an admin's rights at this moment.
    package var isActingAdmin: Bool { self.role == .admin && !self.isSuspended && self.deletedAt == nil }
}
