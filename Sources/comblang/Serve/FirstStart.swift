import Core
import Gateway
import Hub

/// What a fresh data directory gets: the user `admin`, whose token lies beside the database, and the room `lobby`.
struct FirstStart {
    static let roomName = "lobby"

    let store: any EventStore
    let tokens: AccessTokens
    let secrets: SecretFiles
    let time: any TimeSource

    /// Does nothing when the admin's token is there.
    ///
    /// - throws: the store's error; ``CommandFailure`` when the file cannot be written.
    func ensureAdmin() async throws {
        guard !self.secrets.hasAdminToken else { return }
        let now = self.time.now
        let (user, session) = try await self.store.write { store in
            let isFresh = try store.logBounds().tail == 0
            let (user, session) = try store.ensureAdmin(now: now, ids: .system)
            if isFresh {
                let device = DeviceID(session: session.id, label: nil)
                let acting = Acting(user: user, device: device, now: now, ids: .system)
                _ = try store.createRoom(NewRoom(name: Self.roomName, title: "Lobby"), as: acting)
            }
            return (user, session)
        }
        let (token, _) = try await self.tokens.issue(
            for: user, session: session.id, lifetime: Limits.adminTokenLifetime, now: now)
        try self.secrets.saveAdminToken(token)
    }
}
