import NIOCore
import NIOEmbedded
import NIOHTTP1
import NIOWebSocket
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

/// A frame, encoded and parsed by hand: a second opinion on the code under test.
struct Frame: Equatable, CustomStringConvertible {
    static let continuation: UInt8 = 0, text: UInt8 = 1, binary: UInt8 = 2, close: UInt8 = 8, ping: UInt8 = 9
    static let pong: UInt8 = 10

    var opcode: UInt8
    var payload: [UInt8]
    var isFinal = true
    var reserved: UInt8 = 0
    /// `nil`: not masked.
    var mask: [UInt8]?

    init(_ opcode: UInt8, _ payload: [UInt8], isFinal: Bool = true, reserved: UInt8 = 0, mask: [UInt8]? = nil) {
        self.opcode = opcode
        self.payload = payload
        self.isFinal = isFinal
        self.reserved = reserved
        self.mask = mask
    }

    /// As a client sends it.
    static func masked(
        _ opcode: UInt8, _ payload: [UInt8], isFinal: Bool = true, reserved: UInt8 = 0
    ) -> Frame {
        Frame(opcode, payload, isFinal: isFinal, reserved: reserved, mask: [0x37, 0xFA, 0x21, 0x3D])
    }

    static func closing(_ code: Int, _ reason: String = "") -> [UInt8] {
        [UInt8(code >> 8), UInt8(code & 0xFF)] + Array(reason.utf8)
    }

    var bytes: [UInt8] {
        var bytes = [(self.isFinal ? 0x80 : 0) | self.reserved << 4 | self.opcode]
        let maskBit: UInt8 = self.mask == nil ? 0 : 0x80
        let length = self.payload.count
        if length < 126 {
            bytes.append(maskBit | UInt8(length))
        } else if length < 65536 {
            bytes += [maskBit | 126, UInt8(length >> 8), UInt8(length & 0xFF)]
        } else {
            bytes.append(maskBit | 127)
            bytes += (0..<8).reversed().map { UInt8(truncatingIfNeeded: length >> ($0 * 8)) }
        }
        guard let mask else { return bytes + self.payload }
        return bytes + mask + self.payload.enumerated().map { $1 ^ mask[$0 % 4] }
    }

    var description: String {
        "Frame(opcode \(self.opcode), final \(self.isFinal), masked \(self.mask != nil), \(self.payload.prefix(40)))"
    }

    enum ParseError: Error { case incomplete(after: [Frame]) }

    /// The frames of these bytes, unmasked.
    static func parse(_ bytes: [UInt8]) throws -> [Frame] {
        var frames: [Frame] = []
        var rest = bytes[...]
        func take(_ count: Int) throws -> [UInt8] {
            guard rest.count >= count else { throw ParseError.incomplete(after: frames) }
            defer { rest = rest.dropFirst(count) }
            return Array(rest.prefix(count))
        }
        while !rest.isEmpty {
            let head = try take(2)
            var length = Int(head[1] & 0x7F)
            if length == 126 {
                length = try take(2).reduce(0) { $0 << 8 | Int($1) }
                try #require(length > 125, "lengths are minimal")
            } else if length == 127 {
                length = try take(8).reduce(0) { $0 << 8 | Int($1) }
                try #require(length > 65535, "lengths are minimal")
            }
            let mask = head[1] & 0x80 == 0 ? nil : try take(4)
            var payload = try take(length)
            if let mask { payload = payload.enumerated().map { $1 ^ mask[$0 % 4] } }
            frames.append(
                Frame(
                    head[0] & 0x0F, payload, isFinal: head[0] & 0x80 != 0, reserved: head[0] >> 4 & 0x07, mask: mask))
        }
        return frames
    }
}
