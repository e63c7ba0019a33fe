package import NIOCore

/// One WebSocket from the end of its handshake to the end of its socket.
///
/// Decides, never acts: no clock, no socket. Its driver feeds it what happened and carries out what it returns.
/// Every input has an answer in every state, because peers race, and bytes behind a Close frame still arrive.
package struct WebSocketConnectionStateMachine: Sendable {
    /// A ping of ours that was not answered yet.
    struct Ping: Equatable, Sendable {
        let number: UInt32
        let sentAt: NIODeadline

        var payload: [UInt8] { withUnsafeBytes(of: self.number.bigEndian) { Array($0) } }
    }

    enum State: Equatable, Sendable {
        /// `unanswered` is in the order of sending, and short: the pong timeout over the ping interval.
        case open(nextPingAt: NIODeadline, unanswered: [Ping])
        /// Our Close frame is out; the socket closes when the peer's comes, or at the deadline without it.
        case closing(until: NIODeadline)
        case closed
    }

    /// What to do; plain values, so that a test reads like a transcript.
    package enum Action: Hashable, Sendable {
        case deliver(String)
        case deliverBinary(ByteBuffer)
        case sendPing([UInt8])
        case sendPong([UInt8])
        /// Write the Close frame and tell the owner, who may write nothing more; then, if asked to, close the socket
        /// as soon as the frame is out.
        case sendClose(WebSocketClose, ending: WebSocketEnding, thenCloseSocket: Bool)
        /// Both Close frames were exchanged: close the socket as soon as ours is out.
        case closeSocket
        /// Close the socket now, whatever waits to be written; tell the owner if there is an ending to tell.
        case abandonSocket(WebSocketEnding?)
        /// The socket is gone; tell the owner.
        case report(WebSocketEnding)
        case ignore
    }

    private(set) var state: State
    private let configuration: WebSocketConfiguration
    private var pingsSent: UInt32 = 0
    private var isWritable = true
    /// The newest ping of the peer that came while the socket took nothing: older ones need no answer (RFC 6455,
    /// section 5.5.3), so that a peer which pings and never reads costs one payload.
    private var pongOwed: [UInt8]?

    /// The handshake ended at `now`.
    package init(_ configuration: WebSocketConfiguration, at now: NIODeadline) {
        self.configuration = configuration
        self.state = .open(nextPingAt: now + TimeAmount(configuration.pingInterval), unanswered: [])
    }

    /// When ``deadlineReached(at:)`` is due; `nil` when nothing is awaited any more.
    package var deadline: NIODeadline? {
        switch self.state {
        case .open(let nextPingAt, let unanswered):
            unanswered.first.map { min(nextPingAt, self.givenUp($0)) } ?? nextPingAt
        case .closing(let until): until
        case .closed: nil
        }
    }

    /// A frame came, or what the decoder found broken.
    package mutating func received(_ input: WebSocketInput, at now: NIODeadline) -> Action {
        switch input {
        case .text(let text): self.textReceived(text, at: now)
        case .binary(let data): self.binaryReceived(data, at: now)
        case .ping(let payload): self.pingReceived(payload)
        case .pong(let payload): self.pongReceived(payload)
        case .close(let close): self.closeReceived(close, at: now)
        case .violation(let close): self.violationFound(close, at: now)
        case .incomplete: self.fragmentReceived(at: now)
        }
    }

    private mutating func textReceived(_ text: String, at now: NIODeadline) -> Action {
        switch (self.state, self.configuration.incoming) {
        case (.open, .text), (.open, .messages): .deliver(text)
        case (.open, .nothing): self.refuseData(at: now)
        case (.closing, _), (.closed, _): .ignore
        }
    }

    private mutating func binaryReceived(_ data: ByteBuffer, at now: NIODeadline) -> Action {
        switch (self.state, self.configuration.incoming) {
        case (.open, .messages): .deliverBinary(data)
        case (.closing, .messages), (.closed, .messages): .ignore
        case (_, .text):
            self.startClosing(WebSocketClose(.unacceptableData, "send text frames"), failed: true, at: now)
        case (_, .nothing): self.refuseData(at: now)
        }
    }

    /// A message began or goes on: nothing to do, except where there must be none.
    private mutating func fragmentReceived(at now: NIODeadline) -> Action {
        switch self.configuration.incoming {
        case .text, .messages: .ignore
        case .nothing: self.refuseData(at: now)
        }
    }

    private mutating func violationFound(_ close: WebSocketClose, at now: NIODeadline) -> Action {
        // Where no data is allowed, its size or encoding is not what was wrong with it.
        switch (self.configuration.incoming, close.code) {
        case (.nothing, .messageTooBig): self.refuseData(at: now)
        case (.nothing, _), (.text, _), (.messages, _): self.startClosing(close, failed: true, at: now)
        }
    }

    private mutating func refuseData(at now: NIODeadline) -> Action {
        self.startClosing(WebSocketClose(.policyViolation, "this stream is for reading only"), failed: true, at: now)
    }

    private mutating func pingReceived(_ payload: [UInt8]) -> Action {
        switch self.state {
        case .open where self.isWritable:
            return .sendPong(payload)
        case .open:
            self.pongOwed = payload
            return .ignore
        case .closing, .closed:
            return .ignore
        }
    }

    private mutating func pongReceived(_ payload: [UInt8]) -> Action {
        guard case .open(let nextPingAt, let unanswered) = self.state,
            let index = unanswered.firstIndex(where: { $0.payload == payload })
        else { return .ignore }  // An unasked pong is allowed, and says nothing.
        self.state = .open(nextPingAt: nextPingAt, unanswered: Array(unanswered[(index + 1)...]))
        return .ignore
    }

    private mutating func closeReceived(_ close: WebSocketClose, at now: NIODeadline) -> Action {
        switch self.state {
        case .open:
            self.state = .closing(until: now + TimeAmount(self.configuration.closeTimeout))
            // The server closes the socket first (RFC 6455, section 7.1.1), so that the client can use its port again.
            let isServer = self.configuration.role == .server
            return .sendClose(close, ending: WebSocketEnding(.peer, close), thenCloseSocket: isServer)
        case .closing:
            return .closeSocket
        case .closed:
            return .ignore
        }
    }

    /// Whether the socket takes more. A pong that waited goes out when it does.
    package mutating func writabilityChanged(to isWritable: Bool) -> Action {
        self.isWritable = isWritable
        guard isWritable, case .open = self.state, let payload = self.pongOwed else { return .ignore }
        self.pongOwed = nil
        return .sendPong(payload)
    }

    /// The owner wants the connection to end.
    package mutating func closeRequested(_ close: WebSocketClose, at now: NIODeadline) -> Action {
        self.startClosing(close, failed: false, at: now)
    }

    /// The socket closed, or its other end will send no more.
    package mutating func socketClosed() -> Action {
        switch self.state {
        case .open:
            self.state = .closed
            return .report(.lost)
        case .closing, .closed:
            self.state = .closed
            return .ignore
        }
    }

    /// The time that ``deadline`` named has come.
    package mutating func deadlineReached(at now: NIODeadline) -> Action {
        switch self.state {
        case .open(let nextPingAt, var unanswered):
            if let oldest = unanswered.first, now >= self.givenUp(oldest) {
                self.state = .closed
                return .abandonSocket(.lost)
            }
            guard now >= nextPingAt else { return .ignore }
            self.pingsSent &+= 1
            let ping = Ping(number: self.pingsSent, sentAt: now)
            unanswered.append(ping)
            self.state = .open(nextPingAt: now + TimeAmount(self.configuration.pingInterval), unanswered: unanswered)
            return .sendPing(ping.payload)
        case .closing(let until):
            guard now >= until else { return .ignore }
            self.state = .closed
            return .abandonSocket(nil)
        case .closed:
            return .ignore
        }
    }

    private mutating func startClosing(_ close: WebSocketClose, failed: Bool, at now: NIODeadline) -> Action {
        switch self.state {
        case .open:
            let timeout = failed ? self.configuration.failureTimeout : self.configuration.closeTimeout
            self.state = .closing(until: now + TimeAmount(timeout))
            return .sendClose(close, ending: WebSocketEnding(.local, close), thenCloseSocket: false)
        case .closing, .closed:
            return .ignore
        }
    }

    private func givenUp(_ ping: Ping) -> NIODeadline { ping.sentAt + TimeAmount(self.configuration.pongTimeout) }
}
