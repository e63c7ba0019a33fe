import Core
import Foundation
import TestSupport
import Testing

/// The hand-written encoding of messages says what `Encodable` says.
struct MessagePayloadTests {
    private static let alphabet: [Character] = [
        "a", "é", "\"", "\\", "/", "\n", "\r", "\t", "\r\n", "\u{1}", "\u{1F}", "\u{7F}", "\u{2028}", "\u{1F600}", "{",
    ]

    @Test func handWrittenJSONIsTheSame() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<500 {
            let text = { (count: Int) in
                String((0..<count).map { _ in Self.alphabet.randomElement(using: &random) ?? "a" })
            }
            var user = User.fixture("alice")
            user.displayName = text(Int.random(in: 0...8, using: &random))
            if Bool.random(using: &random) { user.username = nil }
            let message = Message(
                id: .fixture(1), room: .fixture(2), seq: Int64.random(in: 1...Int64.max, using: &random), user: user.id,
                content: text(Int.random(in: 0...40, using: &random)),
                metadata: Bool.random(using: &random) ? try JSON.text(["k": text(5)]) : nil, createdAt: .fixture,
                editedAt: Bool.random(using: &random) ? .fixture : nil,
                deletedAt: Bool.random(using: &random) ? .fixture : nil,
                origin: MessageOrigin.allCases.randomElement(using: &random) ?? .rest)
            let payload = MessagePayload(message, user)
            let byHand = payload.text
            let expected = try JSON.decode(JSONValue.self, from: try JSON.text(payload))
            #expect(try JSON.decode(JSONValue.self, from: byHand) == expected, "seed \(seed)")
            // One line, for SSE and NDJSON.
            #expect(
                !byHand.utf8.contains(UInt8(ascii: "\n")) && !byHand.utf8.contains(UInt8(ascii: "\r")), "seed \(seed)")
        }
    }
}
