/// The one permission table: what each standing towards a room, each role on the server and each scope of an API key
/// allows.
package enum Permission: String, CaseIterable, Sendable {
    case readRoom, listMembers, joinRoom, leaveRoom, changeRoom, archiveRoom
    case inviteMember, removeMember, changeRole, makeOwner
    case readMessages, postMessage, editOwnMessage, editAnyMessage, type, markRead
    case readEvents, readCalls, startCall, joinCall, endAnyCall
    /// What is one's own, or for all: a session allows it.
    case readUsers, changeProfile, deleteProfile, createRoom
    /// What a key must not do, whatever its scopes: make keys, end itself.
    case manageKeys, endSession
    /// All of `/v1/admin`; reading there and changing there.
    case inspect, administer
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
        case .admin: [.inspect, .administer]
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

/// What an API key may be used for: a part of what its user may do.
package enum Scope: String, Codable, CaseIterable, Sendable, Comparable {
    case usersRead = "users:read"
    case profileWrite = "profile:write"
    case roomsRead = "rooms:read"
    case roomsWrite = "rooms:write"
    case messagesRead = "messages:read"
    case messagesWrite = "messages:write"
    case callsRead = "calls:read"
    case callsWrite = "calls:write"
    /// All that the user sees in the log, messages and signals included, on any wire.
    case eventsRead = "events:read"
    case adminRead = "admin:read"
    case adminWrite = "admin:write"

    /// Whether only admins can give it.
    package var isForAdmins: Bool { self == .adminRead || self == .adminWrite }

    package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

extension Permission {
    /// What a scope lets a key do, if its user may. A permission that is in no scope is for sessions alone.
    package static func granted(to scope: Scope) -> Set<Permission> {
        switch scope {
        case .usersRead: [.readUsers]
        case .profileWrite: [.changeProfile]
        case .roomsRead: [.readRoom, .listMembers]
        case .roomsWrite:
            [
                .createRoom, .joinRoom, .leaveRoom, .changeRoom, .archiveRoom, .inviteMember, .removeMember,
                .changeRole, .makeOwner,
            ]
        case .messagesRead: [.readMessages]
        case .messagesWrite: [.postMessage, .editOwnMessage, .editAnyMessage, .type, .markRead]
        case .callsRead: [.readCalls]
        case .callsWrite: [.startCall, .joinCall, .endAnyCall]
        case .eventsRead: [.readEvents]
        case .adminRead: [.inspect]
        case .adminWrite: [.administer]
        }
    }

    /// As above, of several.
    package static func granted(to scopes: Set<Scope>) -> Set<Permission> {
        scopes.reduce(into: []) { $0.formUnion(self.granted(to: $1)) }
    }
}
