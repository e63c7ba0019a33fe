/// Whether a user may do what only admins may.
package enum UserRole: String, Codable, Sendable, CaseIterable { case user, admin }
/// An account has a password, a guest expires, a bridged user lives elsewhere.
package enum UserKind: String, Codable, Sendable, CaseIterable { case account, guest, bridged }

/// Somebody who chats and calls; once deleted a pseudonym for records.
package struct User: Hashable, Sendable {
    package var id: UserID
    /// Unique while the user exists; `nil` once deleted, when the name is free again.
    package var username: String?
    package var displayName: String
    /// `#rrggbb`.
    package var color: String
    package var role: UserRole
    package var kind: UserKind
    package var isSuspended: Bool
    /// As last logged by `presence.changed`.
    package var isOnline: Bool
    package var createdAt: Timestamp
    /// For a guest's expiry; written at most once an hour.
    package var lastUsedAt: Timestamp
    /// Set once the user is deleted; the row stays as a pseudonym for records.
    package var deletedAt: Timestamp?
    /// `scrypt$…` with its parameters; `nil` for guests.
    package var passwordHash: String?

    package init(
        id: UserID, username: String?, displayName: String, color: String, role: UserRole, kind: UserKind,
        isSuspended: Bool = false, isOnline: Bool = false, createdAt: Timestamp, lastUsedAt: Timestamp,
        deletedAt: Timestamp? = nil, passwordHash: String? = nil
    ) {
        self.id = id
        self.username = username
        self.displayName = displayName
        self.color = color
        self.role = role
        self.kind = kind
        self.isSuspended = isSuspended
        self.isOnline = isOnline
        self.createdAt = createdAt
        self.lastUsedAt = lastUsedAt
        self.deletedAt = deletedAt
        self.passwordHash = passwordHash
    }

    /// The server's own administrator, made on first start. Nobody can sign up by this name.
    package static let adminUsername = "admin"

    /// A readable colour that follows from the id alone: FNV-1a of its text picks the hue.
    package static func color(for id: UserID) -> String {
        let hash = id.text.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
        // 0x40…0xBF per channel: legible on white and on black.
        let channel = { (shift: UInt32) in UInt8(0x40 + (hash >> shift) % 0x80) }
        let hex = { (value: UInt8) in
            let digits = Array("0123456789abcdef")
            return String([digits[Int(value >> 4)], digits[Int(value & 15)]])
        }
        return "#" + hex(channel(0)) + hex(channel(8)) + hex(channel(16))
    }

    /// `[a-z0-9_.-]{2,32}`.
    package static func isValid(username: String) -> Bool {
        (2...32).contains(username.utf8.count)
            && username.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"),
                    UInt8(ascii: "."), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }

    /// `#rrggbb`, either case.
    package static func isValid(color: String) -> Bool {
        color.utf8.count == 7 && color.first == "#"
            && color.dropFirst().utf8.allSatisfy { Character(UnicodeScalar($0)).isHexDigit }
    }
}

/// A token family. Revoking it ends all its tokens, tickets and streams.
package struct Session: Hashable, Sendable {
    package var id: SessionID
    package var user: UserID
    package var createdAt: Timestamp
    package var lastUsedAt: Timestamp
    package var revokedAt: Timestamp?
    /// Of the refresh tokens: those of a lower generation are spent.
    package var generation: Int
    /// When the generation before this one was spent; a repeat within 30 s is a lost answer.
    package var rotatedAt: Timestamp?

    package init(
        id: SessionID, user: UserID, createdAt: Timestamp, lastUsedAt: Timestamp, revokedAt: Timestamp? = nil,
        generation: Int = 0, rotatedAt: Timestamp? = nil
    ) {
        self.id = id
        self.user = user
        self.createdAt = createdAt
        self.lastUsedAt = lastUsedAt
        self.revokedAt = revokedAt
        self.generation = generation
        self.rotatedAt = rotatedAt
    }
}

/// A refresh token as stored: never the token, only its SHA-256.
package struct RefreshToken: Hashable, Sendable {
    package var hash: String
    package var session: SessionID
    package var generation: Int

    package init(hash: String, session: SessionID, generation: Int) {
        self.hash = hash
        self.session = session
        self.generation = generation
    }
}

/// A stream ticket as stored: stands in a URL where headers cannot be set.
package struct StreamTicket: Hashable, Sendable {
    package var hash: String
    package var user: UserID
    package var device: DeviceID
    package var createdAt: Timestamp
    /// Set by the first stream; from then on it may only resume (SSE) or not be used again (WebSocket).
    package var openedAt: Timestamp?

    package init(hash: String, user: UserID, device: DeviceID, createdAt: Timestamp, openedAt: Timestamp? = nil) {
        self.hash = hash
        self.user = user
        self.device = device
        self.createdAt = createdAt
        self.openedAt = openedAt
    }
}
