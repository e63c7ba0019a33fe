package import Core
import Crypto
import Foundation

/// TURN servers that know a secret of ours, and the credentials that it makes for them.
///
/// As coturn's `--use-auth-secret` has it (draft-uberti-behave-turn-rest): the name says when the credentials expire
/// and whom they were given to, the password is the name's HMAC-SHA1. So nothing is stored, here or there.
package struct TURNServers: Sendable {
    /// `turn:` and `turns:` URLs, in the order in which clients are told them.
    package let urls: [String]
    /// How long credentials hold from when they were given.
    package let credentialsLifetime: Duration
    private let secret: String

    /// For `doctor`, which knows short secrets to be guessed.
    package var secretCharacterCount: Int { self.secret.unicodeScalars.count }

    /// A name and a password, for `RTCIceServer`.
    package struct Credentials: Hashable, Sendable {
        package let username: String
        package let password: String
    }

    package init(urls: [String], secret: String, credentialsLifetime: Duration) {
        self.urls = urls
        self.secret = secret
        self.credentialsLifetime = credentialsLifetime
    }

    /// For a participant who has joined. The relay's log tells whose allocation it is, and its `user-quota` bounds what
    /// one participant of one call takes.
    package func credentials(for user: UserID, in call: CallID, now: Timestamp) -> Credentials {
        self.credentials(for: "\(user).\(call)", expiresAt: now.advanced(by: self.credentialsLifetime))
    }

    /// - parameter bearer: whom they are for; without a colon, which ends the time in front of it.
    package func credentials(for bearer: String, expiresAt: Timestamp) -> Credentials {
        let username = "\(expiresAt.milliseconds / 1000):\(bearer)"
        let code = HMAC<Insecure.SHA1>.authenticationCode(
            for: Data(username.utf8), using: SymmetricKey(data: Data(self.secret.utf8)))
        return Credentials(username: username, password: Data(code).base64EncodedString())
    }
}

extension TURNServers: CustomStringConvertible, CustomReflectable {
    /// Without the secret, also where somebody logs the whole settings.
    package var description: String { self.urls.joined(separator: ",") }
    package var customMirror: Mirror { Mirror(self, children: ["urls": self.urls]) }
}
