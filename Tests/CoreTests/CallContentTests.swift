import Core
import TestSupport
import Testing

/// What signals may say, and within which bounds.
struct CallContentTests {
    private static func field(_ body: () throws -> SignalContent) -> String? {
        do {
            _ = try body()
            return nil
        } catch {
            return (error as? Problem)?.errors.first?.field
        }
    }

    @Test func descriptionWithinBoundsIsTaken() {
        #expect(Self.field { try .offer(sdp: "v=0\r\n") } == nil)
        #expect(Self.field { try .offer(sdp: "o=-") } == "sdp")
        let padding = String(repeating: "a", count: Limits.sdpBytesMax - 3)
        #expect(Self.field { try .offer(sdp: "v=0" + padding) } == nil)
        #expect(Self.field { try .answer(sdp: "v=0a" + padding, to: .fixture(1)) } == "sdp")
    }

    @Test func batchWithinBoundsIsTaken() {
        let candidate = ICECandidate(candidate: "candidate:1 1 udp 1 192.0.2.1 1 typ host")
        let most = Limits.candidatesPerGenerationMax
        #expect(Self.field { try .candidates(Array(repeating: candidate, count: most), isEnd: false) } == nil)
        #expect(
            Self.field { try .candidates(Array(repeating: candidate, count: most + 1), isEnd: false) } == "candidates")
        #expect(Self.field { try .candidates([], isEnd: false) } == "candidates")
        #expect(Self.field { try .candidates([], isEnd: true) } == nil)
        let long = ICECandidate(candidate: String(repeating: "c", count: Limits.candidateBytesMax + 1))
        #expect(Self.field { try .candidates([candidate, long], isEnd: false) } == "candidates[1].candidate")
        let line = ICECandidate(candidate: "", sdpMLineIndex: -1)
        #expect(Self.field { try .candidates([line], isEnd: false) } == "candidates[0].sdpMLineIndex")
        let name = ICECandidate(candidate: "", usernameFragment: String(repeating: "u", count: 257))
        #expect(Self.field { try .candidates([name], isEnd: false) } == "candidates[0].usernameFragment")
    }

    @Test func payloadsAndReasonsAreBounded() {
        let most = Limits.customPayloadBytesMax
        let text = { (count: Int) in JSONValue.string(String(repeating: "p", count: count)) }
        #expect(Self.field { try .custom(text(most - 2)) } == nil)
        #expect(Self.field { try .custom(text(most - 1)) } == "payload")
        #expect(Self.field { try .encrypted(.offer, payload: text(most), offer: nil) } == nil)
        let large = Limits.encryptedDescriptionBytesMax
        #expect(Self.field { try .encrypted(.offer, payload: text(large), offer: nil) } == "payload")
        #expect(Self.field { try .encrypted(.candidates, payload: text(most), offer: nil) } == "payload")
        #expect(Self.field { try .encrypted(.answer, payload: .null, offer: nil) } == "offer")
        #expect(Self.field { try .encrypted(.superseded, payload: .null, offer: nil) } == "type")
        #expect(Self.field { try .reject(offer: nil, reason: String(repeating: "é", count: 200)) } == nil)
        #expect(Self.field { try .reject(offer: nil, reason: String(repeating: "é", count: 201)) } == "reason")
    }
}
