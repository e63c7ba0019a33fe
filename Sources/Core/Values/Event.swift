/// Every kind of event. The catalogue in `docs/events.md` states each one's audience and data.
package enum EventType: String, Codable, Sendable, CaseIterable {
    case roomCreated = "room.created"
    case roomUpdated = "room.updated"
    case roomArchived = "room.archived"
    case memberJoined = "member.joined"
    case memberLeft = "member.left"
    case memberUpdated = "member.updated"
    case presenceChanged = "presence.changed"
    case messageCreated = "message.created"
    case messageEdited = "message.edited"
    case messageDeleted = "message.deleted"
    case readUpdated = "read.updated"
    case callCreated = "call.created"
    case callRinging = "call.ringing"
    case callUpdated = "call.updated"
    case callEnded = "call.ended"
    case callParticipant = "call.participant"
    case callAnsweredElsewhere = "call.answered-elsewhere"
    case callSeen = "call.seen"
    case signal = "signal"
    case signalExpired = "signal.expired"
    case iceServersRefresh = "ice-servers.refresh"
    /// Ephemeral: never in the log.
    case typing = "typing"
    /// For the servers that share a log, never for a client (it has no audience): a session or all of a user's
    /// sessions ended, so streams end and caches forget.
    case sessionRevoked = "internal.session-revoked"
    /// As above: a user's row changed (role, suspension, profile), so caches forget.
    case userChanged = "internal.user-changed"
    /// As above: a bridge was added, changed or removed.
    case bridgeChanged = "internal.bridge-changed"
}

/// Who may see an event; checked against memberships at delivery.
///
/// Its `key` is what the store indexes and the hub's tables are keyed by: `room_…`, `usr_…` or `ses_…`.
package enum Audience: Hashable, Sendable {
    /// Those who are members now, from their current joining on.
    case room(RoomID)
    /// All devices of one user.
    case user(UserID)
    /// One device; a signal's addressee.
    case device(DeviceID)

    package var key: String {
        switch self {
        case .room(let room): room.text
        case .user(let user): user.text
        case .device(let device): device.text
        }
    }

    /// - parameter key: as ``key`` gave it; `nil` for anything else.
    package init?(key: String) {
        if key.hasPrefix(RoomID.prefix) {
            self = .room(RoomID(known: key))
        } else if key.hasPrefix(UserID.prefix) {
            self = .user(UserID(known: key))
        } else if key.hasPrefix(SessionID.prefix) {
            self = .device(DeviceID(known: key))
        } else {
            return nil
        }
    }
}

/// One entry of the log.
package struct Event: Hashable, Sendable {
    /// Its place; strictly increasing, not gapless.
    package var seq: Int64
    package var type: EventType
    /// Any of them suffices; empty: for no client. A presence event has one for each room of the user.
    package var audiences: [Audience]
    package var room: RoomID?
    package var call: CallID?
    /// Who caused it; `nil` for the server itself.
    package var actor: UserID?
    package var at: Timestamp
    /// The event's `data` as JSON text, an object.
    package var data: String

    package init(
        seq: Int64, type: EventType, audiences: [Audience], room: RoomID?, call: CallID?, actor: UserID?, at: Timestamp,
        data: String
    ) {
        self.seq = seq
        self.type = type
        self.audiences = audiences
        self.room = room
        self.call = call
        self.actor = actor
        self.at = at
        self.data = data
    }

    /// The envelope that every wire carries: `{"id":…,"type":…,"room":…,"call":…,"actor":…,"at":…,"data":{…}}`;
    /// `room`, `call` and `actor` are left out when there is none, and `id` of what is not in the log (`typing`), as
    /// nobody can resume from it. One line: JSON escapes line ends.
    package func envelope(epoch: String) -> String {
        var text = self.type == .typing ? "{" : "{\"id\":\"\(epoch).\(self.seq)\","
        text += "\"type\":\"\(self.type.rawValue)\""
        if let room { text += ",\"room\":\"\(room.text)\"" }
        if let call { text += ",\"call\":\"\(call.text)\"" }
        if let actor { text += ",\"actor\":\"\(actor.text)\"" }
        text += ",\"at\":\"\(self.at.rfc3339)\",\"data\":\(self.data)}"
        return text
    }
}

/// An event about to be appended; the store gives it its seq.
package struct EventDraft: Hashable, Sendable {
    package var type: EventType
    package var audiences: [Audience]
    package var room: RoomID?
    package var call: CallID?
    package var actor: UserID?
    package var at: Timestamp
    package var data: String
    /// The message whose content is in `data`, so that an edit or a deletion can redact this copy.
    package var message: MessageID?
    /// The signal that `data` carries, so that its copy can be deleted when it expires or its call ends.
    package var signal: SignalID?

    package init(
        _ type: EventType, to audiences: [Audience], room: RoomID? = nil, call: CallID? = nil, actor: UserID? = nil,
        at: Timestamp, data: String, message: MessageID? = nil, signal: SignalID? = nil
    ) {
        self.type = type
        self.audiences = audiences
        self.room = room
        self.call = call
        self.actor = actor
        self.at = at
        self.data = data
        self.message = message
        self.signal = signal
    }

    package func event(seq: Int64) -> Event {
        Event(
            seq: seq, type: self.type, audiences: self.audiences, room: self.room, call: self.call, actor: self.actor,
            at: self.at, data: self.data)
    }
}
