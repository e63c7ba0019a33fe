/// A room as found by somebody who may do what they asked.
package struct RoomAccess: Sendable {
    package let room: Room
    /// The asking user's membership, if any.
    package let member: Member?
    package let standing: RoomStanding
    package let granted: Set<Permission>

    /// - throws: ``Problem`` `not-a-member` when membership is what is missing; `forbidden` when the role is.
    package func require(_ permission: Permission) throws(Problem) {
        guard self.granted.contains(permission) else { throw self.member == nil ? .notAMember : Problem(.forbidden) }
    }
}

extension StoreReader {
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
        return RoomAccess(room: room, member: member, standing: standing, granted: Permission.granted(to: standing))
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
