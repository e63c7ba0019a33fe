/// When TURN credentials are replaced.
enum ICERefresh {
    /// Half of their life after they were given: whoever is told then, and asks late or twice, still has valid ones,
    /// and an ICE restart never meets expired ones.
    static func time(after now: Timestamp, lifetime: Duration) -> Timestamp { now.advanced(by: lifetime / 2) }
}

/// A joined participant whose device must be told now to get other ICE servers.
package struct DueICERefresh: Hashable, Sendable {
    package let call: CallID
    package let room: RoomID
    package let user: UserID
    package let device: DeviceID

    package init(call: CallID, room: RoomID, user: UserID, device: DeviceID) {
        self.call = call
        self.room = room
        self.user = user
        self.device = device
    }
}
