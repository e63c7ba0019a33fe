import NIOCore
import NIOEmbedded
import TestSupport
import Testing
import WebSocketWire

/// Random bytes and random times against the whole pipeline.
struct WebSocketFuzzTests {
    /// Valid frames, broken frames and noise in random pieces, with closes, clocks and full sockets in between: nothing
    /// crashes, what is sent is well-formed, at most one Close frame goes out with nothing behind it, one ending told.
    @Test(arguments: 0..<300 as Range<UInt64>)
    func whateverComesTheServerStaysWellFormed(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let incoming =
            [WebSocketConfiguration.Incoming.nothing, .text, .text, .messages, .messages]
            .randomElement(using: &generator) ?? .text
        let peer = try TestPeer(.server, incoming, messageBytesMax: 2000)
        var textsAtEnd: Int?
        for _ in 0..<60 where peer.channel.isActive {
            switch Int.random(in: 0..<40, using: &generator) {
            case 0: peer.handler.close(WebSocketClose(.goingAway, "fuzz"))
            case 1: peer.channel.close(promise: nil)
            case 2, 3: peer.advance(.seconds(Int64.random(in: 0...20, using: &generator)))
            case 4: peer.setWritable(false)
            case 5: peer.setWritable(true)
            default: try Self.feed(Self.randomBytes(using: &generator), to: peer, using: &generator)
            }
            if !peer.endings.isEmpty && textsAtEnd == nil { textsAtEnd = peer.texts.count }
        }
        _ = try? peer.channel.close().wait()
        peer.advance(.hours(1))

        #expect(peer.endings.count == 1, "seed \(seed): \(peer.endings)")
        #expect(textsAtEnd == nil || textsAtEnd == peer.texts.count, "seed \(seed): text after the end")
        let frames = try peer.sentFrames()
        #expect(frames.allSatisfy { $0.isFinal && $0.mask == nil && $0.reserved == 0 }, "seed \(seed): \(frames)")
        #expect(frames.allSatisfy { $0.payload.count <= 125 }, "seed \(seed): \(frames)")
        let closeAt = frames.firstIndex { $0.opcode == Frame.close }
        #expect(closeAt == nil || closeAt == frames.count - 1, "seed \(seed): \(frames)")
    }

    /// Two of our own ends talk through randomly cut pieces: every message arrives once and in order, and both ends
    /// agree on how it ended.
    @Test(arguments: 0..<50 as Range<UInt64>)
    func twoEndsUnderstandEachOther(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let (client, server) = (try TestPeer(.client), try TestPeer(.server))
        var (toServer, toClient): ([String], [String]) = ([], [])
        for _ in 0..<30 {
            let length = [0, 5, 125, 126, 1000, 65535, 65536].randomElement(using: &generator) ?? 0
            let text = String(repeating: "é", count: length / 2) + "\(Int.random(in: 0...9, using: &generator))"
            if Bool.random(using: &generator) {
                client.handler.send(text)
                toServer.append(text)
            } else {
                server.handler.send(text)
                toClient.append(text)
            }
            let seconds = Int64.random(in: 0...10, using: &generator)
            for _ in 0..<2 {
                try Self.feed(client.sentBytes(), to: server, using: &generator)
                try Self.feed(server.sentBytes(), to: client, using: &generator)
            }
            client.advance(.seconds(seconds))
            server.advance(.seconds(seconds))
        }
        #expect(server.texts == toServer && client.texts == toClient, "seed \(seed)")

        let (closer, other) = Bool.random(using: &generator) ? (client, server) : (server, client)
        let close = WebSocketClose(.normal, "done")
        closer.handler.close(close)
        try Self.feed(closer.sentBytes(), to: other, using: &generator)
        try Self.feed(other.sentBytes(), to: closer, using: &generator)
        #expect(closer.endings == [WebSocketEnding(.local, close)], "seed \(seed)")
        #expect(other.endings == [WebSocketEnding(.peer, close)], "seed \(seed)")
        #expect(!server.channel.isActive, "seed \(seed): the server closes the socket")
    }

    private static func feed(
        _ bytes: [UInt8], to peer: TestPeer, using generator: inout SeededGenerator
    ) throws {
        var rest = bytes[...]
        while !rest.isEmpty, peer.channel.isActive {
            let piece = rest.prefix(Int.random(in: 1...max(1, rest.count), using: &generator))
            rest = rest.dropFirst(piece.count)
            try peer.receive(piece)
        }
    }

    private static func randomBytes(using generator: inout SeededGenerator) -> [UInt8] {
        let count = Int.random(in: 0..<60, using: &generator)
        let noise = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
        switch Int.random(in: 0..<20, using: &generator) {
        case 0: return noise
        case 1: return Frame.masked(UInt8.random(in: 0...15, using: &generator), noise).bytes
        case 2: return Frame.masked(Frame.close, Frame.closing(Int.random(in: 990...1020, using: &generator))).bytes
        case 3: return Frame.masked(Frame.text, noise + Array(repeating: 0x61, count: 1960)).bytes
        case 4..<8: return Frame.masked(Frame.ping, noise).bytes
        case 8, 9: return Frame.masked(Frame.pong, [0, 0, 0, UInt8.random(in: 0...3, using: &generator)]).bytes
        case 10:
            return Frame.masked(Frame.text, Array("é".utf8.prefix(1)), isFinal: false).bytes
                + Frame.masked(Frame.ping, []).bytes + Frame.masked(Frame.continuation, [0xA9]).bytes
        default: return Frame.masked(Frame.text, Array("halo \(noise.count)".utf8)).bytes
        }
    }
}
