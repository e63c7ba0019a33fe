import Crypto
import Foundation
import STUNWire
import Testing

/// The challenge, the proof and what may go wrong, as a transcript.
struct LongTermAuthenticationTests {
    private static let key = SymmetricKey(data: Insecure.MD5.hash(data: Data("me:there:secret".utf8)))

    private static func attribute(_ type: STUNMessage.AttributeType, _ text: String) -> STUNMessage.Attribute {
        .init(type: type, value: Array(text.utf8))
    }

    private static func refusal(_ code: Int, nonce: String? = nil, realm: String? = nil) -> STUNMessage {
        let error = STUNMessage.Attribute(
            type: .init(rawValue: 0x0009), value: [0, 0, UInt8(code / 100), UInt8(code % 100)] + Array("no".utf8))
        let named = [nonce.map { Self.attribute(.nonce, $0) }, realm.map { Self.attribute(.realm, $0) }]
        return STUNMessage(.allocate, .failure, attributes: [error] + named.compactMap(\.self))
    }

    private static func success(key: SymmetricKey?) throws -> STUNMessage {
        try #require(STUNMessage(parsing: STUNMessage(.allocate, .success).encoded(key: key)))
    }

    private static func read(_ bytes: [UInt8]) throws -> STUNMessage { try #require(STUNMessage(parsing: bytes)) }

    @Test func aChallengeIsAnsweredWithAProof() throws {
        var login = LongTermAuthentication(username: "me", password: "secret")
        let request = STUNMessage(.allocate, attributes: [.requestedUDP])
        #expect(try Self.read(login.proving(request)).attributes == [.requestedUDP])
        #expect(login.answerReceived(Self.refusal(401, nonce: "n1", realm: "there")) == .repeatRequest)
        let proven = try Self.read(login.proving(request))
        #expect(proven.text(.username) == "me" && proven.text(.realm) == "there" && proven.text(.nonce) == "n1")
        #expect(proven.isAuthentic(by: Self.key))
        #expect(try login.answerReceived(Self.success(key: Self.key)) == .accepted)
    }

    @Test func aStaleNonceIsReplacedAFewTimesAndNoMore() throws {
        var login = LongTermAuthentication(username: "me", password: "secret")
        #expect(login.answerReceived(Self.refusal(401, nonce: "n1", realm: "there")) == .repeatRequest)
        for number in 2...4 {
            #expect(login.answerReceived(Self.refusal(438, nonce: "n\(number)")) == .repeatRequest)
            #expect(try Self.read(login.proving(STUNMessage(.refresh))).text(.nonce) == "n\(number)")
        }
        #expect(login.answerReceived(Self.refusal(438, nonce: "n5")) == .refused(code: 438, reason: "no"))
    }

    @Test func refusalsAreToldAsTheyAre() throws {
        var login = LongTermAuthentication(username: "me", password: "secret")
        #expect(login.answerReceived(Self.refusal(401)) == .malformed, "a challenge without a realm and a nonce")
        #expect(login.answerReceived(Self.refusal(300)) == .refused(code: 300, reason: "no"))
        #expect(try login.answerReceived(Self.success(key: nil)) == .acceptedUnproven)
        #expect(login.answerReceived(Self.refusal(401, nonce: "n1", realm: "there")) == .repeatRequest)
        #expect(
            login.answerReceived(Self.refusal(401, nonce: "n2", realm: "there")) == .refused(code: 401, reason: "no"))
        #expect(login.answerReceived(Self.refusal(486)) == .refused(code: 486, reason: "no"))
        #expect(try login.answerReceived(Self.success(key: nil)) == .forged)
        #expect(try login.answerReceived(Self.success(key: SymmetricKey(data: Data("x".utf8)))) == .forged)
        #expect(login.answerReceived(STUNMessage(.data, .indication)) == .malformed)
    }
}
