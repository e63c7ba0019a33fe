import Core
import Hub

/// An open stream or a waiting poll, with its user's name.
struct ConnectionResponse: Encodable {
    private let connection: OpenConnection
    private let user: User?

    init(_ connection: OpenConnection, user: User?) { (self.connection, self.user) = (connection, user) }

    private enum CodingKeys: String, CodingKey {
        case id, user, username, displayName, device, transport, scope, room, call, openedAt, remoteAddress, cursor,
            lag,
            pendingBytes
    }

    func encode(to encoder: any Encoder) throws {
        let subscription = self.connection.subscription
        let (scope, room, call): (String, RoomID?, CallID?) =
            switch subscription.scope {
            case .user: ("user", nil, nil)
            case .room(let room): ("room", room, nil)
            case .call(let call): ("call", nil, call)
            }
        let standing = self.connection.standing
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.connection.id.description, forKey: .id)
        try container.encode(subscription.user, forKey: .user)
        try container.encode(self.user?.username, forKey: .username)
        try container.encode(self.user?.displayName, forKey: .displayName)
        try container.encode(subscription.device, forKey: .device)
        try container.encode(subscription.transport, forKey: .transport)
        try container.encode(scope, forKey: .scope)
        try container.encode(room, forKey: .room)
        try container.encode(call, forKey: .call)
        try container.encode(self.connection.openedAt, forKey: .openedAt)
        try container.encode(self.connection.remoteAddress, forKey: .remoteAddress)
        try container.encode(standing?.cursor.description, forKey: .cursor)
        try container.encode(standing?.lag, forKey: .lag)
        try container.encode(standing?.pendingBytes, forKey: .pendingBytes)
    }
}
