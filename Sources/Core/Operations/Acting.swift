/// Who does something, from which device, and when. Handed to every operation: Core reads no clock and no random
/// source.
package struct Acting: Sendable {
    package let user: User
    package let device: DeviceID
    package let now: Timestamp
    package let ids: IDSource
    /// Which request it is, for the audit log; known of admins' requests.
    package let origin: RequestOrigin
    /// How the device reads at this moment, for the record of a call that it is in; `nil` if that is not known.
    package private(set) var transport: Transport?

    package init(
        user: User, device: DeviceID, now: Timestamp, ids: IDSource, origin: RequestOrigin = RequestOrigin()
    ) {
        self.user = user
        self.device = device
        self.now = now
        self.ids = ids
        self.origin = origin
    }

    /// The same, of a device that reads like this.
    package func reading(by transport: Transport?) -> Acting {
        var acting = self
        acting.transport = transport
        return acting
    }
}

/// How a path names a room: its id, or a public room's unique name.
package enum RoomReference: Hashable, Sendable {
    case id(RoomID)
    case name(String)

    /// Any text is a reference; one that cannot exist is simply not found.
    package init(_ segment: String) {
        self = RoomID(segment).map { .id($0) } ?? .name(segment)
    }
}

/// How a path names a user: the id, `@username` or `me`.
package enum UserReference: Hashable, Sendable {
    case id(UserID)
    case username(String)
    case me

    /// `nil` for a text that names no user.
    package init?(_ segment: String) {
        if segment == "me" {
            self = .me
        } else if segment.hasPrefix("@") {
            self = .username(String(segment.dropFirst()))
        } else if let id = UserID(segment) {
            self = .id(id)
        } else {
            return nil
        }
    }
}
