import Core

/// `POST /v1/users`.
struct SignUpRequest: Decodable, Sendable {
    let username: String
    let displayName: String?
    let color: String?
    let password: String?
}

/// `PATCH /v1/users/{user}`.
struct ProfileRequest: Decodable, Sendable {
    let displayName: String?
    let color: String?
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
