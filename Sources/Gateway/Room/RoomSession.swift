import Core
import Hub
import Logging
import NIOCore
import WebSocketWire

/// One client of the room protocol while it is connected: carries out what it says, and answers what it cannot.
///
/// What a room says to it is the hub's business. Belongs to its event loop.
final class RoomSession {
    /// Where somebody came to, and what they are told first.
    struct Place: Sendable {
        let gateway: Gateway
        let room: RoomID
        let welcome: RoomFrame
        /// What an API key lets it do, if the user may; `nil`: all that the user may.
        let granted: Set<Permission>?
    }

    private let gateway: Gateway
    private let room: RoomReference
    private let roomID: RoomID
    private let user: UserID
    private let device: DeviceID
    private let granted: Set<Permission>?
    /// Whether it is another server's bridge that speaks for somebody.
    private let isRelay: Bool
    private let eventLoop: any EventLoop
    private var machine = RoomConnectionStateMachine()
    /// `nil` before the socket is made, and when it has ended.
    private var socket: WebSocketHandler?
    private var touching: RepeatedTask?

    init(_ place: Place, _ subscription: Subscription, on eventLoop: any EventLoop) {
        self.gateway = place.gateway
        self.room = .id(place.room)
        self.roomID = place.room
        self.user = subscription.user
        self.device = subscription.device
        self.granted = place.granted
        self.isRelay = subscription.isRelayed
        self.eventLoop = eventLoop
    }

    func began(_ socket: WebSocketHandler) {
        self.socket = socket
        // An open connection is in use: a guest does not expire while it stands.
        let (store, time) = (self.gateway.store, self.gateway.time)
        let (user, session) = (self.user, self.device.session)
        let every = TimeAmount(Limits.lastUsedPrecision)
        self.touching = self.eventLoop.scheduleRepeatedTask(initialDelay: every, delay: every) { _ in
            let now = time.now
            store.write {
                try $0.touch(user, session, now: now)
            } completion: { _ in
            }
        }
    }

    func ended() {
        self.socket = nil
        self.touching?.cancel()
    }

    func textReceived(_ text: String) { self.run(self.machine.textReceived(text)) }
    func binaryReceived() { self.run(self.machine.binaryReceived()) }
    func writabilityChanged(to isWritable: Bool) { self.run(self.machine.writabilityChanged(to: isWritable)) }

    /// Carries an action out; the only place that writes, and that holds the client back.
    private func run(_ action: RoomConnectionStateMachine.Action) {
        switch action {
        case .carryOut(let request): self.carryOut(request)
        case .answer(let frame): self.socket?.send(frame.text)
        case .close(let close): self.socket?.close(close)
        case .ignore: break
        }
        if self.machine.mayRead { self.socket?.resumeReading() } else { self.socket?.pauseReading() }
    }

    private func carryOut(_ request: RoomConnectionStateMachine.Request) {
        do throws(Problem) {
            switch request {
            case .say(let content, let metadata): try self.say(content, metadata)
            case .signal(let to, let content): try self.signal(to, content)
            case .type: try self.type()
            }
        } catch {
            self.done(RoomFrame(error))
        }
    }

    /// What the same request over HTTP would be held to.
    ///
    /// - parameter rateClass: `nil` for hanging up, which always gets through.
    /// - throws: ``Problem`` `insufficient-scope`, `rate-limited`.
    private func require(_ permission: Permission, countedAs rateClass: RateClass?) throws(Problem) {
        guard self.granted?.contains(permission) ?? true else { throw Problem(.insufficientScope) }
        guard let rateClass else { return }
        try self.gateway.limiter.take(rateClass, of: .user(self.user))?.requireAllowed()
    }

    private func say(_ content: String, _ metadata: JSONValue?) throws(Problem) {
        let opensCall = metadata?["action"] == .string("join_call")
        try self.require(opensCall ? .startCall : .postMessage, countedAs: .messages)
        // Only other servers bring marks; what users write under that name is taken out.
        let metadata = self.isRelay ? metadata : metadata?.unmarked
        let new = NewMessage(content: content, metadata: metadata, origin: .websocket)
        let (room, roomID, joinedMax) = (self.room, self.roomID, self.gateway.settings.joinedParticipantsMax)
        self.write { store, acting in
            if let (known, author) = try store.knownMessage(marked: metadata, in: roomID) {
                return .message(RoomFrame.Message(known, by: author))
            }
            if opensCall {
                _ = try store.openCall(by: new, in: room, transport: .websocket, joinedMax: joinedMax, as: acting)
            } else {
                _ = try store.postMessage(new, in: room, as: acting)
            }
            return nil
        }
    }

    private func signal(_ to: String, _ content: String) throws(Problem) {
        let signal = try RoomSignal(content: content)
        try self.require(.joinCall, countedAs: signal.hangsUp ? nil : .signals)
        guard let addressee = UserID(to) else { return self.done(.recipientOffline(to)) }
        let (room, roomID, registry) = (self.room, self.roomID, self.gateway.hub.registry)
        let joinedMax = self.gateway.settings.joinedParticipantsMax
        self.write { store, acting in
            // Asked inside the write: whoever came or went before it is known.
            let recipient = FrameRecipient(
                user: addressee, seat: registry.seat(of: addressee, in: roomID),
                isPresent: registry.isPresent(addressee, grace: Presence.grace))
            let outcome = try store.sendRoomSignal(
                signal, to: recipient, in: room, transport: .websocket, joinedMax: joinedMax, as: acting)
            return switch outcome {
            case .passed(let receipt): receipt.refusal.map { RoomFrame($0) }
            case .ringing, .done: nil
            case .recipientOffline: .recipientOffline(to)
            }
        }
    }

    private func type() throws(Problem) {
        try self.require(.type, countedAs: .writes)
        let (room, user, gateway) = (self.room, self.user, self.gateway)
        let bound = NIOLoopBound(self, eventLoop: self.eventLoop)
        gateway.store.read { store in
            try gateway.typing(in: room, as: try store.presentUser(user), store)
        } completion: { result in
            if case .success(let event) = result { gateway.hub.publishEphemeral(event) }
            bound.execute { session in session.done(session.refusal(of: result)) }
        }
    }

    /// A write of the user as they are at that moment. Writes are done in the order of these calls.
    ///
    /// - parameter operation: returns what the client is told; `nil` for nothing.
    private func write(_ operation: @escaping @Sendable (any StoreWriter, Acting) throws -> RoomFrame?) {
        let (user, device, now, ids) = (self.user, self.device, self.gateway.time.now, self.gateway.ids)
        let bound = NIOLoopBound(self, eventLoop: self.eventLoop)
        self.gateway.store.write { store in
            try operation(store, Acting(user: try store.presentUser(user), device: device, now: now, ids: ids))
        } completion: { result in
            bound.execute { session in session.done((try? result.get()) ?? session.refusal(of: result)) }
        }
    }

    private func done(_ refusal: RoomFrame?) { self.run(self.machine.frameDone(refusal)) }

    private func refusal(of result: Result<some Any, any Error>) -> RoomFrame? {
        guard case .failure(let error) = result else { return nil }
        switch error {
        case let problem as Problem: return RoomFrame(problem)
        case is any UnavailabilityError: return RoomFrame(Problem(.unavailable))
        default:
            self.gateway.logger.error(
                "room frame failed", metadata: ["user.id": "\(self.user)", "error": "\(String(reflecting: error))"])
            return RoomFrame(Problem(.internalError))
        }
    }
}

extension RoomFrame {
    /// A refusal in the words of the catalogue.
    init(_ problem: Problem) {
        self = .error(code: problem.kind.rawValue, message: problem.detail ?? problem.kind.title)
    }

    /// - parameter user: as the client named them.
    static func recipientOffline(_ user: String) -> RoomFrame {
        .error(code: "recipient-offline", message: "\(user.prefix(64)) is not here")
    }
}

extension WebSocketClose {
    /// How a room's socket ends when the server wants it to; the reason is the word of `stream.end`.
    init(_ reason: StreamEndReason?) {
        let code: WebSocketCloseCode =
            switch reason {
            case .drain, .rotate, .cut: .serviceRestart
            case .revoked, .expired: .policyViolation
            case .replaced: .normal
            case .slow, .limit: .tryAgainLater
            case nil: .goingAway
            }
        self.init(code, reason?.rawValue ?? "the stream has ended")
    }
}

extension StoreReader {
    /// The user as they are in this snapshot.
    ///
    /// - throws: ``Problem`` `unauthorized` if they were deleted or suspended meanwhile.
    func presentUser(_ id: UserID) throws -> User {
        guard let user = try self.user(id), user.deletedAt == nil, !user.isSuspended else {
            throw Problem(.unauthorized)
        }
        return user
    }
}
