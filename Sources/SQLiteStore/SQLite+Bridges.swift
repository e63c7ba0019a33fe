import Core

extension SQLiteReading {
    func instance() throws -> String {
        try self.db.first("SELECT name FROM instance") { $0.text() } ?? ""
    }

    func bridge(_ name: BridgeName) throws -> Bridge? {
        try self.db.first("SELECT \(Bridge.table.selection) FROM bridge WHERE name = ?1", [name.text]) {
            try Bridge(&$0)
        }
    }

    func bridges(after: BridgeName?, limit: Int) throws -> [Bridge] {
        try self.db.all(
            "SELECT \(Bridge.table.selection) FROM bridge WHERE name > ?1 ORDER BY name LIMIT ?2",
            [after?.text ?? "", limit]
        ) { try Bridge(&$0) }
    }

    func bridgedUser(_ remoteID: String, of bridge: BridgeName) throws -> BridgedUser? {
        try self.db.first(
            "SELECT \(BridgedUser.table.selection) FROM bridgedUser WHERE bridge = ?1 AND remoteID = ?2",
            [bridge.text, remoteID]
        ) { BridgedUser(&$0) }
    }

    func bridgedUsers(of bridge: BridgeName) throws -> [BridgedUser] {
        try self.db.all(
            "SELECT \(BridgedUser.table.selection) FROM bridgedUser WHERE bridge = ?1 ORDER BY lastSeenAt, remoteID",
            [bridge.text]
        ) { BridgedUser(&$0) }
    }

    func bridgedUserCount(of bridge: BridgeName) throws -> Int {
        Int(try self.db.integer("SELECT count(*) FROM bridgedUser WHERE bridge = ?1", [bridge.text]))
    }

    func bridgedUserAway(of bridge: BridgeName) throws -> BridgedUser? {
        try self.db.first(
            """
            SELECT \(BridgedUser.table.selection) FROM bridgedUser WHERE bridge = ?1 \
            AND NOT EXISTS (SELECT 1 FROM user WHERE user.id = bridgedUser.user AND user.isOnline = 1) \
            ORDER BY lastSeenAt, remoteID LIMIT 1
            """, [bridge.text]
        ) { BridgedUser(&$0) }
    }

    func bridgeSessions(of bridge: BridgeName) throws -> [String: UserID?] {
        let found = try self.db.all(
            "SELECT remoteID, user FROM bridgeSession WHERE bridge = ?1", [bridge.text]
        ) { row -> (String, UserID?) in (row.text(), row.optionalID()) }
        return Dictionary(found, uniquingKeysWith: { $1 })
    }

    func outbox(of bridge: BridgeName, user: UserID, after seq: Int64, limit: Int) throws -> [OutboxEntry] {
        try self.db.all(
            """
            SELECT \(OutboxEntry.table.selection) FROM bridgeOutbox \
            WHERE bridge = ?1 AND user = ?2 AND seq > ?3 ORDER BY seq LIMIT ?4
            """, [bridge.text, user.text, seq, limit]
        ) { OutboxEntry(&$0) }
    }

    func outboxUsers(of bridge: BridgeName) throws -> [UserID] {
        try self.db.identifiers(
            "SELECT DISTINCT user FROM bridgeOutbox WHERE bridge = ?1 ORDER BY user", [bridge.text])
    }

    func outboxCount(of bridge: BridgeName) throws -> Int {
        Int(try self.db.integer("SELECT count FROM bridgeOutboxCount WHERE bridge = ?1", [bridge.text]))
    }

    func hasReceipt(_ remoteID: String, of bridge: BridgeName) throws -> Bool {
        try self.db.exists(
            "SELECT 1 FROM bridgeReceipt WHERE bridge = ?1 AND remoteID = ?2", [bridge.text, remoteID])
    }

    func receipt(mark: String, in room: RoomID) throws -> BridgeReceipt? {
        try self.db.first(
            """
            SELECT bridge, remoteID, mark, message FROM bridgeReceipt LEFT JOIN message ON message.id = message \
            WHERE mark = ?1 AND (message.room = ?2 OR bridge IN (SELECT name FROM bridge WHERE room = ?2)) \
            ORDER BY position LIMIT 1
            """, [mark, room.text]
        ) { row in
            BridgeReceipt(
                bridge: BridgeName(known: row.text()), remoteID: row.text(), mark: row.text(), message: row.optionalID()
            )
        }
    }

    func pendingSignalEvents(to device: DeviceID) throws -> [Event] {
        let rows = try self.db.all(
            """
            SELECT event.seq, event.room, event.call, event.actor, event.at, event.data FROM eventAudience \
            CROSS JOIN pendingSignal ON pendingSignal.seq = eventAudience.seq \
            CROSS JOIN event ON event.seq = eventAudience.seq \
            WHERE eventAudience.audience = ?1 AND event.type = 'signal' ORDER BY event.seq
            """, [device.text]
        ) { row in
            Event(
                seq: row.integer(), type: .signal, audiences: [.device(device)], room: row.optionalID(),
                call: row.optionalID(), actor: row.optionalID(), at: row.time(), data: row.text())
        }
        return rows
    }
}

extension SQLiteWriter {
    func insert(_ bridge: Bridge) throws { try self.db.run(Bridge.table.insert, bridge.values()) }
    func update(_ bridge: Bridge) throws { try self.db.run(Bridge.table.update, bridge.values()) }

    func delete(_ bridge: Bridge) throws {
        // The count after what it counts.
        for table in ["bridgeOutbox", "bridgeOutboxCount", "bridgeSession"] {
            try self.db.run("DELETE FROM \(table) WHERE bridge = ?1", [bridge.name.text])
        }
        try self.db.run("DELETE FROM bridge WHERE name = ?1", [bridge.name.text])
    }

    func insert(_ user: BridgedUser) throws { try self.db.run(BridgedUser.table.insert, user.values) }
    func update(_ user: BridgedUser) throws { try self.db.run(BridgedUser.table.update, user.values) }

    func delete(_ user: BridgedUser) throws {
        try self.db.run(
            "DELETE FROM bridgedUser WHERE bridge = ?1 AND remoteID = ?2", [user.bridge.text, user.remoteID])
    }

    func insertBridgeSession(_ remoteID: String, user: UserID?, of bridge: BridgeName) throws {
        try self.db.run(
            "INSERT OR REPLACE INTO bridgeSession (bridge, remoteID, user) VALUES (?1, ?2, ?3)",
            [bridge.text, remoteID, user?.text])
    }

    func insert(_ entry: OutboxEntry) throws { try self.db.run(OutboxEntry.table.insert, entry.values) }

    func deleteOutbox(_ seqs: [Int64]) throws {
        for seq in seqs { try self.db.run("DELETE FROM bridgeOutbox WHERE seq = ?1", [seq]) }
    }

    func insert(_ receipt: BridgeReceipt) throws {
        try self.db.run(
            "INSERT INTO bridgeReceipt (bridge, remoteID, mark, message) VALUES (?1, ?2, ?3, ?4)",
            [receipt.bridge.text, receipt.remoteID, receipt.mark, receipt.message?.text])
    }

    func forgetOldBridgeRows(of bridge: BridgeName, limit: Int) throws -> Int {
        var count = 0
        for (table, kept) in [
            ("bridgeSession", Limits.bridgeSessionIDsKept), ("bridgeReceipt", Limits.bridgeReceiptsKept),
        ] {
            let positions = try self.db.integers(
                """
                SELECT position FROM \(table) WHERE bridge = ?1 AND position <= (SELECT position FROM \(table) \
                WHERE bridge = ?1 ORDER BY position DESC LIMIT 1 OFFSET ?2) ORDER BY position LIMIT ?3
                """, [bridge.text, kept, limit])
            for position in positions {
                try self.db.run("DELETE FROM \(table) WHERE position = ?1", [position])
            }
            count += positions.count
        }
        return count
    }
}
