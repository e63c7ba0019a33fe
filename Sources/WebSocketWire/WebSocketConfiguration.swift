import Core

/// What one end of a WebSocket allows, and its clocks.
package struct WebSocketConfiguration: Sendable {
    /// Which end this is: clients mask their frames, servers do not (RFC 6455, section 5.1).
    package enum Role: Sendable {
        case server
        case client
    }

    /// What the peer may send besides control frames.
    package enum Incoming: Sendable {
        /// Text messages; a binary one closes with 1003.
        case text
        /// Text and binary messages; what to make of either is the owner's business.
        case messages
        /// Nothing: the stream is for reading, any data frame closes with 1008.
        case nothing
    }

    package var role: Role
    package var incoming: Incoming
    /// Of one message with all its fragments; above it 1009. The default is that of a request body, as a signal frame
    /// carries what a request body would.
    package var messageBytesMax = Limits.bodyBytesMax
    package var pingInterval = Duration.seconds(15)
    /// From a ping to its pong; a peer that takes longer is gone.
    package var pongTimeout = Duration.seconds(30)
    /// From our Close frame to the peer's, then the socket closes without it.
    package var closeTimeout = Duration.seconds(5)
    /// The same after the peer broke a rule: enough for the Close frame to be read before the socket closes. Shorter
    /// than the second after which Autobahn's clients call the connection unclean.
    package var failureTimeout = Duration.milliseconds(500)

    package init(role: Role, incoming: Incoming) {
        self.role = role
        self.incoming = incoming
    }
}
