import Crypto
import Foundation

/// How one side proves who it is to a TURN server (RFC 8489, 9.2): nothing at first, then by what the server's
/// challenge names.
///
/// Decides, never acts: requests go through ``proving(_:)``, answers through ``answerReceived(_:)``.
package struct LongTermAuthentication: Sendable {
    /// What follows from an answer.
    package enum Outcome: Hashable, Sendable {
        /// The server named what it wants: prove the request anew and send it again.
        case repeatRequest
        /// The request succeeded, and the server proved that it knows the password too.
        case accepted
        /// It succeeded although nothing was proven.
        case acceptedUnproven
        /// It succeeded, but whoever answered does not know the password.
        case forged
        case refused(code: Int, reason: String)
        /// Neither success nor an error with a code.
        case malformed
    }

    private enum State: Sendable {
        case unchallenged
        case challenged(realm: String, nonce: String, key: SymmetricKey)
    }

    /// A server that calls each new nonce stale would never stop.
    private static let staleNoncesMax = 3

    private let username: String
    private let password: String
    private var state = State.unchallenged
    private var staleNonceCount = 0

    package init(username: String, password: String) {
        self.username = username
        self.password = password
    }

    /// Of the server's last challenge.
    package var realm: String? {
        switch self.state {
        case .unchallenged: nil
        case .challenged(let realm, _, _): realm
        }
    }

    /// The bytes of a request, with proof as soon as there was a challenge.
    package func proving(_ request: STUNMessage) -> [UInt8] {
        switch self.state {
        case .unchallenged: return request.encoded()
        case .challenged(let realm, let nonce, let key):
            var request = request
            request.attributes += [
                .text(.username, self.username), .text(.realm, realm), .text(.nonce, nonce),
            ]
            return request.encoded(key: key)
        }
    }

    package mutating func answerReceived(_ answer: STUNMessage) -> Outcome {
        switch (answer.kind, self.state) {
        case (.success, .unchallenged): return .acceptedUnproven
        case (.success, .challenged(_, _, let key)): return answer.isAuthentic(by: key) ? .accepted : .forged
        case (.failure, let state):
            guard let error = answer.error else { return .malformed }
            let isChallenge =
                switch (error.code, state) {
                case (401, .unchallenged): true
                // 438: the nonce is too old; a new one is in the answer.
                case (438, _): self.staleNonceCount < Self.staleNoncesMax
                default: false
                }
            guard isChallenge else { return .refused(code: error.code, reason: error.reason) }
            guard let realm = answer.text(.realm) ?? self.realm, let nonce = answer.text(.nonce) else {
                return .malformed
            }
            if error.code == 438 { self.staleNonceCount += 1 }
            let key = Insecure.MD5.hash(data: Data("\(self.username):\(realm):\(self.password)".utf8))
            self.state = .challenged(realm: realm, nonce: nonce, key: SymmetricKey(data: key))
            return .repeatRequest
        case (.request, _), (.indication, _): return .malformed
        }
    }
}
