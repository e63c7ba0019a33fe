/// A logged signal of which nobody knows yet that it was delivered.
package struct PendingSignal: Hashable, Sendable {
    /// Of its event.
    package var seq: Int64
    package var signal: SignalID
    package var call: CallID
    package var room: RoomID
    /// Who is told when it expires; `nil` for the server's own notices.
    package var sender: DeviceID?
    package var expiresAt: Timestamp

    package init(
        seq: Int64, signal: SignalID, call: CallID, room: RoomID, sender: DeviceID?, expiresAt: Timestamp
    ) {
        self.seq = seq
        self.signal = signal
        self.call = call
        self.room = room
        self.sender = sender
        self.expiresAt = expiresAt
    }
}
