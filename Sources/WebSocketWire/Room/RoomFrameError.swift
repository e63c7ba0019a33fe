/// Why a text is no frame of the room protocol. The socket stays open: its sender is told.
package enum RoomFrameError: Error, Hashable, Sendable {
    /// Not JSON, or not an object.
    case invalidJSON
    /// A `type` that this direction does not have; what it says, cut to 64 characters, is for the message only.
    case unknownType(String)
    /// A member that is missing, or of another shape than `expected` says: `must be a string`.
    case invalidMember(String, expected: String)

    /// The `code` of the `error` frame that tells of it.
    package var code: String {
        switch self {
        case .invalidJSON: "invalid-json"
        case .unknownType: "unknown-type"
        case .invalidMember: "validation-failed"
        }
    }

    /// The `message` of the `error` frame that tells of it.
    package var message: String {
        switch self {
        case .invalidJSON: "a frame is a JSON object"
        case .unknownType(""): "a frame has a type"
        case .unknownType(let type): "there is no frame of type \(type)"
        case .invalidMember(let name, let expected): "\(name) \(expected)"
        }
    }
}
