/// A room as found by somebody who may do what they asked.
package struct RoomAccess: Sendable {
    package let room: Room
    /// The asking user's membership, if any.
    package let member: Member?
    package let standing: RoomStanding
    package let granted: Set<Permission>
    private let isAdmin: Bool

    init(room: Room, member: Member?, standing: RoomStanding, isAdmin: Bool) {
        self.room = room
        self.member = member
        self.standing = standing
        self.isAdmin = isAdmin
        let granted = Permission.granted(to: standing)
        // An admin who is a member as well has the rights of both.
        self.granted = isAdmin ? granted.union(Permission.granted(to: RoomStanding.admin)) : granted
    }

    /// Whether it is allowed to an admin alone, so that the audit log must tell of it.
    package func takesAdmin(_ permission: Permission) -> Bool {
        guard self.isAdmin else { return false }
        if let member { return !Permission.granted(to: RoomStanding(member.role)).contains(permission) }
        return self.room.visibility == .private || !Permission.granted(to: .outsider).contains(permission)
    }

    /// - throws: ``Problem`` `not-a-member` when membership is what is missing; `forbidden` when the role is.
    package func require(_ permission: Permission) throws(Problem) {
        guard self.granted.contains(permission) else { throw self.member == nil ? .notAMember : Problem(.forbidden) }
    }
}

extension User {
    /// For what is no room's.
    ///
    /// - throws: ``Problem`` `forbidden`.
    package func require(_ permission: Permission) throws(Problem) {
        guard Permission.granted(to: self.role).contains(permission) else {
            throw Problem(.forbidden, "Only admins may do this")
        }
    }
}

extension StoreReader {
    /// Those whom a page names, in one query; nobody who is not there.
    package func usersByID(_ ids: [UserID]) throws -> [UserID: User] {
        Dictionary(try self.users(Set(ids)).map { ($0.id, $0) }) { first, _ in first }
    }

    /// The one place where the permission table is enforced.
    ///
    /// - throws: ``Problem`` `not-found` for a room that does not exist or is private to others; `not-a-member` when
    ///   membership is what is missing; `forbidden` when the role is.
    package func access(_ reference: RoomReference, as user: User, to permission: Permission) throws -> RoomAccess {
        let access = try self.access(reference, as: user)
        try access.require(permission)
        return access
    }

    /// As above, without asking for one permission.
    package func access(_ reference: RoomReference, as user: User) throws -> RoomAccess {
        guard let (room, member) = try self.roomAndMember(reference, user: user.id) else { throw Problem.notFound }
        let standing: RoomStanding
        if let member {
            standing = RoomStanding(member.role)
        } else if user.role == .admin {
            standing = .admin
        } else if room.visibility == .public {
            standing = .outsider
        } else {
            throw Problem.notFound
        }
        return RoomAccess(room: room, member: member, standing: standing, isAdmin: user.role == .admin)
    }

    /// A user who exists. Whether the asker may see them is the caller's question.
    ///
    /// - throws: ``Problem`` `not-found`.
    package func user(_ reference: UserReference, as acting: User) throws -> User {
        let found =
            switch reference {
            case .me: try self.user(acting.id)
            case .id(let id): try self.user(id)
            case .username(let name): try self.user(username: name)
            }
        guard let user = found, user.deletedAt == nil else { throw Problem.notFound }
        return user
    }
}

extension StoreWriter {
    /// As ``StoreReader/access(_:as:to:)``, and the room must not be archived.
    package func writableAccess(
        _ reference: RoomReference, as user: User, to permission: Permission
    ) throws -> RoomAccess {
        let access = try self.access(reference, as: user, to: permission)
        guard !access.room.isArchived else { throw Problem(.roomArchived) }
        return access
    }
}
