import Core
import Foundation
import Testing

/// What is read of JSON from outside.
struct JSONTests {
    private static func nested(_ depth: Int, in brackets: (String, String)) -> String {
        String(repeating: brackets.0, count: depth) + "1" + String(repeating: brackets.1, count: depth)
    }

    @Test(arguments: [("[", "]"), (#"{"a":"#, "}"), (#"{"a\"{[":["#, "]}")])
    func howDeepItMayBeNestedIsBounded(open: String, close: String) throws {
        let perRepeat = open.hasSuffix("[") && open.hasPrefix("{") ? 2 : 1
        let most = Limits.jsonDepthMax / perRepeat
        _ = try JSON.decode(JSONValue.self, from: Self.nested(most, in: (open, close)))
        #expect(throws: DecodingError.self) {
            try JSON.decode(JSONValue.self, from: Self.nested(most + 1, in: (open, close)))
        }
    }

    @Test func bracketsInStringsAreNoDepth() throws {
        let text = String(repeating: #"[{\"\\"#, count: 200)
        let whole = try JSON.text(JSONValue.string(text))
        #expect(try JSON.decode(JSONValue.self, from: whole) == .string(text))
    }

    @Test func wideIsNotDeep() throws {
        let many = "[" + Array(repeating: #"{"a":[]}"#, count: 500).joined(separator: ",") + "]"
        guard case .array(let items) = try JSON.decode(JSONValue.self, from: many) else { return }
        #expect(items.count == 500)
    }
}
