package import Core

/// The bridges' part of the configuration.
package struct BridgeSettings: Sendable {
    package var session = BridgeStateMachine.Settings()
    /// At most so many joined participants in a call, as everywhere.
    package var joinedParticipantsMax = Limits.joinedParticipantsMax
    /// Frames of a remote room that wait to be written here; from here on none of its sockets is read.
    package var intakeMax = 256
    /// How often it is noted who was seen, and what is old forgotten.
    package var houseKeepingEvery = Duration.seconds(60)
    /// A welcome brings the whole history in one frame.
    package var frameBytesMax = 16 * 1024 * 1024
    /// Whoever has spoken and reads nothing keeps their session for so long: scripts speak again and again.
    package var lingers = Duration.seconds(60)
    /// How soon a connection that died without a word is noticed.
    package var (pingInterval, pongTimeout) = (Duration.seconds(15), Duration.seconds(30))
    /// What is shown to be there is taken from the outbox within this, many at a time.
    package var outboxFlushEvery = Duration.milliseconds(100)

    package init() {}
}
