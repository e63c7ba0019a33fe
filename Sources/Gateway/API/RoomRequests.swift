import Core

/// `POST /v1/rooms`.
struct NewRoomRequest: Decodable, Sendable {
    let name: String?
    let title: String?
    let visibility: RoomVisibility?
}

/// `PATCH /v1/rooms/{room}`.
struct RoomChangeRequest: Decodable, Sendable {
    let name: String?
    let title: String?
    let archived: Bool?
}

/// `PUT /v1/rooms/{room}/members/{user}`.
struct MemberRequest: Decodable, Sendable {
    let role: MemberRole?
}

/// `POST /v1/rooms/{room}/messages`.
struct NewMessageRequest: Decodable, Sendable {
    let content: String
    let metadata: JSONValue?
}

/// `PATCH /v1/rooms/{room}/messages/{message}`. `"metadata": null` takes the metadata away; left out, it stays.
struct MessageChangeRequest: Decodable, Sendable {
    let content: String?
    let metadata: JSONValue?

    private enum CodingKeys: String, CodingKey { case content, metadata }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.content = try container.decodeIfPresent(String.self, forKey: .content)
        self.metadata =
            container.contains(.metadata) ? try container.decode(JSONValue.self, forKey: .metadata) : nil
    }
}

/// `PUT /v1/rooms/{room}/read`.
struct ReadRequest: Decodable, Sendable {
    let message: MessageID
}
