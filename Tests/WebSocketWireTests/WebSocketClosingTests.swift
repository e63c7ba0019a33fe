import NIOCore
import NIOEmbedded
import NIOHTTP1
import TestSupport
import Testing
import WebSocketWire

struct WebSocketClosingTests {
    private let lost = WebSocketEnding(.lost, WebSocketClose(.abnormal))

    @Test(arguments: [1000, 1001, 1003, 1011, 1014, 3000, 4999])
    func aPeersCloseIsEchoedAndTheSocketCloses(code: Int) throws {
        let peer = try TestPeer()
        try peer.receive(Frame.masked(Frame.close, Frame.closing(code, "dah")).bytes)
        #expect(try peer.sentFrames() == [Frame(Frame.close, Frame.closing(code, "dah"))])
        let close = WebSocketClose(WebSocketCloseCode(rawValue: UInt16(code)), "dah")
        #expect(peer.endings == [WebSocketEnding(.peer, close)])
        #expect(!peer.channel.isActive)
    }

    @Test func anEmptyCloseIsEchoedEmpty() throws {
        let peer = try TestPeer()
        try peer.receive(Frame.masked(Frame.close, []).bytes)
        #expect(try peer.sentFrames() == [Frame(Frame.close, [])])
        #expect(peer.endings == [WebSocketEnding(.peer, WebSocketClose(.noCode))])
    }

    @Test func ourCloseIsSentOnceAndTheSocketClosesWithItsEcho() throws {
        let peer = try TestPeer()
        peer.handler.close(WebSocketClose(.serviceRestart, "drain"))
        peer.handler.close(WebSocketClose(.normal))
        peer.handler.send("too late")
        #expect(try peer.sentFrames() == [Frame(Frame.close, Frame.closing(1012, "drain"))])
        #expect(peer.endings == [WebSocketEnding(.local, WebSocketClose(.serviceRestart, "drain"))])
        #expect(!peer.handler.isOpen && peer.channel.isActive)
        try peer.receive(Frame.masked(Frame.text, Array("crossing".utf8)).bytes)
        try peer.receive(Frame.masked(Frame.close, Frame.closing(1012)).bytes)
        #expect(!peer.channel.isActive)
        #expect(peer.endings.count == 1 && peer.texts.isEmpty)
    }

    @Test func withoutAnEchoTheSocketClosesAfterFiveSeconds() throws {
        let peer = try TestPeer()
        peer.handler.close(WebSocketClose(.normal))
        peer.advance(.milliseconds(4999))
        #expect(peer.channel.isActive)
        peer.advance(.milliseconds(1))
        #expect(!peer.channel.isActive)
        #expect(peer.endings.count == 1)
    }

    @Test func aLongReasonIsCutBetweenCharacters() throws {
        let peer = try TestPeer()
        peer.handler.close(WebSocketClose(.normal, String(repeating: "é", count: 100)))
        #expect(try peer.sentFrames() == [Frame(Frame.close, Frame.closing(1000, String(repeating: "é", count: 61)))])
    }

    @Test func aSocketThatClosesIsLost() throws {
        let peer = try TestPeer()
        _ = try peer.channel.finish()
        #expect(peer.endings == [self.lost])
    }

    @Test func aPeerThatOnlyStopsSendingIsLostToo() throws {
        let peer = try TestPeer()
        peer.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(peer.endings == [self.lost])
        #expect(!peer.channel.isActive)
    }

    @Test func aPeerThatAnswersPingsStays() throws {
        let peer = try TestPeer()
        for _ in 0..<20 {
            peer.advance(.seconds(15))
            let pings = try peer.sentFrames()
            #expect(pings.map(\.opcode) == [Frame.ping])
            for ping in pings { try peer.receive(Frame.masked(Frame.pong, ping.payload).bytes) }
        }
        #expect(peer.endings.isEmpty)
    }

    @Test func aPeerThatDoesNotIsCutThirtySecondsAfterThePing() throws {
        let peer = try TestPeer()
        peer.advance(.milliseconds(44_999))
        #expect(try peer.sentFrames().map(\.opcode) == [Frame.ping, Frame.ping])
        #expect(peer.channel.isActive)
        peer.advance(.milliseconds(1))
        #expect(!peer.channel.isActive)
        #expect(peer.endings == [self.lost])
    }

    @Test func pingsOfAPeerThatReadsNothingArePiledUpNowhere() throws {
        let peer = try TestPeer()
        peer.setWritable(false)
        for number in 0..<100 as Range<UInt8> { try peer.receive(Frame.masked(Frame.ping, [number]).bytes) }
        #expect(try peer.sentFrames().isEmpty)
        peer.setWritable(true)
        #expect(try peer.sentFrames() == [Frame(Frame.pong, [99])])
    }

    // MARK: Around the 101

    @Test func whatComesBeforeThe101IsAnsweredBehindIt() throws {
        let peer = try TestPeer(isStarted: false)
        try peer.receive(Frame.masked(Frame.ping, [1]).bytes + Frame.masked(Frame.text, Array("early".utf8)).bytes)
        #expect(try peer.sentBytes().isEmpty)
        #expect(peer.texts.isEmpty)
        let head = HTTPResponseHead(version: .http1_1, status: .switchingProtocols, headers: ["upgrade": "websocket"])
        try peer.channel.writeOutbound(HTTPServerResponsePart.head(head))
        let sent = String(decoding: try peer.sentBytes(), as: UTF8.self)
        #expect(sent.hasPrefix("HTTP/1.1 101 Switching Protocols\r\n") && sent.hasSuffix("\r\n\r\n"))
        peer.handler.start()
        #expect(try peer.sentFrames() == [Frame(Frame.pong, [1])])
        #expect(peer.texts == ["early"])
    }

    @Test func aFloodBeforeThe101ClosesTheSocket() throws {
        let peer = try TestPeer(isStarted: false)
        for _ in 0..<17 where peer.channel.isActive { try peer.receive(Frame.masked(Frame.ping, []).bytes) }
        #expect(!peer.channel.isActive)
        #expect(try peer.sentBytes().isEmpty)
        #expect(peer.endings == [self.lost])
    }

    @Test func aSocketThatClosesBeforeThe101IsTold() throws {
        let peer = try TestPeer(isStarted: false)
        peer.channel.close(promise: nil)
        peer.channel.embeddedEventLoop.run()
        peer.handler.start()
        #expect(peer.endings == [self.lost])
        #expect(!peer.handler.isOpen)
    }

    @Test func closingBeforeThe101WritesNothing() throws {
        let peer = try TestPeer(isStarted: false)
        peer.handler.close(WebSocketClose(.normal))
        #expect(try peer.sentBytes().isEmpty)
        #expect(!peer.channel.isActive)
        #expect(peer.endings == [self.lost])
    }

    @Test func aChannelWithoutHTTP1IsRefused() throws {
        let channel = EmbeddedChannel()
        let handler = WebSocketHandler(
            WebSocketConfiguration(role: .server, incoming: .text), on: channel.embeddedEventLoop, onText: { _ in },
            onEnded: { _ in })
        #expect(throws: ChannelPipelineError.self) { try installWebSocket(handler, on: channel) }
        _ = try channel.finish()
    }
}
