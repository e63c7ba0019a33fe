package import Core

/// What a client of the room protocol says: one text frame each (DESIGN.md, section 5).
package enum ClientFrame: Hashable, Sendable {
    /// `{"type":"message","content":"…","metadata":{…}?}`
    case message(content: String, metadata: JSONValue?)
    /// `{"type":"signal","to":"<userId>","content":"<JSON as a string>"}`; see ``Core/RoomSignal`` for what is in it.
    case signal(to: String, content: String)
    /// `{"type":"typing"}`
    case typing
    /// `{"type":"ping"}`
    case ping

    /// Reads one frame. Members that it does not know are ignored; bounds are for whoever carries it out.
    ///
    /// - throws: ``RoomFrameError``.
    package init(_ text: String) throws(RoomFrameError) {
        let members = try FrameMembers(text)
        switch members["type"]?.stringValue {
        case "message": self = .message(content: try members.string("content"), metadata: members["metadata"])
        case "signal":
            guard let to = members["to"]?.stringValue else {
                throw .invalidMember("to", expected: "must be a user's id")
            }
            self = .signal(to: to, content: try members.string("content"))
        case "typing": self = .typing
        case "ping": self = .ping
        default: throw members.unknownType()
        }
    }

    /// The frame as a client sends it.
    package var text: String {
        switch self {
        case .message(let content, let metadata):
            var members: [String: JSONValue] = ["type": .string("message"), "content": .string(content)]
            members["metadata"] = metadata
            return RoomFrame.text(members)
        case .signal(let to, let content):
            return RoomFrame.text(["type": .string("signal"), "to": .string(to), "content": .string(content)])
        case .typing: return RoomFrame.text(["type": .string("typing")])
        case .ping: return RoomFrame.text(["type": .string("ping")])
        }
    }
}
