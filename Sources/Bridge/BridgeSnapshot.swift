import Core

/// What a bridge begins with: one look at the database.
struct BridgeSnapshot: Sendable {
    let instance: String
    let users: [BridgedUser]
    let sessions: [String: UserID?]
    /// Members of the room who read at the moment.
    let online: Set<UserID>
    /// Users of whom something waits.
    let writers: Set<UserID>
    /// Who has joined the room's live calls.
    let joined: [CallID: Set<UserID>]
    /// For users over there, not known to be delivered; in order.
    let signals: [Event]
    /// As last told to the room.
    let state: BridgeState?

    init(of bridge: Bridge, in store: any StoreReader) throws {
        self.instance = try store.instance()
        self.users = try store.bridgedUsers(of: bridge.name)
        self.sessions = try store.bridgeSessions(of: bridge.name)
        let online = try store.usersOnline(in: bridge.room, limit: Limits.membersPerRoomMax).map(\.id)
        self.online = Set(online).subtracting(self.users.map(\.user))
        self.writers = Set(try store.outboxUsers(of: bridge.name))
        var joined: [CallID: Set<UserID>] = [:]
        for state in CallState.allCases where state != .ended {
            var page: [CallID] = []
            repeat {
                page = try store.calls(in: bridge.room, state: state, before: page.last, limit: Limits.pageItemsMax)
                for call in page {
                    let participants = try store.callRows(call)?.participants ?? []
                    joined[call] = Set(participants.filter { $0.state == .joined }.map(\.user))
                }
            } while page.count == Limits.pageItemsMax
        }
        self.joined = joined
        let inCalls = joined.values.reduce(into: Set<UserID>()) { $0.formUnion($1) }
        self.signals = try self.users.filter { inCalls.contains($0.user) }
            .flatMap { try store.pendingSignalEvents(to: $0.device) }.sorted { $0.seq < $1.seq }
        self.state = try store.room(bridge.room)?.bridgeState
    }
}
