import Core

extension Room {
    static let table = Table(
        "room", key: ["id"],
        ["name", "title", "visibility", "createdBy", "createdAt", "isArchived", "bridge", "bridgeState"])

    init(_ row: inout Columns) throws {
        self.init(
            id: row.id(), name: row.optionalText(), title: row.text(), visibility: try row.value(),
            createdBy: row.id(), createdAt: row.time(), isArchived: row.flag(),
            bridge: row.optionalText().map(BridgeName.init(known:)), bridgeState: try row.optionalValue())
    }

    var values: [SQLValue] {
        [
            self.id.text, self.name, self.title, self.visibility.rawValue, self.createdBy.text,
            self.createdAt.milliseconds, self.isArchived, self.bridge?.text, self.bridgeState?.rawValue,
        ]
    }
}

extension Member {
    static let table = Table("member", key: ["room", "user"], ["role", "joinedAt", "joinedSeq", "readSeq"])

    init(_ row: inout Columns) throws {
        self.init(
            room: row.id(), user: row.id(), role: try row.value(), joinedAt: row.time(), joinedSeq: row.integer(),
            readSeq: row.integer())
    }

    var values: [SQLValue] {
        [
            self.room.text, self.user.text, self.role.rawValue, self.joinedAt.milliseconds, self.joinedSeq,
            self.readSeq,
        ]
    }
}

extension Message {
    static let table = Table(
        "message", key: ["id"],
        ["room", "seq", "user", "content", "metadata", "createdAt", "editedAt", "deletedAt", "origin"])

    init(_ row: inout Columns) throws {
        self.init(
            id: row.id(), room: row.id(), seq: row.integer(), user: row.id(), content: row.text(),
            metadata: row.optionalText(), createdAt: row.time(), editedAt: row.optionalTime(),
            deletedAt: row.optionalTime(), origin: try row.value())
    }

    var values: [SQLValue] {
        [
            self.id.text, self.room.text, self.seq, self.user.text, self.content, self.metadata,
            self.createdAt.milliseconds, self.editedAt?.milliseconds, self.deletedAt?.milliseconds,
            self.origin.rawValue,
        ]
    }
}

extension IdempotentAnswer {
    static let columns = "name, sealed, seq, createdAt"

    init(_ row: inout Columns) {
        self.init(name: row.text(), sealed: row.bytes(), seq: row.optionalInteger(), createdAt: row.time())
    }

    var values: [SQLValue] { [self.name, self.sealed, self.seq, self.createdAt.milliseconds] }
}
