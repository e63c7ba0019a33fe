import Core
import Foundation
import Testing

/// What can be dialled, and what is sent where.
struct BridgeTargetTests {
    private let visitor = BridgeVisitor(userID: "usr_1", username: "Siti & Co/é", color: "#aabbcc")

    @Test func theTemplateIsFilledSoThatNoNameBecomesAnotherPart() {
        let target = BridgeTarget(
            url: "wss://far.example/rooms/{room}?u={username}&c={color}&id={userId}", remoteRoom: "a/b?c")
        #expect(
            target.address(for: self.visitor)?.absoluteString
                == "wss://far.example/rooms/a%2Fb%3Fc?u=Siti%20%26%20Co%2F%C3%A9&c=%23aabbcc&id=usr_1")
    }

    @Test(arguments: [
        "http://far/", "ws://", "far", "ws://user:secret@far/", "ws://far/{unknown}", "ws://far/{", "",
        "ws://far/" + String(repeating: "a", count: 3000), "ws://far/#part", "ws://far:0/", "ws://far:99999/",
        "ws://far/a b", "ws://far/a\r\nX: y", "ws://far/\u{7}", "ws://far/\u{2028}", "ws://{room}/",
        "ws://{username}.far/",
        "ws://far:{room}/", "{room}://far/", "ws://far{color}?x",
    ]) func whatCannotBeDialledIsRefused(url: String) {
        #expect(throws: Problem.self) { try BridgeTarget(url: url, remoteRoom: "r").check() }
    }

    @Test(arguments: [
        ["Host": "x"], ["Sec-WebSocket-Key": "x"], ["a b": "x"], ["": "x"], ["X": "a\r\nY: b"], ["Upgrade": "x"],
        ["X": "a", "x": "b"],
    ]) func headersThatBreakTheHandshakeAreRefused(headers: [String: String]) {
        #expect(throws: Problem.self) {
            try BridgeTarget(url: "ws://far/", remoteRoom: "r", headers: headers).check()
        }
    }

    @Test func boundsAreHeldAndWhatIsWithinThemPasses() throws {
        let many = Dictionary(uniqueKeysWithValues: (0...Limits.bridgeHeadersMax).map { ("X-\($0)", "v") })
        var target = BridgeTarget(url: "ws://far/", remoteRoom: "r", headers: many)
        #expect(throws: Problem.self) { try target.check() }
        target.headers = ["Authorization": String(repeating: "s", count: Limits.bridgeHeaderBytesMax)]
        try target.check()
        target.headers = ["Authorization": String(repeating: "s", count: Limits.bridgeHeaderBytesMax + 1)]
        #expect(throws: Problem.self) { try target.check() }
        target.headers = [:]
        target.certificateAuthority = nil
        target.remoteRoom = ""
        #expect(throws: Problem.self) { try target.check() }
    }

    @Test(arguments: [
        "wss://far.example", "ws://127.0.0.1:1?x={username}", "ws://[::1]:9/{room}",
        "wss://far:65535/?u={userId}&c={color}",
    ]) func whatCanBeDialledPasses(url: String) throws {
        try BridgeTarget(url: url, remoteRoom: "80").check()
    }

    /// A block of DER by its base64; the first says that it is five bytes and is, others are not what they say.
    @Test func certificatesArePEM() throws {
        func target(_ blocks: String...) -> BridgeTarget {
            let pem = blocks.map { "-----BEGIN CERTIFICATE-----\n\($0)\n-----END CERTIFICATE-----\n" }.joined()
            return BridgeTarget(url: "wss://far/", remoteRoom: "r", certificateAuthority: "Comment\n" + pem)
        }
        try target("MAMCAQE=").check()
        try target("MAMC\r\nAQE=", "MAMCAQE=").check()
        // No base64, nothing, shorter and longer than it says, an integer, a length of five bytes, of none.
        for block in ["xx", "", "MAMCAQ==", "MAMCAQEA", "AgEB", "MIUAAAAAAQ==", "MIA="] {
            #expect(throws: Problem.self, "\(block)") { try target(block).check() }
            #expect(throws: Problem.self, "\(block)") { try target("MAMCAQE=", block).check() }
        }
        for text in ["no PEM", "-----BEGIN CERTIFICATE-----\nMAMCAQE=", ""] {
            let broken = BridgeTarget(url: "wss://far/", remoteRoom: "r", certificateAuthority: text)
            #expect(throws: Problem.self, "\(text)") { try broken.check() }
        }
    }

    @Test func whatIsShownHoldsNoQuery() {
        #expect(BridgeTarget(url: "wss://far/{room}?token=s", remoteRoom: "r").shownURL == "wss://far/{room}")
    }
}
