/// Who may sign up, guests included. Admins make users in any case.
package enum Registration: String, CaseIterable, Sendable {
    case open
    /// Whoever has an invite.
    case invite
    case closed
}

/// A code that lets so many people sign up until it expires, as stored: never the code, only its SHA-256.
package struct Invite: Hashable, Sendable {
    package var id: InviteID
    package var hash: String
    /// What admins say about it; `nil` for nothing.
    package var note: String?
    package var createdBy: UserID
    package var createdAt: Timestamp
    package var expiresAt: Timestamp
    package var usesMax: Int
    package var uses: Int

    package init(
        id: InviteID, hash: String, note: String?, createdBy: UserID, createdAt: Timestamp, expiresAt: Timestamp,
        usesMax: Int, uses: Int = 0
    ) {
        self.id = id
        self.hash = hash
        self.note = note
        self.createdBy = createdBy
        self.createdAt = createdAt
        self.expiresAt = expiresAt
        self.usesMax = usesMax
        self.uses = uses
    }

    /// Whether somebody can sign up with it.
    package func admits(at now: Timestamp) -> Bool { self.uses < self.usesMax && now < self.expiresAt }
}

/// An invite to be made; `nil` is the default.
package struct NewInvite: Sendable {
    package var note: String?
    package var usesMax: Int?
    package var expiresAt: Timestamp?

    package init(note: String? = nil, usesMax: Int? = nil, expiresAt: Timestamp? = nil) {
        self.note = note
        self.usesMax = usesMax
        self.expiresAt = expiresAt
    }
}
