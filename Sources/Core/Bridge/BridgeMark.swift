/// What a message carries from server to server in its metadata: `"_comblang": {"id": "msg_…", "via": ["…"]}`.
///
/// `id` is the same in all rooms that are bridged to one another; `via` lists the servers that it went through. By
/// either one a server knows a message that comes back to it, so that rings of bridges do not multiply.
package struct BridgeMark: Hashable, Sendable {
    package static let member = "_comblang"
    private static let idCharactersMax = 64

    package let id: String
    package let via: [String]

    package init(id: String, via: [String]) {
        self.id = id
        self.via = via
    }

    /// The mark in a message's metadata; `nil` if there is none, or none that any server would write.
    package init?(in metadata: JSONValue?) {
        guard let mark = metadata?[Self.member], let id = mark["id"]?.stringValue,
            (1...Self.idCharactersMax).contains(id.utf8.count), case .array(let stations)? = mark["via"]
        else { return nil }
        let via = stations.compactMap { $0.stringValue }
        guard via.count == stations.count, via.allSatisfy({ $0.utf8.count <= Self.idCharactersMax }) else { return nil }
        self.init(id: id, via: via)
    }

    /// Whether it has gone so far that it must stop: no honest ring is so long.
    package var isSpent: Bool { self.via.count >= Limits.bridgeStationsMax }

    /// As it leaves this server.
    package func passing(_ instance: String) -> BridgeMark {
        BridgeMark(id: self.id, via: self.via.contains(instance) ? self.via : self.via + [instance])
    }

    package var json: JSONValue {
        .object(["id": .string(self.id), "via": .array(self.via.map(JSONValue.string))])
    }
}

extension JSONValue {
    /// Without a mark, and otherwise as it is.
    package var unmarked: JSONValue {
        guard case .object(var members) = self else { return self }
        members[BridgeMark.member] = nil
        return .object(members)
    }
}

extension JSONValue? {
    /// The metadata with this mark; what is no object becomes one.
    package func marked(_ mark: BridgeMark) -> JSONValue {
        guard case .object(var members)? = self else { return .object([BridgeMark.member: mark.json]) }
        members[BridgeMark.member] = mark.json
        return .object(members)
    }
}
