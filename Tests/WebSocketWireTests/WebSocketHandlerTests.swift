import NIOCore
import NIOEmbedded
import NIOHTTP1
import TestSupport
import Testing
import WebSocketWire

struct WebSocketHandlerTests {
    /// The server's Close frame of this code, whatever its reason.
    private func expectClose(_ code: Int, from peer: TestPeer, location: SourceLocation = #_sourceLocation) throws {
        let frames = try peer.sentFrames()
        #expect(frames.count == 1 && frames.first?.opcode == Frame.close, "\(frames)", sourceLocation: location)
        #expect(frames.first?.payload.prefix(2) == Frame.closing(code)[...], sourceLocation: location)
        #expect(peer.endings.map(\.close.code.rawValue) == [UInt16(code)], sourceLocation: location)
        #expect(peer.endings.first?.origin == .local, sourceLocation: location)
        // Whatever else comes, the socket is closed a second later.
        peer.advance(.seconds(1))
        #expect(!peer.channel.isActive, sourceLocation: location)
    }

    // MARK: Frames

    @Test(arguments: [0, 1, 125, 126, 127, 65535, 65536, 200_000])
    func messagesOfAnyLengthPassBothWays(length: Int) throws {
        let peer = try TestPeer()
        let text = String(repeating: "x", count: length)
        try peer.receive(Frame.masked(Frame.text, Array(text.utf8)).bytes)
        #expect(peer.texts == [text])
        peer.handler.send(text)
        #expect(try peer.sentFrames() == [Frame(Frame.text, Array(text.utf8))])
    }

    @Test func binaryMessagesPassBothWaysWhereTheyAreAllowed() throws {
        let peer = try TestPeer(.server, .messages)
        try peer.receive(Frame.masked(Frame.binary, [0, 255], isFinal: false).bytes)
        try peer.receive(Frame.masked(Frame.continuation, [7]).bytes)
        #expect(peer.binaries == [ByteBuffer(bytes: [0, 255, 7])])
        peer.handler.send(ByteBuffer(bytes: [1, 2]))
        #expect(try peer.sentFrames() == [Frame(Frame.binary, [1, 2])])
        #expect(peer.endings.isEmpty)
    }

    @Test func aPausedSocketIsReadFromAgainOnlyWhenThePauseEnds() throws {
        let peer = try TestPeer()
        let counter = ReadCounter()
        try peer.channel.pipeline.syncOperations.addHandler(counter, position: .first)
        peer.channel.read()
        #expect(counter.count == 1)
        peer.handler.pauseReading()
        peer.channel.read()
        peer.channel.read()
        #expect(counter.count == 1)
        peer.handler.resumeReading()
        #expect(counter.count == 2)
        peer.handler.resumeReading()
        peer.channel.read()
        #expect(counter.count == 3)
    }

    @Test func nothingMoreIsReadBeforeThe101() throws {
        let peer = try TestPeer(isStarted: false)
        let counter = ReadCounter()
        try peer.channel.pipeline.syncOperations.addHandler(counter, position: .first)
        peer.channel.read()
        #expect(counter.count == 0)
        peer.handler.start()
        #expect(counter.count == 1)
    }

    @Test func aMessageInSingleBytesIsTheSameMessage() throws {
        let peer = try TestPeer()
        for byte in Frame.masked(Frame.text, Array("halo, apa kabar? 📞".utf8)).bytes { try peer.receive([byte]) }
        #expect(peer.texts == ["halo, apa kabar? 📞"])
    }

    @Test func fragmentsMakeOneMessageAndPingsBetweenThemAreAnsweredAtOnce() throws {
        let peer = try TestPeer()
        let text = Array("📞 mak comblang".utf8)
        try peer.receive(Frame.masked(Frame.text, Array(text[..<2]), isFinal: false).bytes)
        try peer.receive(Frame.masked(Frame.ping, Array("here?".utf8)).bytes)
        #expect(try peer.sentFrames() == [Frame(Frame.pong, Array("here?".utf8))])
        try peer.receive(Frame.masked(Frame.continuation, [], isFinal: false).bytes)
        try peer.receive(Frame.masked(Frame.continuation, Array(text[2...])).bytes)
        #expect(peer.texts == ["📞 mak comblang"])
        try peer.receive(Frame.masked(Frame.text, Array("next".utf8)).bytes)
        #expect(peer.texts == ["📞 mak comblang", "next"])
        #expect(peer.endings.isEmpty)
    }

    @Test func aClientMasksWhatItSendsAndReadsWhatServersSend() throws {
        let client = try TestPeer(.client)
        client.handler.send("hi")
        let sent = try client.sentFrames()
        #expect(sent.map(\.payload) == [Array("hi".utf8)])
        #expect(sent.first?.mask != nil)
        try client.receive(Frame(Frame.text, Array("hello".utf8)).bytes)
        #expect(client.texts == ["hello"])
        try client.receive(Frame.masked(Frame.text, Array("masked".utf8)).bytes)
        try self.expectClose(1002, from: client)
    }

    @Test func encodedTextFramesAreWhatTheHandlerSends() throws {
        for length in [0, 125, 126, 65535, 65536] {
            let text = String(repeating: "é", count: length / 2) + String(repeating: "x", count: length % 2)
            var buffer = ByteBuffer()
            WebSocketFraming.encodeTextFrame(text, into: &buffer)
            #expect(Array(buffer.readableBytesView) == Frame(Frame.text, Array(text.utf8)).bytes)
        }
    }

    @Test func bytesWrittenFromTheContextPassUntouched() throws {
        let peer = try TestPeer()
        var buffer = ByteBuffer()
        WebSocketFraming.encodeTextFrame("one", into: &buffer)
        WebSocketFraming.encodeTextFrame("two", into: &buffer)
        peer.context.writeAndFlush(NIOAny(buffer), promise: nil)
        #expect(try peer.sentFrames().map(\.payload) == [Array("one".utf8), Array("two".utf8)])
    }

    // MARK: Broken rules

    @Test(arguments: [
        Frame(Frame.text, Array("not masked".utf8)),
        Frame(Frame.ping, []),
        Frame.masked(Frame.text, [], reserved: 4),
        Frame.masked(Frame.text, [], reserved: 1),
        Frame.masked(3, []),
        Frame.masked(0xB, []),
        Frame.masked(Frame.continuation, Array("nothing to continue".utf8)),
        Frame.masked(Frame.ping, [], isFinal: false),
        Frame.masked(Frame.ping, Array(repeating: 0, count: 126)),
        Frame.masked(Frame.close, [3]),
    ])
    func aFrameThatBreaksARuleClosesWith1002(frame: Frame) throws {
        let peer = try TestPeer()
        try peer.receive(frame.bytes)
        try self.expectClose(1002, from: peer)
    }

    @Test func aNewMessageInsideAnotherCloses1002() throws {
        let peer = try TestPeer()
        try peer.receive(Frame.masked(Frame.text, [0x61], isFinal: false).bytes)
        try peer.receive(Frame.masked(Frame.text, [0x62]).bytes)
        try self.expectClose(1002, from: peer)
        #expect(peer.texts.isEmpty)
    }

    @Test func anUnmaskedFragmentCloses1002() throws {
        let peer = try TestPeer()
        try peer.receive(Frame.masked(Frame.text, [0x61], isFinal: false).bytes)
        try peer.receive(Frame(Frame.continuation, [0x62]).bytes)
        try self.expectClose(1002, from: peer)
        #expect(peer.texts.isEmpty)
    }

    @Test(arguments: [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
    func aCloseCodeThatNobodyMaySendCloses1002(code: Int) throws {
        let peer = try TestPeer()
        try peer.receive(Frame.masked(Frame.close, Frame.closing(code)).bytes)
        try self.expectClose(1002, from: peer)
    }

    @Test(
        arguments: [
            [0xC3, 0x28], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xC0, 0xAF], [0xE2, 0x82],
        ] as [[UInt8]])
    func textThatIsNotUTF8Closes1007WholeOrSplit(bytes: [UInt8]) throws {
        let whole = try TestPeer()
        try whole.receive(Frame.masked(Frame.text, bytes).bytes)
        try self.expectClose(1007, from: whole)

        let split = try TestPeer()
        try split.receive(Frame.masked(Frame.text, [bytes[0]], isFinal: false).bytes)
        try split.receive(Frame.masked(Frame.continuation, Array(bytes[1...])).bytes)
        try self.expectClose(1007, from: split)
        #expect(whole.texts.isEmpty && split.texts.isEmpty)
    }

    @Test func aCloseReasonThatIsNotUTF8Closes1007() throws {
        let peer = try TestPeer()
        try peer.receive(Frame.masked(Frame.close, Frame.closing(1000) + [0xFF]).bytes)
        try self.expectClose(1007, from: peer)
    }

    @Test func aMessageOverTheBoundCloses1009BeforeItIsRead() throws {
        let peer = try TestPeer(messageBytesMax: 1000)
        try peer.receive(Frame.masked(Frame.text, Array(repeating: 0x61, count: 1000)).bytes)
        #expect(peer.texts.count == 1)
        // The header alone is enough.
        try peer.receive(Frame.masked(Frame.text, Array(repeating: 0x61, count: 1001)).bytes.prefix(8))
        try self.expectClose(1009, from: peer)
    }

    @Test func fragmentsThatAddUpOverTheBoundClose1009() throws {
        let peer = try TestPeer(messageBytesMax: 1000)
        try peer.receive(Frame.masked(Frame.text, Array(repeating: 0x61, count: 600), isFinal: false).bytes)
        try peer.receive(Frame.masked(Frame.continuation, Array(repeating: 0x61, count: 401)).bytes)
        try self.expectClose(1009, from: peer)
        #expect(peer.texts.isEmpty)
    }

    @Test func aLengthOfSixtyThreeBitsIsRefusedAtOnce() throws {
        let peer = try TestPeer()
        try peer.receive([0x81, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4])
        try self.expectClose(1009, from: peer)
    }

    @Test(arguments: [
        Frame.masked(Frame.text, [0x61]), Frame.masked(Frame.binary, []), Frame.masked(Frame.text, [], isFinal: false),
        Frame.masked(Frame.text, Array(repeating: 0x61, count: 300_000)),
    ])
    func dataOnAStreamForReadingCloses1008(frame: Frame) throws {
        let peer = try TestPeer(.server, .nothing)
        try peer.receive(Frame.masked(Frame.ping, [1]).bytes)
        #expect(try peer.sentFrames() == [Frame(Frame.pong, [1])])
        try peer.receive(frame.bytes)
        try self.expectClose(1008, from: peer)
        #expect(peer.texts.isEmpty)
    }

    @Test func nothingIsReadBehindAnError() throws {
        let peer = try TestPeer()
        try peer.receive(Frame.masked(Frame.ping, [], isFinal: false).bytes)
        try peer.receive(Frame.masked(Frame.text, Array("late".utf8)).bytes)
        try peer.receive(Frame.masked(Frame.ping, []).bytes)
        try self.expectClose(1002, from: peer)
        #expect(peer.texts.isEmpty)
    }
}

/// Counts how often the socket is read from.
private final class ReadCounter: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer

    var count = 0

    func read(context: ChannelHandlerContext) {
        self.count += 1
        context.read()
    }
}
