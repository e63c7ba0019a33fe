import Core
import Hub

/// `POST /v1/admin/bridges`.
struct NewBridgeRequest: Decodable, Sendable {
    let name: String
    let room: String
    let url: String
    let remoteRoom: String?
    let headers: [String: String]?
    let userIdMember: String?
    let certificateAuthority: String?
    let paused: Bool?

    /// - parameter name: what the remote room is called unless it is said otherwise.
    var bridge: NewBridge {
        NewBridge(
            name: self.name, room: RoomReference(self.room),
            target: BridgeTarget(
                url: self.url, remoteRoom: self.remoteRoom ?? self.room, headers: self.headers ?? [:],
                userIDMember: self.userIdMember ?? BridgeTarget.userIDMemberDefault,
                certificateAuthority: self.certificateAuthority),
            isPaused: self.paused ?? false)
    }
}

/// `PATCH /v1/admin/bridges/{bridge}`.
struct BridgeChangeRequest: Decodable, Sendable {
    let paused: Bool
}

/// A bridge as admins see it: what it is, and how it does. Of headers their names only, as the values are secrets.
struct BridgePayload: Encodable {
    let bridge: Bridge
    /// `nil` before this process has tried.
    let status: BridgeStatus?
    /// Messages that wait for the remote room.
    let queued: Int

    private enum CodingKeys: String, CodingKey {
        case name, room, url, remoteRoom, headers, userIdMember, certificateAuthority, paused, fromFile, createdAt,
            state, since, sessions, users, queued, lastError, counts
    }

    private struct FailurePayload: Encodable {
        let message: String
        let at: Timestamp
    }

    private struct CountsPayload: Encodable {
        let messagesSent, messagesReceived, messagesRefused, signalsSent, signalsReceived, disconnects: Int
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        let target = self.bridge.target
        try container.encode(self.bridge.name, forKey: .name)
        try container.encode(self.bridge.room, forKey: .room)
        try container.encode(target.url, forKey: .url)
        try container.encode(target.remoteRoom, forKey: .remoteRoom)
        try container.encode(target.headers.keys.sorted(), forKey: .headers)
        try container.encode(target.userIDMember, forKey: .userIdMember)
        try container.encode(target.certificateAuthority, forKey: .certificateAuthority)
        try container.encode(self.bridge.isPaused, forKey: .paused)
        try container.encode(self.bridge.isFromFile, forKey: .fromFile)
        try container.encode(self.bridge.createdAt, forKey: .createdAt)
        let state: BridgeState = self.bridge.isPaused ? .paused : self.status?.state ?? .down
        try container.encode(state, forKey: .state)
        try container.encode(self.status?.since, forKey: .since)
        try container.encode(self.status?.sessions ?? 0, forKey: .sessions)
        try container.encode(self.status?.users ?? 0, forKey: .users)
        try container.encode(self.queued, forKey: .queued)
        let failure = self.status?.lastError.map { FailurePayload(message: $0.message, at: $0.at) }
        try container.encode(failure, forKey: .lastError)
        let counts = CountsPayload(
            messagesSent: self.status?.messagesSent ?? 0, messagesReceived: self.status?.messagesReceived ?? 0,
            messagesRefused: self.status?.messagesRefused ?? 0, signalsSent: self.status?.signalsSent ?? 0,
            signalsReceived: self.status?.signalsReceived ?? 0, disconnects: self.status?.disconnects ?? 0)
        try container.encode(counts, forKey: .counts)
    }
}
