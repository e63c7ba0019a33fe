package import Core

extension RoomFrame {
    /// What an event of a room is in frames, in order; empty for what the room protocol has no word for.
    ///
    /// An edited message is the same message again. Somebody joins and leaves as they come online and go offline, or as
    /// members who are online: what the seed's actor tells of its connections.
    package static func frames(of event: Event) -> [RoomFrame] {
        let at = event.at.milliseconds
        switch event.type {
        case .messageCreated, .messageEdited:
            return self.data(MessageData.self, of: event).flatMap(\.frame).map { [$0] } ?? []
        case .presenceChanged:
            guard let data = self.data(PersonData.self, of: event) else { return [] }
            return [data.online == true ? .join(data.person, timestamp: at) : .leave(data.person, timestamp: at)]
        case .memberJoined:
            guard let data = self.data(PersonData.self, of: event), data.online == true else { return [] }
            return [.join(data.person, timestamp: at)]
        case .memberLeft:
            guard let data = self.data(PersonData.self, of: event), data.online == true else { return [] }
            return [.leave(data.person, timestamp: at)]
        case .typing:
            return self.data(PersonData.self, of: event).map { [.typing($0.person, timestamp: at)] } ?? []
        case .signal:
            guard let data = self.data(RoomSignalData.self, of: event) else { return [] }
            let person = Person(userID: data.from, username: data.displayName ?? data.from, color: data.color ?? "")
            return data.contents.map { .signal(from: person, content: $0, timestamp: at) }
        case .signalExpired:
            return [.error(code: "signal-expired", message: "a signal was not delivered in time")]
        case .roomCreated, .roomUpdated, .roomArchived, .memberUpdated, .messageDeleted, .readUpdated, .callCreated,
            .callRinging, .callUpdated, .callEnded, .callParticipant, .callAnsweredElsewhere, .callSeen,
            .iceServersRefresh, .sessionRevoked, .userChanged, .bridgeChanged:
            return []
        }
    }

    /// The types of events that ``frames(of:)`` has words for.
    package static let eventTypes: Set<EventType> = [
        .messageCreated, .messageEdited, .presenceChanged, .memberJoined, .memberLeft, .typing, .signal, .signalExpired,
    ]

    /// What `?after=` asked for is not kept any more.
    package static let cursorExpired = RoomFrame.error(
        code: "cursor-expired", message: "what came before the cursor is not kept; see the history in welcome")

    private static func data<Data: Decodable>(_ type: Data.Type, of event: Event) -> Data? {
        // Our own encoders wrote it; if one of them changes, that costs a frame and nobody's connection.
        try? JSON.decode(type, from: event.data)
    }
}

/// `data` of events about somebody, as far as frames tell of it.
private struct PersonData: Decodable {
    let user: String
    let displayName: String
    let color: String
    let online: Bool?

    var person: RoomFrame.Person {
        RoomFrame.Person(userID: self.user, username: self.displayName, color: self.color)
    }
}

/// `data` of `message.created` and `message.edited`, as far as frames tell of it.
private struct MessageData: Decodable {
    let id: String
    let user: String
    let displayName: String
    let color: String
    let content: String
    let metadata: JSONValue?
    let createdAt: Timestamp
    let redacted: Bool?

    /// `nil` for a copy that was redacted: what became of the message comes later in the log.
    var frame: RoomFrame? {
        guard self.redacted != true else { return nil }
        return .message(
            RoomFrame.Message(
                id: self.id,
                person: RoomFrame.Person(userID: self.user, username: self.displayName, color: self.color),
                content: self.content, metadata: self.metadata, timestamp: self.createdAt.milliseconds))
    }
}

extension RoomFrame.Person {
    package init(_ user: User) {
        self.init(userID: user.id.text, username: user.displayName, color: user.color)
    }
}

extension RoomFrame.Message {
    /// A message of the history.
    package init(_ message: Message, by user: User) {
        self.init(
            id: message.id.text, person: RoomFrame.Person(user), content: message.content,
            metadata: message.metadata.flatMap { try? JSON.decode(JSONValue.self, from: $0) },
            timestamp: message.createdAt.milliseconds)
    }
}
