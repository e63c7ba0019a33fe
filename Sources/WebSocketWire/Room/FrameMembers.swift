package import Core

/// The members of one frame, read with tolerance: what is not asked for is not looked at.
package struct FrameMembers: Hashable, Sendable {
    private let members: [String: JSONValue]

    /// - throws: ``RoomFrameError/invalidJSON``.
    package init(_ text: String) throws(RoomFrameError) {
        guard let value = try? JSON.decode(JSONValue.self, from: text) else { throw .invalidJSON }
        try self.init(value)
    }

    /// - throws: ``RoomFrameError/invalidJSON`` for a value that is no object.
    package init(_ value: JSONValue) throws(RoomFrameError) {
        guard case .object(let members) = value else { throw .invalidJSON }
        self.members = members
    }

    /// A member; `nil` if it is missing or `null`.
    package subscript(_ name: String) -> JSONValue? { self.members[name].flatMap { $0 == .null ? nil : $0 } }

    /// - throws: ``RoomFrameError/invalidMember(_:expected:)``.
    package func string(_ name: String) throws(RoomFrameError) -> String {
        guard let text = self[name]?.stringValue else { throw .invalidMember(name, expected: "must be a string") }
        return text
    }

    /// What somebody else's room calls a thing: a string, or a number as its digits. Cut to
    /// ``Limits/remoteNameCharactersMax``.
    package func identifier(_ name: String) -> String? {
        switch self[name] {
        case .string(let text): Self.cut(text)
        case .integer(let number): String(number)
        default: nil
        }
    }

    /// What somebody is called, cut likewise.
    func name(_ name: String) -> String? { self[name]?.stringValue.map { Self.cut($0) } }

    private static func cut(_ text: String) -> String {
        guard text.utf8.count > Limits.remoteNameCharactersMax else { return text }
        return String(String.UnicodeScalarView(text.unicodeScalars.prefix(Limits.remoteNameCharactersMax)))
    }

    /// A count of milliseconds; a room that keeps fractions of them has them cut.
    package func milliseconds(_ name: String) -> Int64? {
        switch self[name] {
        case .integer(let number): number
        case .number(let number): Int64(exactly: number.rounded(.towardZero))
        default: nil
        }
    }

    /// - throws: ``RoomFrameError/unknownType(_:)``, also for a frame without a type.
    func unknownType() -> RoomFrameError { .unknownType(String((self["type"]?.stringValue ?? "").prefix(64))) }
}
