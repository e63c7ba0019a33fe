import Core
import Crypto
import Foundation

/// An opaque credential: 32 random bytes in base64url behind a prefix that tells what it is.
///
/// Only its hash is stored. SHA-256 suffices, as there is nothing to guess.
package struct SecretToken: Sendable {
    /// What the token is for; its raw value is its prefix.
    package enum Kind: String, Sendable {
        case refresh = "cbr_"
        case ticket = "cbt_"
        case leave = "cbl_"
        case resume = "cbw_"
        case apiKey = "cbk_"
        case invite = "cbi_"
    }

    /// What the client gets, once.
    package let text: String
    /// SHA-256 of `text`, hex.
    package var hash: String { Self.hash(of: self.text) }

    /// Makes one from the system's random source.
    package init(_ kind: Kind) {
        let random = SymmetricKey(size: .bits256).withUnsafeBytes { Data($0) }
        self.text = kind.rawValue + random.base64URL
    }

    /// What a webhook signs with, as the Standard Webhooks specification writes it. It is stored as it is.
    static func makeWebhookSecret() -> String {
        "whsec_" + SymmetricKey(size: .bits256).withUnsafeBytes { Data($0) }.base64EncodedString()
    }

    package static func hash(of text: String) -> String { SHA256.hash(data: Data(text.utf8)).hexText }
}

extension Data {
    /// RFC 4648 section 5, without padding.
    var base64URL: String {
        self.base64EncodedString().replacingOccurrences(of: "+", with: "-").replacingOccurrences(of: "/", with: "_")
            .replacingOccurrences(of: "=", with: "")
    }

    /// `nil` if the text is not base64url without padding.
    init?(base64URL text: some StringProtocol) {
        let padding = String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
        self.init(
            base64Encoded: text.replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
                + padding)
    }
}
