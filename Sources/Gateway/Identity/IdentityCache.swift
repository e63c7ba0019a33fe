import Core
import Synchronization

/// Who stands behind a session, remembered until the log says that it changed.
///
/// A row that was read before a change but arrives after it must not be remembered: every change raises `version`, and
/// ``fill(_:session:at:)`` takes only what was read at the present one.
final class IdentityCache: Sendable {
    /// Beyond it all is forgotten; an entry has about 400 bytes.
    private static let entriesMax = 50_000

    private struct State {
        var version: UInt64 = 0
        var userBySession: [SessionID: UserID] = [:]
        var users: [UserID: User] = [:]
    }

    private let state = Mutex(State())

    /// The user of a session that stands, if known, and the version at which anything read from now on is.
    func lookup(_ session: SessionID) -> (user: User?, version: UInt64) {
        self.state.withLock { state in
            (state.userBySession[session].flatMap { state.users[$0] }, state.version)
        }
    }

    func fill(_ user: User, session: SessionID, at version: UInt64) {
        self.state.withLock { state in
            guard state.version == version else { return }
            if state.userBySession.count >= Self.entriesMax {
                state.userBySession.removeAll()
                state.users.removeAll()
            }
            state.userBySession[session] = user.id
            state.users[user.id] = user
        }
    }

    /// Follows the log.
    func apply(_ events: [Event]) {
        for event in events where event.type.isInternal {
            self.state.withLock { state in
                state.version += 1
                if event.type == .sessionRevoked,
                    let payload = try? JSON.decode(SessionRevokedPayload.self, from: event.data)
                {
                    state.userBySession[payload.session] = nil
                }
                if event.type == .userChanged, let payload = try? JSON.decode(UserChangedPayload.self, from: event.data)
                {
                    state.users[payload.user] = nil
                }
            }
        }
    }

    /// Remembers only that the user was used just now.
    func touched(_ user: UserID, at now: Timestamp) {
        self.state.withLock { $0.users[user]?.lastUsedAt = now }
    }
}
