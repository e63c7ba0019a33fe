import Core

extension Bridge {
    static let table = Table(
        "bridge", key: ["name"], ["room", "target", "isPaused", "isFromFile", "createdAt", "begunAt"])

    /// - throws: `DecodingError` if the stored target is none.
    init(_ row: inout Columns) throws {
        self.init(
            name: BridgeName(known: row.text()), room: row.id(), target: try JSON.decode(from: row.text()),
            isPaused: row.flag(), isFromFile: row.flag(), createdAt: row.time(), begunAt: row.optionalTime())
    }

    func values() throws -> [SQLValue] {
        [
            self.name.text, self.room.text, try JSON.text(self.target), self.isPaused, self.isFromFile,
            self.createdAt.milliseconds, self.begunAt?.milliseconds,
        ]
    }
}

extension BridgedUser {
    static let table = Table("bridgedUser", key: ["bridge", "remoteID"], ["user", "session", "lastSeenAt"])

    init(_ row: inout Columns) {
        self.init(
            bridge: BridgeName(known: row.text()), remoteID: row.text(), user: row.id(), session: row.id(),
            lastSeenAt: row.time())
    }

    var values: [SQLValue] {
        [self.bridge.text, self.remoteID, self.user.text, self.session.text, self.lastSeenAt.milliseconds]
    }
}

extension OutboxEntry {
    static let table = Table("bridgeOutbox", key: ["seq"], ["bridge", "user", "message"])

    init(_ row: inout Columns) {
        self.init(seq: row.integer(), bridge: BridgeName(known: row.text()), user: row.id(), message: row.id())
    }

    var values: [SQLValue] { [self.seq, self.bridge.text, self.user.text, self.message.text] }
}
