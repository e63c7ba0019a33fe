package import Core
import Crypto
package import Foundation
import JWTKit
import Synchronization

/// What an access token or an API key says: whose it is, of which session, until when.
package struct AccessClaims: Hashable, Sendable {
    package let user: UserID
    package let session: SessionID
    /// `nil`: never.
    package let expiresAt: Timestamp?

    /// Whether it has not expired.
    func stands(at now: Timestamp) -> Bool { self.expiresAt.map { now < $0 } ?? true }
}

/// Signs and verifies our own access tokens: JWTs by HS256.
package final class AccessTokens: Sendable {
    /// Shorter secrets could be guessed (RFC 7518 section 3.2).
    package static let secretBytesMin = 32
    /// Verified tokens that are remembered; about 600 bytes each. What a token says never changes.
    private static let verifiedMax = 20_000
    /// Ours have about 300 bytes.
    private static let tokenBytesMax = 2048

    private let keys: JWTKeyCollection
    private let verified = Mutex<[String: AccessClaims]>([:])

    /// - parameter secret: at least ``secretBytesMin`` random bytes.
    package init(secret: Data) async {
        self.keys = await JWTKeyCollection().add(hmac: HMACKey(from: secret), digestAlgorithm: .sha256)
    }

    /// A token that is valid from `now` on.
    ///
    /// - throws: what JWTKit throws; nothing of ours makes it throw.
    package func issue(
        for user: User, session: SessionID, lifetime: Duration = Limits.accessTokenLifetime, now: Timestamp
    ) async throws -> (token: String, expiresAt: Timestamp) {
        let issuedAt = now.milliseconds / 1000
        let expiresAt = issuedAt + lifetime.components.seconds
        let payload = AccessTokenPayload(
            sub: user.id.text, sid: session.text, iat: issuedAt, exp: expiresAt,
            role: user.role == .admin ? user.role.rawValue : nil)
        return (try await self.keys.sign(payload), Timestamp(milliseconds: expiresAt * 1000))
    }

    /// Reads a token whose signature is ours and which has not expired.
    ///
    /// - throws: ``Problem`` `unauthorized`.
    package func claims(in token: String, now: Timestamp) async throws(Problem) -> AccessClaims {
        let claims: AccessClaims
        if let known = self.verified.withLock({ $0[token] }) {
            claims = known
        } else {
            claims = try await self.verify(token)
            self.remember(token, claims)
        }
        guard claims.stands(at: now) else { throw Problem(.unauthorized, "The access token has expired") }
        return claims
    }

    /// What a token says that was verified before; whether it has expired is the caller's question.
    func knownClaims(in token: String) -> AccessClaims? { self.verified.withLock { $0[token] } }

    /// Remembers what was found out about a token or a key; it never changes. That it was revoked is the session's
    /// matter.
    func remember(_ token: String, _ claims: AccessClaims) {
        self.verified.withLock { verified in
            if verified.count >= Self.verifiedMax { verified.removeAll() }
            verified[token] = claims
        }
    }

    private func verify(_ token: String) async throws(Problem) -> AccessClaims {
        guard token.utf8.count <= Self.tokenBytesMax,
            let payload = try? await self.keys.verify(token, as: AccessTokenPayload.self),
            let user = UserID(payload.sub), let session = SessionID(payload.sid),
            payload.exp > 0, payload.exp < Int64.max / 1000
        else { throw Problem(.unauthorized) }
        return AccessClaims(user: user, session: session, expiresAt: Timestamp(milliseconds: payload.exp * 1000))
    }
}

/// The claims of an access token. `role` is for clients to read; the server asks the database.
private struct AccessTokenPayload: JWTPayload {
    let sub: String
    let sid: String
    /// Seconds since 1970, as `exp`.
    let iat: Int64
    let exp: Int64
    let role: String?

    /// Only the signature; ``AccessTokens`` judges the time by the process's own clock.
    func verify(using algorithm: some JWTAlgorithm) async throws {}
}
