import Testing
import WebSocketWire

struct WebSocketHandshakeTests {
    /// The RFC's own example, section 1.3.
    private static let valid = [
        "upgrade": ["websocket"], "connection": ["Upgrade"], "sec-websocket-version": ["13"],
        "sec-websocket-key": ["dGhlIHNhbXBsZSBub25jZQ=="],
    ]

    private func answer(changing changes: [String: [String]]) -> Result<String, WebSocketHandshake.Refusal> {
        let headers = Self.valid.merging(changes) { $1 }
        return Result { () throws(WebSocketHandshake.Refusal) in
            try WebSocketHandshake.accept { headers[$0] ?? [] }
        }
    }

    @Test func theExampleOfTheStandardIsAccepted() {
        #expect(self.answer(changing: [:]) == .success("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
    }

    @Test(arguments: [
        ["upgrade": ["WebSocket"]], ["upgrade": ["h2c, websocket"]], ["connection": ["keep-alive, UPGRADE"]],
        ["connection": ["keep-alive", "upgrade"]], ["sec-websocket-version": [" 13 "]],
    ])
    func tokensAreReadFromListsWhateverTheirCase(changes: [String: [String]]) {
        #expect(self.answer(changing: changes) == .success("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
    }

    @Test(arguments: [
        ["upgrade": []], ["upgrade": ["h2c"]], ["upgrade": ["websockets"]], ["connection": []],
        ["connection": ["keep-alive"]], ["connection": ["not upgrade"]],
    ])
    func withoutBothTokensItIsNoUpgrade(changes: [String: [String]]) {
        #expect(self.answer(changing: changes) == .failure(.notAnUpgrade))
    }

    @Test(arguments: [[], ["8"], ["13", "13"], ["013"], ["13, 8"]])
    func anyOtherVersionIsRefused(values: [String]) {
        #expect(self.answer(changing: ["sec-websocket-version": values]) == .failure(.unsupportedVersion))
    }

    @Test(arguments: [
        [], [""], ["dGhlIHNhbXBsZSBub25jZQ"], ["c2hvcnQ="], ["dGhlIHNhbXBsZSBub25jZSBpcyBsb25n"],
        ["!!!!IHNhbXBsZSBub25jZQ=="], ["dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="],
    ])
    func aKeyThatIsNotSixteenBytesIsRefused(values: [String]) {
        #expect(self.answer(changing: ["sec-websocket-key": values]) == .failure(.invalidKey))
    }
}
