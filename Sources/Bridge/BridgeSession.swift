import Core
import NIOCore
import WebSocketWire

/// Whose session in the remote room it is.
enum SessionOwner: Hashable, Sendable {
    case user(UserID)
    /// The bridge's own: it listens while nobody is active.
    case bridge

    var user: UserID? {
        switch self {
        case .user(let user): user
        case .bridge: nil
        }
    }
}

/// One session of ours in a remote room. Belongs to the event loop of its ``BridgedRoom``.
final class BridgeSession {
    let owner: SessionOwner
    var machine: BridgeStateMachine
    /// Grows with each connection: what an older one still says is not heard.
    var dialling = 0
    /// From the first byte to the last.
    var channel: (any Channel)?
    /// From the upgrade on.
    var handler: WebSocketHandler?
    /// By which the remote room knows it; `nil` before the welcome, or if it does not say.
    var remoteID: String?
    /// Of another Comblang: keeps the session's user there over a reconnect.
    var resumeToken: String?
    var alarm: (deadline: Timestamp, task: Scheduled<Void>)?

    init(owner: SessionOwner, settings: BridgeStateMachine.Settings) {
        self.owner = owner
        self.machine = BridgeStateMachine(settings)
    }

    /// Writes one frame; does nothing unless the session is live.
    func send(_ frame: ClientFrame) {
        guard self.machine.isLive else { return }
        self.handler?.send(frame.text)
    }

    /// Says goodbye and forgets the connection.
    func hangUp(_ close: WebSocketClose) {
        self.dialling += 1
        if let handler { handler.close(close) } else { self.channel?.close(promise: nil) }
        (self.handler, self.channel, self.remoteID) = (nil, nil, nil)
    }
}

/// A signal on its way to somebody of the remote room.
struct OutgoingSignal: Sendable {
    let event: Event
    /// Their id over there.
    let remoteID: String
    /// What the frames say, in order.
    let contents: [String]
}
