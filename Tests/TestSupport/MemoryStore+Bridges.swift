import Core

/// The tables of bridges.
struct MemoryBridges: Sendable {
    struct Session {
        var bridge: BridgeName
        var remoteID: String
        var user: UserID?
    }

    var bridges: [BridgeName: Bridge] = [:]
    var users: [BridgedUser] = []
    var sessions: [Session] = []
    /// Ascending by seq.
    var outbox: [OutboxEntry] = []
    var receipts: [BridgeReceipt] = []
}

extension MemoryReading {
    func instance() throws -> String { "memory" }
    func bridge(_ name: BridgeName) throws -> Bridge? { self.state.bridging.bridges[name] }

    func bridges(after: BridgeName?, limit: Int) throws -> [Bridge] {
        let found = self.state.bridging.bridges.values.filter { bridge in after.map { bridge.name > $0 } ?? true }
        return Array(found.sorted { $0.name < $1.name }.prefix(limit))
    }

    func bridgedUser(_ remoteID: String, of bridge: BridgeName) throws -> BridgedUser? {
        self.state.bridging.users.first { $0.bridge == bridge && $0.remoteID == remoteID }
    }

    func bridgedUsers(of bridge: BridgeName) throws -> [BridgedUser] {
        self.state.bridging.users.filter { $0.bridge == bridge }
            .sorted { ($0.lastSeenAt, $0.remoteID) < ($1.lastSeenAt, $1.remoteID) }
    }

    func bridgedUserCount(of bridge: BridgeName) throws -> Int {
        self.state.bridging.users.count { $0.bridge == bridge }
    }

    func bridgedUserAway(of bridge: BridgeName) throws -> BridgedUser? {
        try self.bridgedUsers(of: bridge).first { self.state.users[$0.user]?.isOnline != true }
    }

    func bridgeSessions(of bridge: BridgeName) throws -> [String: UserID?] {
        let found = self.state.bridging.sessions.filter { $0.bridge == bridge }
        return Dictionary(found.map { ($0.remoteID, $0.user) }, uniquingKeysWith: { $1 })
    }

    func outbox(of bridge: BridgeName, user: UserID, after seq: Int64, limit: Int) throws -> [OutboxEntry] {
        let found = self.state.bridging.outbox.filter { $0.bridge == bridge && $0.user == user && $0.seq > seq }
        return Array(found.prefix(limit))
    }

    func outboxUsers(of bridge: BridgeName) throws -> [UserID] {
        Set(self.state.bridging.outbox.filter { $0.bridge == bridge }.map(\.user)).sorted()
    }

    func outboxCount(of bridge: BridgeName) throws -> Int {
        self.state.bridging.outbox.count { $0.bridge == bridge }
    }

    func hasReceipt(_ remoteID: String, of bridge: BridgeName) throws -> Bool {
        self.state.bridging.receipts.contains { $0.bridge == bridge && $0.remoteID == remoteID }
    }

    func receipt(mark: String, in room: RoomID) throws -> BridgeReceipt? {
        let bridge = self.state.bridging.bridges.values.first { $0.room == room }?.name
        return self.state.bridging.receipts.first { receipt in
            let isOfRoom = receipt.message.map { self.state.messages[$0]?.room == room } ?? false
            return receipt.mark == mark && (isOfRoom || receipt.bridge == bridge)
        }
    }

    func pendingSignalEvents(to device: DeviceID) throws -> [Event] {
        let pending = Set(self.state.pendingSignals.map(\.seq))
        return self.state.events.map(\.event).filter { event in
            event.type == .signal && event.audiences == [.device(device)] && pending.contains(event.seq)
        }
    }
}

extension MemoryWriter {
    func insert(_ bridge: Bridge) throws {
        try self.require(self.state.bridging.bridges[bridge.name] == nil, "bridge.name is unique")
        try self.require(
            !self.state.bridging.bridges.values.contains { $0.room == bridge.room }, "bridge.room is unique")
        self.state.bridging.bridges[bridge.name] = bridge
    }

    func update(_ bridge: Bridge) throws {
        if self.state.bridging.bridges[bridge.name] != nil { self.state.bridging.bridges[bridge.name] = bridge }
    }

    func delete(_ bridge: Bridge) throws {
        self.state.bridging.bridges[bridge.name] = nil
        self.state.bridging.outbox.removeAll { $0.bridge == bridge.name }
        self.state.bridging.sessions.removeAll { $0.bridge == bridge.name }
    }

    func insert(_ user: BridgedUser) throws {
        let isKnown = try self.bridgedUser(user.remoteID, of: user.bridge) != nil
        try self.require(!isKnown, "bridgedUser (bridge, remoteID) is unique")
        self.state.bridging.users.append(user)
    }

    func update(_ user: BridgedUser) throws {
        for index in self.state.bridging.users.indices
        where self.state.bridging.users[index].bridge == user.bridge
            && self.state.bridging.users[index].remoteID == user.remoteID
        {
            self.state.bridging.users[index] = user
        }
    }

    func delete(_ user: BridgedUser) throws {
        self.state.bridging.users.removeAll { $0.bridge == user.bridge && $0.remoteID == user.remoteID }
    }

    func insertBridgeSession(_ remoteID: String, user: UserID?, of bridge: BridgeName) throws {
        self.state.bridging.sessions.removeAll { $0.bridge == bridge && $0.remoteID == remoteID }
        self.state.bridging.sessions.append(MemoryBridges.Session(bridge: bridge, remoteID: remoteID, user: user))
    }

    func insert(_ entry: OutboxEntry) throws {
        try self.require(!self.state.bridging.outbox.contains { $0.seq == entry.seq }, "bridgeOutbox.seq is unique")
        self.state.bridging.outbox.append(entry)
    }

    func deleteOutbox(_ seqs: [Int64]) throws {
        let gone = Set(seqs)
        self.state.bridging.outbox.removeAll { gone.contains($0.seq) }
    }

    func insert(_ receipt: BridgeReceipt) throws {
        let isKnown = try self.hasReceipt(receipt.remoteID, of: receipt.bridge)
        try self.require(!isKnown, "bridgeReceipt (bridge, remoteID) is unique")
        self.state.bridging.receipts.append(receipt)
    }

    func forgetOldBridgeRows(of bridge: BridgeName, limit: Int) throws -> Int {
        let sessions = self.state.bridging.sessions.filter { $0.bridge == bridge }.map(\.remoteID)
        let oldSessions = Set(sessions.dropLast(Limits.bridgeSessionIDsKept).prefix(limit))
        self.state.bridging.sessions.removeAll { $0.bridge == bridge && oldSessions.contains($0.remoteID) }
        let receipts = self.state.bridging.receipts.filter { $0.bridge == bridge }.map(\.remoteID)
        let oldReceipts = Set(receipts.dropLast(Limits.bridgeReceiptsKept).prefix(limit))
        self.state.bridging.receipts.removeAll { $0.bridge == bridge && oldReceipts.contains($0.remoteID) }
        return oldSessions.count + oldReceipts.count
    }
}
