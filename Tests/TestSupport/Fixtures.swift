package import Core

extension Identifier {
    /// A well-formed identifier; those of higher numbers sort later.
    package static func fixture(_ number: Int) -> Self {
        Self(ULID(at: .fixture, random: UInt128(UInt64(number))))
    }
}

extension User {
    /// An account without a password.
    ///
    /// - parameter id: by default made from the username, the same each time.
    package static func fixture(
        _ username: String = "alice", id: UserID? = nil, role: UserRole = .user, kind: UserKind = .account,
        at time: Timestamp = .fixture
    ) -> User {
        let hash = username.utf8.reduce(UInt64(0xCBF2_9CE4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        let id = id ?? UserID(ULID(at: .fixture, random: UInt128(hash)))
        return User(
            id: id, username: username, displayName: username, color: User.color(for: id), role: role,
            kind: kind, createdAt: time, lastUsedAt: time)
    }
}

extension Room {
    /// A public room, named and titled `name`; without a name a private one.
    package static func fixture(
        _ name: String? = "lobby", id: RoomID = .fixture(1), createdBy: UserID, at time: Timestamp = .fixture
    ) -> Room {
        Room(
            id: id, name: name, title: name ?? "Private", visibility: name == nil ? .private : .public,
            createdBy: createdBy, createdAt: time)
    }
}

extension Member {
    package static func fixture(
        _ user: UserID, of room: RoomID, role: MemberRole = .member, joinedSeq: Int64 = 0, readSeq: Int64 = 0,
        at time: Timestamp = .fixture
    ) -> Member {
        Member(room: room, user: user, role: role, joinedAt: time, joinedSeq: joinedSeq, readSeq: readSeq)
    }
}
