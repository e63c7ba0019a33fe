import Core
import Foundation
import HummingbirdTesting
import NIOCore
import NIOPosix
import TestSupport
import Testing

/// A client of `/ws/{room}` on a bare TCP connection, its frames made and read by hand.
final class RoomSocket {
    /// Refused: the server answered with another status than 101.
    struct Refusal: Error, Equatable {
        let status: Int
        let slug: String?
    }

    /// The connection ended where a frame was due.
    struct Ended: Error {}

    private let channel: any Channel
    private var incoming: AsyncStream<ByteBuffer>.Iterator
    private var buffer: ArraySlice<UInt8> = []
    /// What `welcome` said.
    private(set) var welcome: JSONValue = .null

    private final class Receiver: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        let continuation: AsyncStream<ByteBuffer>.Continuation

        init(_ continuation: AsyncStream<ByteBuffer>.Continuation) { self.continuation = continuation }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            self.continuation.yield(Self.unwrapInboundIn(data))
        }

        func channelInactive(context: ChannelHandlerContext) { self.continuation.finish() }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    /// Connects and shakes hands; does not wait for `welcome`.
    ///
    /// - parameter target: path and query.
    /// - throws: ``Refusal``.
    init(_ server: TestServer, _ target: String, token: String? = nil, headers: [String: String] = [:]) async throws {
        let (stream, continuation) = AsyncStream.makeStream(of: ByteBuffer.self)
        let port = try #require(server.client.port)
        self.channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Receiver(continuation))
                }
            }.connect(host: "127.0.0.1", port: port).get()
        self.incoming = stream.makeAsyncIterator()
        var lines = [
            "GET \(target) HTTP/1.1", "Host: 127.0.0.1:\(port)", "Connection: Upgrade", "Upgrade: websocket",
            "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ]
        if let token { lines.append("Authorization: Bearer \(token)") }
        lines += headers.map { "\($0): \($1)" }
        try await self.send(bytes: Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8))
        try await self.readHead()
    }

    deinit { self.channel.close(promise: nil) }

    /// Connects and reads `welcome`.
    static func enter(
        _ server: TestServer, _ target: String, token: String? = nil, headers: [String: String] = [:]
    ) async throws -> RoomSocket {
        let socket = try await RoomSocket(server, target, token: token, headers: headers)
        socket.welcome = try await socket.next()
        try #require(socket.welcome["type"] == .string("welcome"), "\(socket.welcome)")
        return socket
    }

    /// As ``enter(_:_:token:headers:)`` by a ticket, as a browser does.
    static func enter(_ server: TestServer, _ room: String, as person: Person) async throws -> RoomSocket {
        let ticket = try await person.post("/v1/stream-tickets").json["ticket"]?.stringValue ?? ""
        return try await self.enter(server, "/ws/\(room)?ticket=\(ticket)")
    }

    var userID: String { self.welcome["userId"]?.stringValue ?? "" }
    var resumeToken: String { self.welcome["resumeToken"]?.stringValue ?? "" }
    var cursor: String { self.welcome["cursor"]?.stringValue ?? "" }

    // MARK: Sending

    func send(_ frame: JSONValue) async throws {
        try await self.send(Frame.masked(Frame.text, Array(JSON.text(frame).utf8)))
    }

    func send(_ frame: Frame) async throws { try await self.send(bytes: frame.bytes) }

    func send(bytes: [UInt8]) async throws { try await self.channel.writeAndFlush(ByteBuffer(bytes: bytes)) }

    func signal(_ content: String, to user: String) async throws {
        try await self.send(["type": "signal", "to": .string(user), "content": .string(content)])
    }

    /// Closes the connection without a word.
    func vanish() async throws { try await self.channel.close() }

    // MARK: Receiving

    /// The next frame but pings, which are answered.
    func nextFrame() async throws -> Frame {
        while true {
            while true {
                guard let frame = try Frame.takeFirst(from: &self.buffer) else { break }
                guard frame.opcode == Frame.ping else { return frame }
                try await self.send(Frame.masked(Frame.pong, frame.payload))
            }
            guard let bytes = await self.incoming.next() else { throw Ended() }
            self.buffer += bytes.readableBytesView
        }
    }

    /// The next text frame as JSON.
    func next() async throws -> JSONValue {
        let frame = try await self.nextFrame()
        try #require(frame.opcode == Frame.text && frame.isFinal && frame.mask == nil, "\(frame)")
        return try JSON.decode(JSONValue.self, from: String(decoding: frame.payload, as: UTF8.self))
    }

    /// The next frame of one of these types; what comes before is left out.
    func next(_ types: String...) async throws -> JSONValue {
        while true {
            let frame = try await self.next()
            if types.contains(frame["type"]?.stringValue ?? "") { return frame }
        }
    }

    /// The code and reason of the Close frame; what comes before is left out.
    func close() async throws -> (code: Int, reason: String) {
        while true {
            let frame = try await self.nextFrame()
            guard frame.opcode == Frame.close else { continue }
            let code = frame.payload.prefix(2).reduce(0) { $0 << 8 | Int($1) }
            return (code, String(decoding: frame.payload.dropFirst(2), as: UTF8.self))
        }
    }

    /// Reads up to the end of the answer's head, and of its body if it is a refusal.
    private func readHead() async throws {
        let end = Array("\r\n\r\n".utf8)
        while true {
            let text = String(decoding: self.buffer, as: UTF8.self)
            if let range = text.range(of: "\r\n\r\n") {
                let status = Int(text.split(separator: " ").dropFirst().first ?? "") ?? 0
                if status == 101 {
                    let head = Array(text[..<range.lowerBound].utf8) + end
                    self.buffer = self.buffer.dropFirst(head.count)
                    return
                }
                let slug = text.range(of: "/problems/").map { start in
                    String(text[start.upperBound...].prefix { $0 != "\"" })
                }
                if slug != nil { throw Refusal(status: status, slug: slug) }
            }
            guard let bytes = await self.incoming.next() else { throw Ended() }
            self.buffer += bytes.readableBytesView
        }
    }
}
