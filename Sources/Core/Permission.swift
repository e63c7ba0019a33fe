/// The one permission table: what each standing towards a room, and each role on the server, allows.
package enum Permission: String, CaseIterable, Sendable {
    case readRoom, listMembers, joinRoom, leaveRoom, changeRoom, archiveRoom
    case inviteMember, removeMember, changeRole, makeOwner
    case readMessages, postMessage, editOwnMessage, editAnyMessage, type, markRead
    case readEvents, readCalls, startCall, joinCall, endAnyCall
    /// All of `/v1/admin`.
    case administer
}

/// How a user stands towards a room. `admin` is a user of role `admin` who is not a member.
package enum RoomStanding: String, CaseIterable, Sendable {
    case outsider, admin, member, moderator, owner

    package init(_ role: MemberRole) {
        switch role {
        case .member: self = .member
        case .moderator: self = .moderator
        case .owner: self = .owner
        }
    }
}

extension Permission {
    private static let outsider: Set<Permission> = [.readRoom, .listMembers, .joinRoom]
    private static let member: Set<Permission> = [
        .readRoom, .listMembers, .joinRoom, .leaveRoom, .readMessages, .postMessage, .editOwnMessage, .type, .markRead,
        .readEvents, .readCalls, .startCall, .joinCall,
    ]
    private static let moderator = Self.member.union([
        .inviteMember, .removeMember, .editAnyMessage, .endAnyCall, .changeRoom,
    ])
    private static let owner = Self.moderator.union([.archiveRoom, .changeRole, .makeOwner])
    /// Admins keep order; they do not read chat (that is `GET /v1/admin/messages`, audited).
    private static let admin: Set<Permission> = [
        .readRoom, .listMembers, .joinRoom, .changeRoom, .archiveRoom, .removeMember, .changeRole, .makeOwner,
        .readCalls,
        .endAnyCall,
    ]

    /// What a role allows apart from any room.
    package static func granted(to role: UserRole) -> Set<Permission> {
        switch role {
        case .user: []
        case .admin: [.administer]
        }
    }

    /// The table: `outsider` holds for public rooms only; of a private room outsiders learn nothing (404).
    package static func granted(to standing: RoomStanding) -> Set<Permission> {
        switch standing {
        case .outsider: self.outsider
        case .admin: self.admin
        case .member: self.member
        case .moderator: self.moderator
        case .owner: self.owner
        }
    }
}
