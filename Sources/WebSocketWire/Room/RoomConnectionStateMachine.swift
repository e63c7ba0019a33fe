package import Core

/// One client's end of the room protocol: what becomes of each frame, and how much may wait.
///
/// Decides, never acts: its driver feeds it what came and carries out what it returns. What is not well-formed is
/// answered by an `error` frame and changes nothing; the socket stays open. Frames are carried out in their order, many
/// at a time, as the store's queue keeps the order; a client that sends faster than they are carried out, or reads
/// nothing of what it is answered, is not read from until that has changed.
package struct RoomConnectionStateMachine: Sendable {
    /// Frames that are being carried out; from here on no more is read.
    package static let pendingFramesMax = 32
    /// What was read in one go may bring more; from here on the connection ends. A read of 64 KiB holds fewer frames
    /// that ask for anything.
    package static let readFramesMax = 4096

    /// What follows from a frame.
    package enum Action: Hashable, Sendable {
        /// Carry it out, then tell ``frameDone(_:)``.
        case carryOut(Request)
        case answer(RoomFrame)
        case close(WebSocketClose)
        case ignore
    }

    /// A frame that asks for something.
    package enum Request: Hashable, Sendable {
        case say(content: String, metadata: JSONValue?)
        case signal(to: String, content: String)
        case type
    }

    private var pendingCount = 0
    private var isWritable = true
    /// The newest answer that waits for the socket: a client that asks and never reads costs one.
    private var owed: RoomFrame?

    package init() {}

    /// Whether the socket should be read from; ask after every input.
    package var mayRead: Bool { self.isWritable && self.pendingCount < Self.pendingFramesMax }

    /// A text message came.
    package mutating func textReceived(_ text: String) -> Action {
        do throws(RoomFrameError) {
            switch try ClientFrame(text) {
            case .ping: return self.answer(.pong)
            case .message(let content, let metadata): return self.begin(.say(content: content, metadata: metadata))
            case .signal(let to, let content): return self.begin(.signal(to: to, content: content))
            case .typing: return self.begin(.type)
            }
        } catch {
            return self.answer(.error(code: error.code, message: error.message))
        }
    }

    /// A binary message came.
    package mutating func binaryReceived() -> Action {
        self.answer(.error(code: "binary-frame", message: "frames are text"))
    }

    /// A frame was carried out.
    ///
    /// - parameter refusal: why it had no effect; `nil` if it had.
    package mutating func frameDone(_ refusal: RoomFrame?) -> Action {
        self.pendingCount -= 1
        return refusal.map { self.answer($0) } ?? .ignore
    }

    /// The socket takes more, or no more.
    package mutating func writabilityChanged(to isWritable: Bool) -> Action {
        self.isWritable = isWritable
        guard isWritable, let owed else { return .ignore }
        self.owed = nil
        return .answer(owed)
    }

    private mutating func begin(_ request: Request) -> Action {
        guard self.pendingCount < Self.readFramesMax else {
            return .close(WebSocketClose(.policyViolation, "too many frames at once"))
        }
        self.pendingCount += 1
        return .carryOut(request)
    }

    private mutating func answer(_ frame: RoomFrame) -> Action {
        guard self.isWritable else {
            self.owed = frame
            return .ignore
        }
        return .answer(frame)
    }
}
