import Core

/// `POST /v1/users`.
struct SignUpRequest: Decodable, Sendable {
    let username: String
    let displayName: String?
    let color: String?
    let password: String?
    let invite: String?
}

/// `PATCH /v1/users/{user}`.
struct ProfileRequest: Decodable, Sendable {
    let displayName: String?
    let color: String?
    let password: String?
    let currentPassword: String?
}

/// `PATCH /v1/admin/users/{user}`.
struct UserRightsRequest: Decodable, Sendable {
    let role: UserRole?
    let suspended: Bool?
}

/// `POST /v1/tokens`: the fields that each grant needs are required by ``TokenController``.
struct TokenRequest: Decodable, Sendable {
    enum Grant: String, Decodable, Sendable { case password, refresh }

    let grant: Grant
    let username: String?
    let password: String?
    let refreshToken: String?
}

/// What signing up, signing in and refreshing answer.
struct SignedInPayload: Encodable {
    let user: UserPayload
    let accessToken: String
    /// Of the access token.
    let expiresAt: Timestamp
    let refreshToken: String
}

/// `POST /v1/stream-tickets`.
struct StreamTicketPayload: Encodable {
    let ticket: String
    /// Until when it opens a stream.
    let expiresAt: Timestamp
}

/// `POST /v1/users/{user}/api-keys`.
struct NewAPIKeyRequest: Decodable, Sendable {
    let name: String
    let scopes: [Scope]
    let expiresAt: Timestamp?
}

/// An API key; with the key itself only when it was just made.
struct APIKeyPayload: Encodable {
    private let key: APIKey
    private let lastUsedAt: Timestamp?
    private let secret: String?

    init(_ key: APIKey, lastUsedAt: Timestamp?, secret: String? = nil) {
        self.key = key
        self.lastUsedAt = lastUsedAt
        self.secret = secret
    }

    private enum CodingKeys: String, CodingKey { case id, name, scopes, key, createdAt, expiresAt, lastUsedAt }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.key.id, forKey: .id)
        try container.encode(self.key.name, forKey: .name)
        try container.encode(self.key.scopes.sorted(), forKey: .scopes)
        try container.encodeIfPresent(self.secret, forKey: .key)
        try container.encode(self.key.createdAt, forKey: .createdAt)
        try container.encode(self.key.expiresAt, forKey: .expiresAt)
        try container.encode(self.lastUsedAt, forKey: .lastUsedAt)
    }
}

/// `POST /v1/admin/invites`.
struct NewInviteRequest: Decodable, Sendable {
    let note: String?
    let uses: Int?
    let expiresAt: Timestamp?
}

/// An invite; with its code only when it was just made.
struct InvitePayload: Encodable {
    private let invite: Invite
    private let code: String?

    init(_ invite: Invite, code: String? = nil) { (self.invite, self.code) = (invite, code) }

    private enum CodingKeys: String, CodingKey {
        case id, code, note, createdBy, createdAt, expiresAt, uses, usesLeft
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.invite.id, forKey: .id)
        try container.encodeIfPresent(self.code, forKey: .code)
        try container.encode(self.invite.note, forKey: .note)
        try container.encode(self.invite.createdBy, forKey: .createdBy)
        try container.encode(self.invite.createdAt, forKey: .createdAt)
        try container.encode(self.invite.expiresAt, forKey: .expiresAt)
        try container.encode(self.invite.usesMax, forKey: .uses)
        try container.encode(self.invite.usesMax - self.invite.uses, forKey: .usesLeft)
    }
}
