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

    /// - throws: `DecodingError`, also for what is nested deeper than ``Limits/jsonDepthMax``.
    package static func decode<Value: Decodable>(_ type: Value.Type = Value.self, from text: String) throws -> Value {
        try self.decode(type, from: Data(text.utf8))
    }

    /// As ``decode(_:from:)`` of a text.
    package static func decode<Value: Decodable>(_ type: Value.Type = Value.self, from data: Data) throws -> Value {
        guard data.withUnsafeBytes({ self.isShallow($0) }) else {
            throw DecodingError.dataCorrupted(.init(codingPath: [], debugDescription: self.tooDeep))
        }
        return try JSONDecoder().decode(type, from: data)
    }

    package static let tooDeep = "nested deeper than \(Limits.jsonDepthMax) levels"

    /// Foundation's decoder allows 512 levels, and what each costs grows with its depth: seconds for a few kilobytes.
    private static func isShallow(_ text: UnsafeRawBufferPointer) -> Bool {
        var (depth, isInString, isEscaped) = (0, false, false)
        for byte in text {
            if isInString {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isInString = false
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): isInString = true
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                if depth > Limits.jsonDepthMax { return false }
            case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
            default: break
            }
        }
        return true
    }
}
