/// One reader of one room, whatever connections it needs for that. Used on the crowd's event loop only.
final class Subscriber {
    /// How it stands with the server.
    enum Phase {
        case away
        /// From the connection's begin to `stream.ready` or a poll's first answer.
        case opening
        case open
        /// The server will not have it; coming again would not help.
        case refused
    }

    /// Index of the room in ``LoadWorld/rooms``.
    let room: Int
    let roomID: String
    let token: String
    let device: String
    var phase = Phase.away
    var check: SequenceCheck
    /// Text of the last event's cursor; empty: from now on.
    var cursor: [UInt8] = []
    /// Nanoseconds of the monotonic clock.
    var openingAt: UInt64 = 0
    /// Ends its connection, if it has one.
    var disconnect: (() -> Void)?

    init(room: Int, roomID: String, token: String, device: String, publishers: Int) {
        self.room = room
        self.roomID = roomID
        self.token = token
        self.device = device
        self.check = SequenceCheck(publishers: publishers)
    }
}
