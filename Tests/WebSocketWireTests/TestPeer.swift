import NIOCore
import NIOEmbedded
import NIOHTTP1
import NIOWebSocket
import TestSupport
import Testing
import WebSocketWire

/// One end of a WebSocket in an embedded channel, and what it did.
final class TestPeer {
    let channel = EmbeddedChannel()
    let role: WebSocketConfiguration.Role
    /// Outlives the peer, whose channel closes last.
    private final class Record {
        var texts: [String] = []
        var binaries: [ByteBuffer] = []
        var endings: [WebSocketEnding] = []
    }
    private let record = Record()
    var texts: [String] { self.record.texts }
    var binaries: [ByteBuffer] { self.record.binaries }
    var endings: [WebSocketEnding] { self.record.endings }
    let handler: WebSocketHandler
    let context: ChannelHandlerContext

    /// - parameter isStarted: `false`: as before the 101.
    init(
        _ role: WebSocketConfiguration.Role = .server, _ incoming: WebSocketConfiguration.Incoming = .text,
        messageBytesMax: Int = 256 * 1024, isStarted: Bool = true
    ) throws {
        self.role = role
        var configuration = WebSocketConfiguration(role: role, incoming: incoming)
        configuration.messageBytesMax = messageBytesMax
        try self.channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 80)).wait()
        if role == .server { try self.channel.pipeline.syncOperations.addHandler(HTTPResponseEncoder()) }
        self.handler = WebSocketHandler(
            configuration, on: self.channel.embeddedEventLoop, onText: { [record] in record.texts.append($0) },
            onBinary: { [record] in record.binaries.append($0) },
            onEnded: { [record] in record.endings.append($0) })
        self.context = try installWebSocket(self.handler, on: self.channel)
        if isStarted { self.handler.start() }
    }

    deinit { _ = try? self.channel.finish(acceptAlreadyClosed: true) }

    func receive(_ bytes: some Sequence<UInt8>) throws {
        try self.channel.writeInbound(ByteBuffer(bytes: bytes))
        self.channel.embeddedEventLoop.run()
    }

    func advance(_ amount: TimeAmount) { self.channel.embeddedEventLoop.advanceTime(by: amount) }

    func setWritable(_ isWritable: Bool) {
        self.channel.isWritable = isWritable
        self.channel.pipeline.fireChannelWritabilityChanged()
    }

    /// All bytes written since the last call.
    func sentBytes() throws -> [UInt8] {
        var bytes: [UInt8] = []
        while let buffer = try self.channel.readOutbound(as: ByteBuffer.self) { bytes += buffer.readableBytesView }
        return bytes
    }

    /// All frames written since the last call.
    func sentFrames() throws -> [Frame] { try Frame.parse(self.sentBytes()) }
}
