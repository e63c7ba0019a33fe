package import Core
import Foundation
package import Hummingbird

/// The query string, decoded: `+` and `%20` are spaces, unknown names are ignored. Which of two values is meant, nobody
/// can tell: a name comes once, but for those of a set of values.
package struct Query: Sendable {
    private let pairs: [(name: String, value: String)]

    /// The parameters that may have several values.
    private static let repeatable: Set = ["room", "types"]

    /// - throws: ``Problem`` `invalid-request` for a malformed percent-escape, text that is not UTF-8, a NUL, or a
    ///   second value of what has one.
    package init(_ request: Request) throws(Problem) { try self.init(text: request.uri.query) }

    /// - parameter text: what follows the `?` of a request's target.
    /// - throws: ``Problem`` as above.
    init(text: String?) throws(Problem) {
        var pairs: [(name: String, value: String)] = []
        for field in (text ?? "").split(separator: "&") {
            let parts = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let decoded = parts.map { $0.replacing("+", with: " ").removingPercentEncoding }
            guard let name = decoded[0], let value = decoded.count == 2 ? decoded[1] : "" else {
                throw Problem(.invalidRequest, "The query string is not valid UTF-8 in percent-encoding")
            }
            guard !name.contains("\0"), !value.contains("\0") else {
                throw Problem(.invalidRequest, "The query string must not hold the character U+0000 (%00)")
            }
            // An empty one counts as absent.
            guard !value.isEmpty else { continue }
            if !Self.repeatable.contains(name), pairs.contains(where: { $0.name == name }) {
                throw Problem(.invalidRequest, "The query string has \(name.prefix(64)) more than once")
            }
            pairs.append((name, value))
        }
        self.pairs = pairs
    }

    /// The value, the first of several.
    package subscript(_ name: String) -> String? {
        self.pairs.first { $0.name == name }?.value
    }

    /// All values, in order.
    package func all(_ name: String) -> [String] {
        self.pairs.filter { $0.name == name }.map(\.value)
    }

    /// The room that one asks about.
    ///
    /// - throws: ``Problem`` `invalid-request` for several.
    package func room() throws(Problem) -> RoomReference? {
        guard self.all("room").count <= 1 else {
            throw Problem(.invalidRequest, "The query string has room more than once")
        }
        return self["room"].map { RoomReference($0) }
    }

    /// A whole number in a range.
    ///
    /// - throws: ``Problem`` `validation-failed` naming the parameter.
    package func integer(_ name: String, in range: ClosedRange<Int>, default value: Int) throws(Problem) -> Int {
        guard let text = self[name] else { return value }
        guard let number = Int(text), range.contains(number) else {
            throw .invalid(name, "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// `true`, `1`, `false` or `0`; absent is `false`.
    ///
    /// - throws: ``Problem`` `validation-failed` naming the parameter.
    package func flag(_ name: String, default value: Bool = false) throws(Problem) -> Bool {
        switch self[name] {
        case nil: value
        case "1", "true": true
        case "0", "false": false
        case .some: throw .invalid(name, "must be true or false")
        }
    }

    /// As above; absent is `nil`.
    ///
    /// - throws: ``Problem`` `validation-failed` naming the parameter.
    package func optionalFlag(_ name: String) throws(Problem) -> Bool? {
        self[name] == nil ? nil : try self.flag(name)
    }

    /// A text to look for.
    ///
    /// - throws: ``Problem`` `validation-failed` naming the parameter if it is too long.
    package func search(_ name: String = "q") throws(Problem) -> String? {
        guard let text = self[name] else { return nil }
        guard text.unicodeScalars.count <= Limits.searchCharactersMax else {
            throw .invalid(name, "must have at most \(Limits.searchCharactersMax) characters")
        }
        return text
    }

    /// An identifier.
    ///
    /// - throws: ``Problem`` `validation-failed` naming the parameter.
    package func identifier<ID: Identifier>(_ name: String, as type: ID.Type = ID.self) throws(Problem) -> ID? {
        guard let text = self[name] else { return nil }
        guard let identifier = ID(text) else { throw .invalid(name, "must be a \(ID.prefix)… identifier") }
        return identifier
    }

    /// One of an enumeration's values.
    ///
    /// - throws: ``Problem`` `validation-failed` naming the parameter and the values.
    package func value<Value: RawRepresentable<String> & CaseIterable>(
        _ name: String, as type: Value.Type = Value.self
    ) throws(Problem) -> Value? {
        guard let text = self[name] else { return nil }
        guard let value = Value(rawValue: text) else {
            throw .invalid(name, "must be one of \(Value.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return value
    }

    /// `limit` of a list.
    package func pageLimit() throws(Problem) -> Int {
        try self.integer("limit", in: 1...Limits.pageItemsMax, default: Limits.pageItemsDefault)
    }
}
