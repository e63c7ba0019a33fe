/// What a reader asked to follow.
package enum EventScope: Hashable, Sendable {
    /// All that the user may see.
    case user
    /// One room: what is for the room, and what is for the user or the device about that room.
    case room(RoomID)
    /// One call: what is visible to the reader and names the call.
    case call(CallID)
}

/// `types=message.*,signal` and `room=…`: what of the scope gets through. Control events (`stream.*`) always do.
package struct EventFilter: Hashable, Sendable {
    /// A type (`signal`) or a family (`message.*`, which also matches nothing else).
    package struct TypePattern: Hashable, Sendable {
        let text: String
        let isFamily: Bool

        /// `nil` unless it is a known type, `<family>.*` of at least one known type, or `*`.
        package init?(_ text: String) {
            if text == "*" || text.hasSuffix(".*") {
                let family = String(text.dropLast())
                guard EventType.clientTypes.contains(where: { $0.rawValue.hasPrefix(family) }) else { return nil }
                (self.text, self.isFamily) = (family, true)
            } else {
                guard EventType.clientTypes.contains(where: { $0.rawValue == text }) else { return nil }
                (self.text, self.isFamily) = (text, false)
            }
        }

        func matches(_ type: EventType) -> Bool {
            self.isFamily ? type.rawValue.hasPrefix(self.text) : type.rawValue == self.text
        }
    }

    /// Types that get through; `nil`: all.
    package let types: Set<EventType>?
    /// Rooms that get through; `nil`: all, and what is in no room.
    package let rooms: Set<RoomID>?

    package static let everything = EventFilter(types: nil, rooms: nil)

    package init(types patterns: [TypePattern]?, rooms: Set<RoomID>?) {
        self.types = patterns.map { patterns in
            Set(EventType.clientTypes.filter { type in patterns.contains { $0.matches(type) } })
        }
        self.rooms = rooms
    }

    package init(types: Set<EventType>) {
        self.types = types
        self.rooms = nil
    }

    /// Whether an event that is visible to the reader is also of this scope and gets through.
    package func passes(_ event: Event, in scope: EventScope) -> Bool {
        if let types, !types.contains(event.type) { return false }
        if let rooms, !rooms.contains(where: { event.concerns($0) }) { return false }
        return switch scope {
        case .user: true
        case .room(let room): event.concerns(room)
        case .call(let call): event.call == call
        }
    }
}

extension Event {
    /// Whether it is in this room, or for it (presence is for many rooms and in none).
    package func concerns(_ room: RoomID) -> Bool { self.room == room || self.audiences.contains(.room(room)) }
}

extension EventType {
    /// All that a client may ever see.
    package static let clientTypes = Self.allCases.filter { !$0.isInternal }
    package var isInternal: Bool { self == .sessionRevoked || self == .userChanged || self == .bridgeChanged }
}

/// What decides visibility for one reader, as of one moment of the log.
package struct Visibility: Hashable, Sendable {
    package let user: UserID
    package let device: DeviceID
    /// The rooms the user is a member of, each with the seq of the `member.joined` event from which on it is visible.
    package var rooms: [RoomID: Int64]

    package init(user: UserID, device: DeviceID, rooms: [RoomID: Int64]) {
        self.user = user
        self.device = device
        self.rooms = rooms
    }

    package func sees(_ event: Event) -> Bool {
        event.audiences.contains { audience in
            switch audience {
            case .room(let room): self.rooms[room].map { event.seq >= $0 } ?? false
            case .user(let user): user == self.user
            case .device(let device): device == self.device
            }
        }
    }
}
