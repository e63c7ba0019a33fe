package import Core

/// What a room says to a client: one text frame each (DESIGN.md, section 5). Times are milliseconds since 1970.
///
/// Read with tolerance, as a bridge reads what rooms of other makes say: only what a frame cannot do without must be
/// there, and members that are not known are ignored.
package enum RoomFrame: Hashable, Sendable {
    /// The first frame: who one is, who is there, and what was said.
    case welcome(Welcome)
    case message(Message)
    /// `content` is JSON as a string, as its sender sent it.
    case signal(from: Person, content: String, timestamp: Int64?)
    case join(Person, timestamp: Int64?)
    case leave(Person, timestamp: Int64?)
    case typing(Person, timestamp: Int64?)
    case pong
    /// `code` is a stable word, `message` for people.
    case error(code: String, message: String)

    /// How frames name somebody.
    package struct Person: Hashable, Sendable {
        package var userID: String
        /// What is shown: the display name of a user here. The id where a remote room gives none.
        package var username: String
        /// `#rrggbb`; empty where a remote room gives none.
        package var color: String

        package init(userID: String, username: String, color: String) {
            self.userID = userID
            self.username = username
            self.color = color
        }
    }

    /// `{"type":"message","id","userId","username","color","content","metadata","timestamp"}`
    package struct Message: Hashable, Sendable {
        /// `nil` where a remote room gives none.
        package var id: String?
        package var person: Person
        package var content: String
        /// An object; `nil` for none.
        package var metadata: JSONValue?
        package var timestamp: Int64?

        package init(id: String?, person: Person, content: String, metadata: JSONValue?, timestamp: Int64?) {
            self.id = id
            self.person = person
            self.content = content
            self.metadata = metadata
            self.timestamp = timestamp
        }
    }

    /// `{"type":"welcome","userId","username","color","users":[…],"history":[…],"cursor","resumeToken"}`
    package struct Welcome: Hashable, Sendable {
        /// `nil` where a remote room does not say who one is.
        package var person: Person?
        /// Those who are there.
        package var users: [Person]
        /// Oldest first.
        package var history: [Message]
        package var cursor: String?
        package var resumeToken: String?

        package init(
            person: Person?, users: [Person], history: [Message], cursor: String?, resumeToken: String?
        ) {
            self.person = person
            self.users = users
            self.history = history
            self.cursor = cursor
            self.resumeToken = resumeToken
        }
    }
}

// MARK: Reading

extension RoomFrame {
    /// - throws: ``RoomFrameError``.
    package init(_ text: String) throws(RoomFrameError) { try self.init(FrameMembers(text)) }

    /// - parameter members: for whoever also wants what this does not know.
    /// - throws: ``RoomFrameError``.
    package init(_ members: FrameMembers) throws(RoomFrameError) {
        let timestamp = members.milliseconds("timestamp")
        switch members["type"]?.stringValue {
        case "welcome": self = .welcome(Welcome(members))
        case "message": self = .message(try Message(members))
        case "signal":
            self = .signal(
                from: try Person(members), content: try members.string("content"), timestamp: timestamp)
        case "join": self = .join(try Person(members), timestamp: timestamp)
        case "leave": self = .leave(try Person(members), timestamp: timestamp)
        case "typing": self = .typing(try Person(members), timestamp: timestamp)
        case "pong": self = .pong
        case "error":
            self = .error(code: members.identifier("code") ?? "", message: members["message"]?.stringValue ?? "")
        default: throw members.unknownType()
        }
    }
}

extension RoomFrame.Person {
    init(_ members: FrameMembers) throws(RoomFrameError) {
        guard let userID = members.identifier("userId") else {
            throw .invalidMember("userId", expected: "must be a user's id")
        }
        self.init(
            userID: userID, username: members.name("username") ?? userID, color: members.name("color") ?? "")
    }
}

extension RoomFrame.Message {
    init(_ members: FrameMembers) throws(RoomFrameError) {
        self.init(
            id: members.identifier("id"), person: try RoomFrame.Person(members), content: try members.string("content"),
            metadata: members["metadata"], timestamp: members.milliseconds("timestamp"))
    }
}

extension RoomFrame.Welcome {
    /// What is of another shape is left out: nothing of it is needed to go on.
    init(_ members: FrameMembers) {
        let list = { (name: String) -> [FrameMembers] in
            guard case .array(let values) = members[name] else { return [] }
            return values.compactMap { try? FrameMembers($0) }
        }
        self.init(
            person: try? RoomFrame.Person(members), users: list("users").compactMap { try? RoomFrame.Person($0) },
            history: list("history").compactMap { try? RoomFrame.Message($0) }, cursor: members["cursor"]?.stringValue,
            resumeToken: members["resumeToken"]?.stringValue)
    }
}

// MARK: Writing

extension RoomFrame {
    /// The frame as a room sends it.
    package var text: String { Self.text(self.members) }

    /// A JSON object in one line.
    static func text(_ members: [String: JSONValue]) -> String {
        // No value of this type fails to be encoded but numbers that are none, which no JSON brings.
        (try? JSON.text(members)) ?? "{}"
    }

    private var members: [String: JSONValue] {
        switch self {
        case .welcome(let welcome): return welcome.members
        case .message(let message): return message.members
        case .signal(let person, let content, let timestamp):
            return Self.members("signal", person, timestamp).merging(["content": .string(content)]) { $1 }
        case .join(let person, let timestamp): return Self.members("join", person, timestamp)
        case .leave(let person, let timestamp): return Self.members("leave", person, timestamp)
        case .typing(let person, let timestamp): return Self.members("typing", person, timestamp)
        case .pong: return ["type": .string("pong")]
        case .error(let code, let message):
            return ["type": .string("error"), "code": .string(code), "message": .string(message)]
        }
    }

    fileprivate static func members(_ type: String, _ person: Person, _ timestamp: Int64?) -> [String: JSONValue] {
        var members = person.members
        members["type"] = .string(type)
        members["timestamp"] = timestamp.map { .integer($0) }
        return members
    }
}

extension RoomFrame.Person {
    fileprivate var members: [String: JSONValue] {
        ["userId": .string(self.userID), "username": .string(self.username), "color": .string(self.color)]
    }
}

extension RoomFrame.Message {
    fileprivate var members: [String: JSONValue] {
        var members = RoomFrame.members("message", self.person, self.timestamp)
        members["id"] = self.id.map { .string($0) }
        members["content"] = .string(self.content)
        members["metadata"] = self.metadata ?? .null
        return members
    }
}

extension RoomFrame.Welcome {
    fileprivate var members: [String: JSONValue] {
        var members = self.person?.members ?? [:]
        members["type"] = .string("welcome")
        members["users"] = .array(self.users.map { .object($0.members) })
        members["history"] = .array(self.history.map { .object($0.members) })
        members["cursor"] = self.cursor.map { .string($0) }
        members["resumeToken"] = self.resumeToken.map { .string($0) }
        return members
    }
}
