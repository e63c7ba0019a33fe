import Core
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import TestSupport
import WebSocketWire

/// A remote room in this process, on a free port of 127.0.0.1: a server whose frames are made and read by hand, and
/// which does whatever a test wants of a bad one.
final class RemoteActor: Sendable {
    /// How it treats whoever connects from now on.
    enum Manner: Sendable {
        /// As the seed's actor: a welcome with the history, echoes to all, metadata kept.
        case room
        /// Answers with this status.
        case refuses(Int)
        /// Answers whatever comes with these bytes.
        case answers(String)
        /// Switches protocols for another key than was sent.
        case forgesTheHandshake
        /// Takes the connection and says nothing.
        case saysNothing
        /// Switches protocols and does not welcome.
        case doesNotWelcome
        /// Sends this frame in place of a welcome.
        case says([UInt8])
        /// Welcomes, and reads and answers nothing more, pings least of all.
        case isDeaf
    }

    private struct Session {
        let channel: any Channel
        let id: String
        let username: String
        let hears: Bool
    }

    private struct State {
        var manner = Manner.room
        var sessions: [Int: Session] = [:]
        var connections: [Int: any Channel] = [:]
        var history: [JSONValue] = []
        var visits = 0
        var greetings: [String] = []
        var goodbyes: [Int] = []
        var signals: [JSONValue] = []
        var strangers: [String] = []
        var listener: (any Channel)?
        var port = 0
    }

    private let state = Mutex(State())
    private let tls: NIOSSLContext?
    /// As which Comblang it answers, if it is one.
    fileprivate let instance: String?

    /// - parameter certificate: `nil` for no TLS.
    init(_ certificate: TestCertificate? = nil, instance: String? = nil) async throws {
        self.instance = instance
        self.tls = try certificate.map { certificate in
            try NIOSSLContext(
                configuration: .makeServerConfiguration(
                    certificateChain: NIOSSLCertificate.fromPEMBytes(Array(certificate.pem.utf8)).map {
                        .certificate($0)
                    },
                    privateKey: .privateKey(
                        NIOSSLPrivateKey(bytes: Array(TestCertificate.privateKey.utf8), format: .pem))))
        }
        try await self.comeBack()
    }

    // MARK: What tests do with it

    var port: Int { self.state.withLock { $0.port } }
    /// Names of those who have a session, sorted.
    var present: [String] { self.state.withLock { $0.sessions.values.map(\.username).sorted() } }
    /// Contents of the messages that it took, in order.
    var said: [String] { self.state.withLock { $0.history.compactMap { $0["content"]?.stringValue } } }
    /// Connections that were ever made.
    var visits: Int { self.state.withLock { $0.visits } }
    /// The head of each upgrade request.
    var greetings: [String] { self.state.withLock { $0.greetings } }
    /// Codes of the Close frames that came.
    var goodbyes: [Int] { self.state.withLock { $0.goodbyes } }
    /// The `signal` frames that came.
    var signals: [JSONValue] { self.state.withLock { $0.signals } }

    func behave(_ manner: Manner) { self.state.withLock { $0.manner = manner } }

    /// Breaks all connections without a word.
    func cut() {
        for channel in self.state.withLock({ Array($0.connections.values) }) { channel.close(promise: nil) }
    }

    /// Nobody answers at its port any more.
    func goAway() async throws {
        let listener = self.state.withLock { state in
            defer { state.listener = nil }
            return state.listener
        }
        try await listener?.close()
        self.cut()
    }

    /// At the same port as before.
    func comeBack() async throws {
        let tls = self.tls
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls { try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls)) }
                    try channel.pipeline.syncOperations.addHandler(Visitor(self))
                }
            }.bind(host: "127.0.0.1", port: self.port).get()
        self.state.withLock { state in
            state.listener = listener
            state.port = listener.localAddress?.port ?? 0
        }
    }

    /// Somebody of the remote room says something.
    ///
    /// - parameter hasID: whether the room gives the message an id.
    func say(_ content: String, as username: String, hasID: Bool = true) {
        self.take(content, nil, from: Self.stranger(username), hasID: hasID)
    }

    /// People who are there from now on, as each welcome tells.
    func come(_ usernames: [String]) { self.state.withLock { $0.strangers = usernames } }

    /// Sends a frame to all, as it is.
    func tell(_ members: [String: JSONValue]) { self.state.withLock { Self.tell(.object(members), in: $0) } }

    static func stranger(_ username: String) -> [String: JSONValue] {
        ["userId": .string("id of \(username)"), "username": .string(username), "color": .string("#123456")]
    }

    // MARK: What its connections tell

    fileprivate func came(_ channel: any Channel) -> (number: Int, manner: Manner) {
        self.state.withLock { state in
            state.visits += 1
            state.connections[state.visits] = channel
            return (state.visits, state.manner)
        }
    }

    fileprivate func went(_ number: Int) {
        self.state.withLock { state in
            state.connections[number] = nil
            state.sessions[number] = nil
        }
    }

    /// - returns: the welcome.
    fileprivate func greeted(_ number: Int, _ head: String, on channel: any Channel, hears: Bool) -> JSONValue {
        let name = head.split(separator: "username=").dropFirst().first?.prefix { !"& ".contains($0) } ?? "guest"
        return self.state.withLock { state in
            let session = Session(channel: channel, id: "session \(number)", username: String(name), hears: hears)
            state.sessions[number] = session
            let people = state.sessions.values.map { Self.person($0) } + state.strangers.map { Self.stranger($0) }
            let users = people.map { JSONValue.object($0) }
            return .object(
                Self.person(session).merging(
                    [
                        "type": .string("welcome"), "users": .array(users), "history": .array(state.history),
                        "resumeToken": .string("token \(number)"),
                    ]) { $1 })
        }
    }

    fileprivate func asked(_ head: String) { self.state.withLock { $0.greetings.append(head) } }
    fileprivate func saidGoodbye(_ code: Int) { self.state.withLock { $0.goodbyes.append(code) } }

    fileprivate func heard(_ frame: JSONValue, from number: Int) {
        if frame["type"] == .string("signal") { self.state.withLock { $0.signals.append(frame) } }
        guard frame["type"] == .string("message"), let content = frame["content"]?.stringValue,
            let session = self.state.withLock({ $0.sessions[number] })
        else { return }
        self.take(content, frame["metadata"], from: Self.person(session))
    }

    private func take(
        _ content: String, _ metadata: JSONValue?, from person: [String: JSONValue], hasID: Bool = true
    ) {
        // Within the lock, so that everybody hears all in the same order.
        self.state.withLock { state in
            let message = JSONValue.object(
                person.merging([
                    "type": .string("message"),
                    "id": hasID ? .string("message \(state.history.count) of this remote room") : .null,
                    "content": .string(content), "metadata": metadata ?? .null, "timestamp": .integer(1),
                ]) { $1 })
            state.history.append(message)
            Self.tell(message, in: state)
        }
    }

    private static func tell(_ value: JSONValue, in state: State) {
        guard let text = try? JSON.text(value) else { return }
        let frame = ByteBuffer(bytes: Frame(Frame.text, Array(text.utf8)).bytes)
        for channel in state.sessions.values.filter(\.hears).map(\.channel) {
            // Later: a write that fails closes the channel at once, which asks for the lock.
            channel.eventLoop.execute { channel.writeAndFlush(frame, promise: nil) }
        }
    }

    private static func person(_ session: Session) -> [String: JSONValue] {
        ["userId": .string(session.id), "username": .string(session.username), "color": .string("#654321")]
    }
}

/// One connection to the remote room.
private final class Visitor: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let room: RemoteActor
    private var number = 0
    private var manner = RemoteActor.Manner.room
    private var bytes: ArraySlice<UInt8> = []
    private var isUpgraded = false

    init(_ room: RemoteActor) { self.room = room }

    func channelActive(context: ChannelHandlerContext) {
        (self.number, self.manner) = self.room.came(context.channel)
    }

    func channelInactive(context: ChannelHandlerContext) { self.room.went(self.number) }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.bytes += Self.unwrapInboundIn(data).readableBytesView
        if !self.isUpgraded { self.answer(context) }
        if self.isUpgraded { self.readFrames(context) }
    }

    private func answer(_ context: ChannelHandlerContext) {
        let text = String(decoding: self.bytes, as: UTF8.self)
        self.bytes = text.hasSuffix("\r\n\r\n") ? [] : self.bytes
        if case .answers(let answer) = self.manner { self.write(Array(answer.utf8), context) }
        guard self.bytes.isEmpty else { return }
        self.room.asked(text)
        switch self.manner {
        case .saysNothing, .answers: break
        case .refuses(let status):
            self.write(Array("HTTP/1.1 \(status) No\r\nContent-Length: 0\r\n\r\n".utf8), context)
        case .forgesTheHandshake: self.upgrade(context, key: "another")
        case .doesNotWelcome: self.upgrade(context, key: Self.key(text))
        case .says(let frame):
            self.upgrade(context, key: Self.key(text))
            self.write(frame, context)
        case .room, .isDeaf:
            self.upgrade(context, key: Self.key(text))
            let hears = if case .room = self.manner { true } else { false }
            let welcome = self.room.greeted(self.number, text, on: context.channel, hears: hears)
            self.write(Frame(Frame.text, Array(((try? JSON.text(welcome)) ?? "").utf8)).bytes, context)
        }
    }

    private static func key(_ head: String) -> String {
        let line = head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("sec-websocket-key:") }
        return line.map { String($0.dropFirst("sec-websocket-key:".count).drop { $0 == " " }) } ?? ""
    }

    private func upgrade(_ context: ChannelHandlerContext, key: String) {
        self.isUpgraded = true
        let accept = WebSocketHandshake.accept(forKey: key)
        let lines =
            [
                "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
                "Sec-WebSocket-Accept: \(accept)",
            ] + (self.room.instance.map { ["Comblang-Instance: \($0)"] } ?? [])
        self.write(Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8), context)
    }

    private func readFrames(_ context: ChannelHandlerContext) {
        if case .isDeaf = self.manner { return }
        while let frame = (try? Frame.takeFirst(from: &self.bytes)) ?? nil {
            switch frame.opcode {
            case Frame.ping: self.write(Frame(Frame.pong, frame.payload).bytes, context)
            case Frame.text:
                guard let value = try? JSON.decode(JSONValue.self, from: String(decoding: frame.payload, as: UTF8.self))
                else { break }
                self.room.heard(value, from: self.number)
            case Frame.close:
                self.room.saidGoodbye(frame.payload.prefix(2).reduce(0) { $0 << 8 | Int($1) })
                self.write(Frame(Frame.close, frame.payload).bytes, context)
                context.close(promise: nil)
            default: break
            }
        }
    }

    private func write(_ bytes: [UInt8], _ context: ChannelHandlerContext) {
        context.writeAndFlush(Self.wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
    }
}
