import Core
import Crypto
package import Foundation

/// Signs as the Standard Webhooks specification says (standardwebhooks.com, symmetric `v1`).
package enum WebhookSignature {
    private static let secretPrefix = "whsec_"

    /// The field `webhook-signature`: one signature for each secret, the present one first.
    ///
    /// - parameters:
    ///   - id: `webhook-id`; without a full stop.
    ///   - timestamp: `webhook-timestamp`, seconds since 1970.
    package static func field(id: String, timestamp: Int64, body: Data, secrets: [String]) -> String {
        let content = Data("\(id).\(timestamp).".utf8) + body
        return secrets.compactMap { secret in
            Data(base64Encoded: String(secret.dropFirst(Self.secretPrefix.count))).map { key in
                let code = HMAC<SHA256>.authenticationCode(for: content, using: SymmetricKey(data: key))
                return "v1," + Data(code).base64EncodedString()
            }
        }.joined(separator: " ")
    }
}
