/// A long-lived credential for a script, as stored: never the key, only its SHA-256.
///
/// It has a session of its own, so it is a device, and ends as a session does.
package struct APIKey: Hashable, Sendable {
    package var id: APIKeyID
    package var hash: String
    package var user: UserID
    package var session: SessionID
    /// What its owner calls it.
    package var name: String
    package var scopes: Set<Scope>
    package var createdAt: Timestamp
    /// `nil`: never.
    package var expiresAt: Timestamp?

    package init(
        id: APIKeyID, hash: String, user: UserID, session: SessionID, name: String, scopes: Set<Scope>,
        createdAt: Timestamp, expiresAt: Timestamp?
    ) {
        self.id = id
        self.hash = hash
        self.user = user
        self.session = session
        self.name = name
        self.scopes = scopes
        self.createdAt = createdAt
        self.expiresAt = expiresAt
    }
}

/// A key to be made.
package struct NewAPIKey: Sendable {
    package var name: String
    package var scopes: [Scope]
    package var expiresAt: Timestamp?

    package init(name: String, scopes: [Scope], expiresAt: Timestamp? = nil) {
        self.name = name
        self.scopes = scopes
        self.expiresAt = expiresAt
    }
}
