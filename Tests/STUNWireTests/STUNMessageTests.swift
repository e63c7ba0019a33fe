import Crypto
import Foundation
import STUNWire
import Testing

/// Messages byte by byte, against the vectors of RFC 5769 and against what a hostile server may send.
struct STUNMessageTests {
    private static func bytes(_ hex: String) -> [UInt8] {
        let digits = hex.filter { !$0.isWhitespace }
        return stride(from: 0, to: digits.count, by: 2).compactMap { offset in
            let start = digits.index(digits.startIndex, offsetBy: offset)
            return UInt8(digits[start..<digits.index(start, offsetBy: 2)], radix: 16)
        }
    }

    /// RFC 5769, 2.1: a request with short-term credentials.
    private static let request = bytes(
        """
        00010058 2112a442 b7e7a701 bc34d686 fa87dfae 80220010 5354554e 20746573 7420636c 69656e74 00240004 6e0001ff
        80290008 932ff9b1 51263b36 00060009 6576746a 3a683676 59202020 00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249
        c1b571a2 80280004 e57a3bcf
        """)

    /// RFC 5769, 2.4: a request with long-term credentials.
    private static let longTermRequest = bytes(
        """
        00010060 2112a442 78ad3433 c6ad72c0 29da412e 00060012 e3839ee3 8388e383 aae38383 e382afe3 82b90000 0015001c
        662f2f34 39396b39 35346436 4f4c3334 6f4c3946 53547679 36347341 0014000b 6578616d 706c652e 6f726700 00080014
        f6702465 6dd64a3e 02b8e071 2e85c9a2 8ca89666
        """)

    /// RFC 5769, 2.2 and 2.3: the same answer with an IPv4 and an IPv6 address.
    private static let answers = [
        bytes(
            """
            0101003c 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220 00200008 0001a147 e112a643
            00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7 80280004 c07d4c96
            """),
        bytes(
            """
            01010048 2112a442 b7e7a701 bc34d686 fa87dfae 8022000b 74657374 20766563 746f7220 00200014 0002a147 0113a9fa
            a5d3f179 bc25f4b5 bed2b9d9 00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41 80280004 c8fb0b4c
            """),
    ]
    private static let shortTermKey = SymmetricKey(data: Data("VOkJxbRl1RmTxUk/WvJxBt".utf8))

    @Test func theVectorsOfTheRFCAreReadAndProven() throws {
        let request = try #require(STUNMessage(parsing: Self.request))
        #expect(request.method == .binding && request.kind == .request)
        #expect(request.text(.software) == "STUN test client" && request.text(.username) == "evtj:h6vY")
        #expect(request.isAuthentic(by: Self.shortTermKey))
        #expect(!request.isAuthentic(by: SymmetricKey(data: Data("another".utf8))))

        let longTerm = try #require(STUNMessage(parsing: Self.longTermRequest))
        #expect(longTerm.text(.realm) == "example.org")
        let key = Insecure.MD5.hash(data: Data("マトリックス:example.org:TheMatrIX".utf8))
        #expect(longTerm.isAuthentic(by: SymmetricKey(data: key)))

        let addresses = Self.answers.map { STUNMessage(parsing: $0)?.mappedAddress?.description }
        #expect(addresses == ["192.0.2.1:32853", "[2001:db8:1234:5678:11:2233:4455:6677]:32853"])
        for answer in Self.answers {
            #expect(STUNMessage(parsing: answer)?.isAuthentic(by: Self.shortTermKey) == true)
        }
    }

    @Test func whatIsWrittenIsReadTheSame() throws {
        let key = SymmetricKey(data: Data("key".utf8))
        let id = STUNMessage.TransactionID()
        let peer = try #require(STUNAddress(host: [192, 0, 2, 7], port: 40_000))
        for method in STUNMessage.Method.allCases {
            for kind in STUNMessage.Class.allCases {
                let message = STUNMessage(
                    method, kind, id: id,
                    attributes: [.requestedUDP, .lifetime(seconds: 600), .peer(peer, of: id), .data([1, 2, 3])])
                let bytes = message.encoded(key: key)
                let read = try #require(STUNMessage(parsing: bytes))
                #expect(bytes.count % 4 == 0)
                #expect(read.method == method && read.kind == kind && read.id == id)
                #expect(read.attributes == message.attributes && read.isAuthentic(by: key))
                #expect(read.peerAddress == peer && read.data == [1, 2, 3] && read.lifetimeSeconds == 600)
            }
        }
    }

    @Test func aChangedByteIsNoticed() throws {
        for offset in 20..<(Self.request.count - 12) {
            var changed = Self.request
            changed[offset] ^= 1
            #expect(STUNMessage(parsing: changed)?.isAuthentic(by: Self.shortTermKey) != true, "byte \(offset)")
        }
    }

    @Test func nothingThatIsSentTrapsTheReader() {
        var generator = SystemRandomNumberGenerator()
        for message in [Self.request, Self.longTermRequest] + Self.answers {
            for count in 0...message.count { _ = STUNMessage(parsing: Array(message.prefix(count))) }
            for _ in 0..<2000 {
                var changed = message
                for _ in 0..<Int.random(in: 1...8, using: &generator) {
                    changed[Int.random(in: 0..<changed.count, using: &generator)] =
                        UInt8.random(in: .min ... .max, using: &generator)
                }
                guard let read = STUNMessage(parsing: changed) else { continue }
                _ = (read.isAuthentic(by: Self.shortTermKey), read.error, read.mappedAddress, read.relayedAddress)
                _ = (read.peerAddress, read.alternateServer, read.lifetimeSeconds)
            }
        }
    }

    @Test(arguments: [
        ("10.1.2.3", true), ("172.16.0.1", true), ("172.32.0.1", false), ("192.168.1.1", true), ("127.0.0.1", true),
        ("100.64.0.1", true), ("169.254.1.1", true), ("8.8.8.8", false), ("0.0.0.0", true),
    ])
    func privateAddressesAreKnown(_ text: String, _ isPrivate: Bool) throws {
        let host = text.split(separator: ".").compactMap { UInt8($0) }
        #expect(try #require(STUNAddress(host: host, port: 1)).isPrivate == isPrivate)
    }
}
