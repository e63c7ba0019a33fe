package import Core
import Crypto
package import Foundation
package import Hummingbird
import NIOCore
import NIOFoundationCompat

/// A whole request body, read within bounds.
package struct BodyBytes: Sendable {
    package let data: Data

    /// SHA-256, hex; what an idempotency key is bound to.
    package var hash: String { SHA256.hash(data: self.data).hexText }

    /// Reads a JSON object.
    ///
    /// - throws: ``Problem`` `invalid-json` if it is none, `validation-failed` naming the first field of a wrong type.
    package func decode<Value: Decodable>(_ type: Value.Type = Value.self) throws(Problem) -> Value {
        do {
            return try JSON.decode(type, from: self.data)
        } catch let error as DecodingError {
            if case .dataCorrupted(let context) = error, context.codingPath.isEmpty, let field = self.fractionPath {
                throw .invalid(field, "must be a whole number")
            }
            throw Problem(error)
        } catch let error as Problem {
            throw error
        } catch {
            throw Problem(.invalidJSON)
        }
    }

    /// Where a number stands that is no integer; `nil` for nowhere, or if this is no JSON.
    ///
    /// Foundation reports one in an integer's place as broken JSON, without the place. Every number that requests name
    /// is whole; what clients attach is their own.
    private var fractionPath: String? {
        guard case .object(let members)? = try? JSON.decode(JSONValue.self, from: self.data) else {
            return nil
        }
        let ours = members.filter { !["metadata", "payload"].contains($0.key) }
        return JSONValue.object(ours).fractionPath(at: "")
    }

    /// As ``decode(_:)``; an empty body is an empty object, for requests all of whose fields are optional.
    package func decodeIfPresent<Value: Decodable>(_ type: Value.Type = Value.self) throws(Problem) -> Value {
        self.data.isEmpty ? try BodyBytes(data: Data("{}".utf8)).decode(type) : try self.decode(type)
    }
}

extension Request {
    /// Reads the body, at most ``Limits/bodyBytesMax``.
    ///
    /// - parameter textAllowed: whether `text/plain` passes too, as `navigator.sendBeacon` sends it.
    /// - throws: ``Problem`` `body-too-large`, or `unsupported-media-type` for a declared type that is not JSON
    ///   (none, and the form type that `curl -d` declares, pass: what counts is that it parses).
    package func readBody(textAllowed: Bool = false) async throws -> BodyBytes {
        if let declared = self.headers[.contentType] {
            let mediaType = declared.prefix { $0 != ";" }.trimmingCharacters(in: .whitespaces).lowercased()
            let isJSON = mediaType == "application/json" || mediaType.hasSuffix("+json")
            let isPlain = mediaType == "application/x-www-form-urlencoded" || (textAllowed && mediaType == "text/plain")
            guard isJSON || isPlain || mediaType.isEmpty else { throw Problem(.unsupportedMediaType) }
        }
        // A declared length over the bound is refused before a byte of it is read.
        if let length = self.headers[.contentLength].flatMap({ Int($0) }), length > Limits.bodyBytesMax {
            throw Problem(.bodyTooLarge)
        }
        do {
            return BodyBytes(data: Data(buffer: try await self.body.collect(upTo: Limits.bodyBytesMax)))
        } catch is NIOTooManyBytesError {
            throw Problem(.bodyTooLarge)
        }
    }
}

extension Problem {
    /// What a `DecodingError` says, in the contract's words.
    init(_ error: DecodingError) {
        switch error {
        case .keyNotFound(let key, let context):
            self = .invalid((context.codingPath + [key]).fieldPath, "is required")
        case .valueNotFound(_, let context):
            if context.codingPath.isEmpty {
                self.init(.invalidJSON, "The body must be a JSON object")
            } else {
                self = .invalid(context.codingPath.fieldPath, "must not be null")
            }
        case .typeMismatch(let type, let context):
            if context.codingPath.isEmpty {
                self.init(.invalidJSON, "The body must be a JSON object")
            } else {
                self = .invalid(context.codingPath.fieldPath, "must be \(Self.name(ofJSON: type))")
            }
        case .dataCorrupted(let context):
            if context.codingPath.isEmpty {
                self.init(.invalidJSON, context.debugDescription == JSON.tooDeep ? "The body is \(JSON.tooDeep)" : nil)
            } else {
                self = .invalid(context.codingPath.fieldPath, Self.wording(of: context))
            }
        @unknown default:
            self.init(.invalidJSON)
        }
    }

    /// Our own types say what is wrong ("is not a usr_… identifier"); Foundation's wording would name Swift types.
    private static func wording(of context: DecodingError.Context) -> String {
        context.debugDescription.hasPrefix("is ") || context.debugDescription.hasPrefix("must ")
            ? context.debugDescription : "has a value that is not allowed"
    }

    private static func name(ofJSON type: Any.Type) -> String {
        switch type {
        case is String.Type: "a string"
        case is Bool.Type: "true or false"
        case is any FixedWidthInteger.Type: "a whole number"
        case is any BinaryFloatingPoint.Type: "a number"
        case is [JSONValue].Type, is [Any].Type: "an array"
        default: "of another type"
        }
    }
}

extension [any CodingKey] {
    /// `invite[2]`, `media.audio`.
    var fieldPath: String {
        self.reduce(into: "") { path, key in
            if let index = key.intValue {
                path += "[\(index)]"
            } else {
                path += path.isEmpty ? key.stringValue : ".\(key.stringValue)"
            }
        }
    }
}

extension Sequence<UInt8> {
    /// Two lower-case hexadecimal digits a byte.
    package var hexText: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: self.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}

extension JSONValue {
    /// The path of the first number that is no integer, in the order of names.
    fileprivate func fractionPath(at path: String) -> String? {
        switch self {
        case .number: path
        case .object(let members):
            members.sorted { $0.key < $1.key }.lazy
                .compactMap { $0.value.fractionPath(at: path.isEmpty ? $0.key : "\(path).\($0.key)") }.first
        case .array(let items):
            items.enumerated().lazy.compactMap { $0.element.fractionPath(at: "\(path)[\($0.offset)]") }.first
        case .null, .bool, .integer, .string: nil
        }
    }
}
