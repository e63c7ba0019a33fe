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
        "ws://far/" + String(repeating: "a", count: 3000),
    ]) func whatCannotBeDialledIsRefused(url: String) {
        #expect(throws: Problem.self) { try BridgeTarget(url: url, remoteRoom: "r").check() }
    }

    @Test(arguments: [
        ["Host": "x"], ["Sec-WebSocket-Key": "x"], ["a b": "x"], ["": "x"], ["X": "a\r\nY: b"], ["Upgrade": "x"],
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
        target.certificateAuthority = "no PEM"
        #expect(throws: Problem.self) { try target.check() }
        target.certificateAuthority = nil
        target.remoteRoom = ""
        #expect(throws: Problem.self) { try target.check() }
    }

    @Test func whatIsShownHoldsNoQuery() {
        #expect(BridgeTarget(url: "wss://far/{room}?token=s", remoteRoom: "r").shownURL == "wss://far/{room}")
    }
}
