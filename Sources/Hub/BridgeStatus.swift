package import Core
import Synchronization

/// How a bridge does at this moment; gone with the process.
package struct BridgeStatus: Hashable, Sendable {
    /// Something that went wrong, for admins: no secret, no content.
    package struct Failure: Hashable, Sendable {
        package var message: String
        package var at: Timestamp

        package init(_ message: String, at: Timestamp) {
            self.message = message
            self.at = at
        }
    }

    package var state: BridgeState
    /// Since when it is in that state, as far as this process knows.
    package var since: Timestamp
    /// Sessions over there that are welcomed.
    package var sessions = 0
    /// Remote users who are there.
    package var users = 0
    package var lastError: Failure?
    // Since the start of the process.
    package var messagesSent = 0
    package var messagesReceived = 0
    package var signalsSent = 0
    package var signalsReceived = 0
    /// Connections that broke or could not be made.
    package var disconnects = 0
    /// Messages that the remote room did not take.
    package var messagesRefused = 0

    package init(state: BridgeState, since: Timestamp) {
        self.state = state
        self.since = since
    }
}

/// Where bridges write how they do, and admins and metrics read it.
package final class BridgeStatuses: Sendable {
    private let statuses = Mutex<[BridgeName: BridgeStatus]>([:])

    package init() {}

    package subscript(name: BridgeName) -> BridgeStatus? {
        get { self.statuses.withLock { $0[name] } }
        set { self.statuses.withLock { $0[name] = newValue } }
    }

    /// What is said of a bridge that begins anew, or rests: nobody is over there and nothing wrong yet; counts go on.
    package func anew(_ name: BridgeName, _ state: BridgeState, since: Timestamp) -> BridgeStatus {
        var status = self[name] ?? BridgeStatus(state: state, since: since)
        (status.state, status.since, status.sessions, status.users, status.lastError) = (state, since, 0, 0, nil)
        return status
    }

    /// All of them, ascending by name.
    package var all: [(name: BridgeName, status: BridgeStatus)] {
        self.statuses.withLock { $0.map { (name: $0.key, status: $0.value) } }.sorted { $0.name < $1.name }
    }
}
