package import Foundation

/// The one way in which this project writes and reads JSON: keys sorted, so that equal values are equal texts, and no
/// escaped slashes.
///
/// `null` members are written by the payload types themselves where the contract shows them.
package enum JSON {
    /// - throws: `EncodingError`; none of our payloads causes one.
    package static func encode(_ value: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.withoutEscapingSlashes, .sortedKeys]
        return try encoder.encode(value)
    }

    /// As ``encode(_:)``, as text.
    package static func text(_ value: some Encodable) throws -> String {
        String(decoding: try self.encode(value), as: UTF8.self)
    }

    /// - throws: `DecodingError`.
    package static func decode<Value: Decodable>(_ type: Value.Type = Value.self, from text: String) throws -> Value {
        try JSONDecoder().decode(type, from: Data(text.utf8))
    }
}
