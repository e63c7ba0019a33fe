import Core
import Synchronization

/// Who stands behind a session, remembered until the log says that it changed.
///
/// A row that was read before a change but arrives after it must not be remembered: every change raises `version`, and
/// ``fill(_:session:at:)`` takes only what was read at the present one.
final class IdentityCache: Sendable {
    /// Beyond it all is forgotten; an entry has about 400 bytes.
    private static let entriesMax = 50_000

    /// Who acts in a session.
    struct Holder: Sendable {
        var user: User
        /// What the session's API key lets it do; `nil`: it is no key's, and may all that its user may.
        let granted: Set<Permission>?
        /// When the key ends; `nil`: never, or it is no key's.
        let expiresAt: Timestamp?
        /// Of the session; written at most once an hour.
        var lastUsedAt: Timestamp
    }

    private struct Entry {
        let user: UserID
        let granted: Set<Permission>?
        let expiresAt: Timestamp?
        var lastUsedAt: Timestamp
    }

    private struct State {
        var version: UInt64 = 0
        var sessions: [SessionID: Entry] = [:]
        var users: [UserID: User] = [:]
    }

    private let state = Mutex(State())

    /// The holder of a session that stands, if known, and the version at which anything read from now on is.
    func lookup(_ session: SessionID) -> (holder: Holder?, version: UInt64) {
        self.state.withLock { state in
            guard let entry = state.sessions[session], let user = state.users[entry.user] else {
                return (nil, state.version)
            }
            let holder = Holder(
                user: user, granted: entry.granted, expiresAt: entry.expiresAt, lastUsedAt: entry.lastUsedAt)
            return (holder, state.version)
        }
    }

    func fill(_ holder: Holder, session: SessionID, at version: UInt64) {
        self.state.withLock { state in
            guard state.version == version else { return }
            if state.sessions.count >= Self.entriesMax {
                state.sessions.removeAll()
                state.users.removeAll()
            }
            state.sessions[session] = Entry(
                user: holder.user.id, granted: holder.granted, expiresAt: holder.expiresAt,
                lastUsedAt: holder.lastUsedAt)
            state.users[holder.user.id] = holder.user
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
                    state.sessions[payload.session] = nil
                }
                if event.type == .userChanged, let payload = try? JSON.decode(UserChangedPayload.self, from: event.data)
                {
                    state.users[payload.user] = nil
                }
            }
        }
    }

    /// Remembers only that the user and the session were used just now.
    func touched(_ user: UserID, _ session: SessionID, at now: Timestamp) {
        self.state.withLock { state in
            state.users[user]?.lastUsedAt = now
            state.sessions[session]?.lastUsedAt = now
        }
    }
}
