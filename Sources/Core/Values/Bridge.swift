/// Names a bridge in paths, in ``Room/bridge``, in metrics and logs: `[a-z0-9_.-]{2,32}`, unique.
package struct BridgeName: Hashable, Comparable, Codable, Sendable, CustomStringConvertible {
    package let text: String

    /// Takes a text that is known to be well-formed.
    package init(known text: String) { self.text = text }

    /// `nil` for a text that names no bridge.
    package init?(_ text: String) {
        guard User.isValid(username: text) else { return nil }
        self.text = text
    }

    package var description: String { self.text }
    package static func < (left: Self, right: Self) -> Bool { left.text < right.text }
    package init(from decoder: any Decoder) throws {
        self.text = try decoder.singleValueContainer().decode(String.self)
    }
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(self.text)
    }
}

/// How a bridge stands to its remote room.
package enum BridgeState: String, Codable, Sendable, CaseIterable {
    /// At least one session is welcomed over there.
    case live
    /// None is; it goes on trying, and messages wait.
    case down
    /// An admin wants it to be quiet; messages wait.
    case paused
}

/// A room here joined to a room of a remote WebSocket room actor.
package struct Bridge: Hashable, Sendable {
    package var name: BridgeName
    /// A room has one bridge at most.
    package var room: RoomID
    package var target: BridgeTarget
    package var isPaused: Bool
    /// From the file of `bridges`, which makes it anew at the next start.
    package var isFromFile: Bool
    package var createdAt: Timestamp
    /// When it was first welcomed over there. What was said before is not taken in.
    package var begunAt: Timestamp?

    package init(
        name: BridgeName, room: RoomID, target: BridgeTarget, isPaused: Bool = false, isFromFile: Bool = false,
        createdAt: Timestamp, begunAt: Timestamp? = nil
    ) {
        self.name = name
        self.room = room
        self.target = target
        self.isPaused = isPaused
        self.isFromFile = isFromFile
        self.createdAt = createdAt
        self.begunAt = begunAt
    }
}

/// Where a remote room is, and how one is let in.
package struct BridgeTarget: Hashable, Codable, Sendable {
    /// `ws://` or `wss://`, with `{room}`, `{userId}`, `{username}` and `{color}` where the remote wants them.
    package var url: String
    /// What stands for `{room}`.
    package var remoteRoom: String
    /// Sent with each upgrade request; the values are secrets.
    package var headers: [String: String]
    /// The member of the welcome frame that has the session's id over there.
    package var userIDMember: String
    /// PEM: who signs for a `wss` server, in place of the system's authorities.
    package var certificateAuthority: String?

    package init(
        url: String, remoteRoom: String, headers: [String: String] = [:],
        userIDMember: String = Self.userIDMemberDefault, certificateAuthority: String? = nil
    ) {
        self.url = url
        self.remoteRoom = remoteRoom
        self.headers = headers
        self.userIDMember = userIDMember
        self.certificateAuthority = certificateAuthority
    }

    package static let userIDMemberDefault = "userId"
}

/// Somebody of a remote room, as a user here: keyed by the bridge and their id over there.
package struct BridgedUser: Hashable, Sendable {
    package var bridge: BridgeName
    package var remoteID: String
    package var user: UserID
    /// Their device in calls; nobody holds a token of it.
    package var session: SessionID
    /// Written at most once an hour, as ``Session/lastUsedAt`` is.
    package var lastSeenAt: Timestamp

    package init(bridge: BridgeName, remoteID: String, user: UserID, session: SessionID, lastSeenAt: Timestamp) {
        self.bridge = bridge
        self.remoteID = remoteID
        self.user = user
        self.session = session
        self.lastSeenAt = lastSeenAt
    }

    package var device: DeviceID { DeviceID(session: self.session, label: nil) }
}

/// A message that the remote room has not shown to have.
package struct OutboxEntry: Hashable, Sendable {
    /// Of the message: the order of the outbox.
    package var seq: Int64
    package var bridge: BridgeName
    /// The author, through whose session over there it goes.
    package var user: UserID
    package var message: MessageID

    package init(seq: Int64, bridge: BridgeName, user: UserID, message: MessageID) {
        self.seq = seq
        self.bridge = bridge
        self.user = user
        self.message = message
    }
}

/// A message that came over a bridge, or from another server through the room actor, so that it is not taken in again.
package struct BridgeReceipt: Hashable, Sendable {
    package var bridge: BridgeName
    /// The message's id in the remote room.
    package var remoteID: String
    /// Its id in all rooms that are bridged to one another; see ``BridgeMark``.
    package var mark: String
    /// What it is here; `nil` for one that was passed over.
    package var message: MessageID?

    package init(bridge: BridgeName, remoteID: String, mark: String, message: MessageID?) {
        self.bridge = bridge
        self.remoteID = remoteID
        self.mark = mark
        self.message = message
    }
}
