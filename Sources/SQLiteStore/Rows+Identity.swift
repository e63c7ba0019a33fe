import Core

// Each type's row: its table, how it is read and what is written, all in the same order of columns.

extension User {
    static let table = Table(
        "user", key: ["id"],
        [
            "username", "displayName", "color", "role", "kind", "isSuspended", "isOnline", "createdAt", "lastUsedAt",
            "deletedAt", "passwordHash",
        ])

    init(_ row: inout Columns) throws {
        self.init(
            id: row.id(), username: row.optionalText(), displayName: row.text(), color: row.text(),
            role: try row.value(), kind: try row.value(), isSuspended: row.flag(), isOnline: row.flag(),
            createdAt: row.time(), lastUsedAt: row.time(), deletedAt: row.optionalTime(),
            passwordHash: row.optionalText())
    }

    var values: [SQLValue] {
        [
            self.id.text, self.username, self.displayName, self.color, self.role.rawValue, self.kind.rawValue,
            self.isSuspended, self.isOnline, self.createdAt.milliseconds, self.lastUsedAt.milliseconds,
            self.deletedAt?.milliseconds, self.passwordHash,
        ]
    }
}

extension Session {
    static let table = Table(
        "session", key: ["id"], ["user", "createdAt", "lastUsedAt", "revokedAt", "generation", "rotatedAt"])

    init(_ row: inout Columns) {
        self.init(
            id: row.id(), user: row.id(), createdAt: row.time(), lastUsedAt: row.time(),
            revokedAt: row.optionalTime(), generation: Int(row.integer()), rotatedAt: row.optionalTime())
    }

    var values: [SQLValue] {
        [
            self.id.text, self.user.text, self.createdAt.milliseconds, self.lastUsedAt.milliseconds,
            self.revokedAt?.milliseconds, self.generation, self.rotatedAt?.milliseconds,
        ]
    }
}

extension RefreshToken {
    static let table = Table("refreshToken", key: ["hash"], ["session", "generation"])

    init(_ row: inout Columns) {
        self.init(hash: row.text(), session: row.id(), generation: Int(row.integer()))
    }

    var values: [SQLValue] { [self.hash, self.session.text, self.generation] }
}

extension StreamTicket {
    static let table = Table("streamTicket", key: ["hash"], ["user", "device", "createdAt", "openedAt"])

    init(_ row: inout Columns) {
        self.init(
            hash: row.text(), user: row.id(), device: DeviceID(known: row.text()), createdAt: row.time(),
            openedAt: row.optionalTime())
    }

    var values: [SQLValue] {
        [self.hash, self.user.text, self.device.text, self.createdAt.milliseconds, self.openedAt?.milliseconds]
    }
}

extension APIKey {
    static let table = Table(
        "apiKey", key: ["id"], ["hash", "user", "session", "name", "scopes", "createdAt", "expiresAt"])

    init(_ row: inout Columns) {
        self.init(
            id: row.id(), hash: row.text(), user: row.id(), session: row.id(), name: row.text(),
            // A scope of another version gives nothing.
            scopes: Set(row.text().split(separator: " ").compactMap { Scope(rawValue: String($0)) }),
            createdAt: row.time(), expiresAt: row.optionalTime())
    }

    var values: [SQLValue] {
        [
            self.id.text, self.hash, self.user.text, self.session.text, self.name,
            self.scopes.sorted().map(\.rawValue).joined(separator: " "), self.createdAt.milliseconds,
            self.expiresAt?.milliseconds,
        ]
    }
}
