import Core

extension SQLiteReading {
    func room(_ id: RoomID) throws -> Room? {
        try self.room("SELECT \(Room.table.selection) FROM room WHERE id = ?1", id.text)
    }

    func room(name: String) throws -> Room? {
        try self.room("SELECT \(Room.table.selection) FROM room WHERE name = ?1", name)
    }

    private func room(_ sql: String, _ key: String) throws -> Room? {
        try self.db.first(sql, [key]) { try Room(&$0) }
    }

    func roomView(_ id: RoomID, for user: UserID) throws -> RoomView? {
        try self.roomViews("SELECT ?2 AS id", [user.text, id.text]).first
    }

    func roomViews(visibleTo user: UserID, after: RoomID?, limit: Int) throws -> [RoomView] {
        // Both halves come in order from an index, so that SQLite merges them and stops at the limit.
        try self.roomViews(
            """
            SELECT room AS id FROM member WHERE user = ?1 AND room > ?2 \
            UNION SELECT id FROM room WHERE visibility = 'public' AND isArchived = 0 AND id > ?2 \
            ORDER BY 1 LIMIT ?3
            """, [user.text, after?.text ?? "", limit])
    }

    /// - parameters:
    ///   - rooms: a query of one column, `id`.
    ///   - values: the user's id first.
    private func roomViews(_ rooms: String, _ values: [SQLValue]) throws -> [RoomView] {
        let sql = """
            SELECT \(Room.table.selection), mine.role, \
            (SELECT count(*) FROM member WHERE member.room = room.id), \
            CASE WHEN mine.user IS NULL THEN 0 ELSE (SELECT count(*) FROM message \
            WHERE message.room = room.id AND message.seq > mine.readSeq AND message.user <> ?1 \
            AND message.deletedAt IS NULL) END \
            FROM (\(rooms)) AS visible CROSS JOIN room ON room.id = visible.id \
            LEFT JOIN member AS mine ON mine.room = room.id AND mine.user = ?1 ORDER BY room.id
            """
        return try self.db.all(sql, values) { row in
            let room = try Room(&row)
            let role: MemberRole? = try row.optionalValue()
            let memberCount = Int(row.integer())
            return RoomView(room: room, memberCount: memberCount, unreadCount: Int(row.integer()), role: role)
        }
    }

    func member(_ user: UserID, of room: RoomID) throws -> Member? {
        try self.db.first(
            "SELECT \(Member.table.selection) FROM member WHERE room = ?1 AND user = ?2", [room.text, user.text]
        ) { try Member(&$0) }
    }

    func roomAndMember(_ reference: RoomReference, user: UserID) throws -> (room: Room, member: Member?)? {
        let (statement, key) =
            switch reference {
            case .id(let id): (try self.statement(.accessByID), id.text)
            case .name(let name): (try self.statement(.accessByName), name)
            }
        return try statement.first(key, user.text) { row in
            let room = try Room(&row)
            guard !row.isNull else { return (room, nil) }
            return (
                room,
                Member(
                    room: room.id, user: user, role: try row.value(), joinedAt: row.time(), joinedSeq: row.integer(),
                    readSeq: row.integer())
            )
        }
    }

    func memberships(of user: UserID) throws -> [Member] {
        try self.db.all("SELECT \(Member.table.selection) FROM member WHERE user = ?1 ORDER BY room", [user.text]) {
            try Member(&$0)
        }
    }

    func members(of room: RoomID, after: UserID?, limit: Int) throws -> [(member: Member, user: User)] {
        let sql = """
            SELECT \(Member.table.selection), \(User.table.selection) \
            FROM member CROSS JOIN user ON user.id = member.user \
            WHERE member.room = ?1 AND member.user > ?2 ORDER BY member.user LIMIT ?3
            """
        return try self.db.all(sql, [room.text, after?.text ?? "", limit]) { row in
            let member = try Member(&row)
            return (member, try User(&row))
        }
    }

    func usersOnline(in room: RoomID, limit: Int) throws -> [User] {
        // Those who are online are few beside all users, and often beside a room's members.
        let sql = """
            SELECT \(User.table.selection) \
            FROM user INDEXED BY userOnline CROSS JOIN member ON member.room = ?1 AND member.user = user.id \
            WHERE user.isOnline = 1 ORDER BY user.id LIMIT ?2
            """
        return try self.db.all(sql, [room.text, limit]) { try User(&$0) }
    }

    func memberCount(of room: RoomID) throws -> Int {
        Int(try self.db.integer("SELECT count(*) FROM member WHERE room = ?1", [room.text]))
    }

    func ownerCount(of room: RoomID) throws -> Int {
        Int(try self.db.integer("SELECT count(*) FROM member WHERE room = ?1 AND role = 'owner'", [room.text]))
    }
}
