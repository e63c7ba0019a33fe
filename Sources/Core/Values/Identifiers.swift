/// A prefixed, sortable, opaque identifier: `usr_01JD…`. The text after the prefix is a ULID (26 Crockford base32
/// characters), so that identifiers made later sort later.
package protocol Identifier: Hashable, Comparable, Codable, Sendable, CustomStringConvertible {
    /// The text before the ULID, with its underscore: `usr_`.
    static var prefix: String { get }
    /// The whole text, prefix included.
    var text: String { get }
    /// Takes a text that is known to be well-formed (from the database or ``IDSource``).
    init(known text: String)
}

extension Identifier {
    /// Reads an identifier that came from outside.
    ///
    /// Returns `nil` unless the text is the prefix followed by 26 characters of Crockford's base32 alphabet.
    package init?(_ text: some StringProtocol) {
        guard text.hasPrefix(Self.prefix) else { return nil }
        let ulid = text.utf8.dropFirst(Self.prefix.utf8.count)
        guard ulid.count == ULID.characterCount, ulid.allSatisfy(ULID.isAlphabetByte) else { return nil }
        self.init(known: String(text))
    }

    package init(_ ulid: ULID) { self.init(known: Self.prefix + ulid.text) }

    /// Before all that are made at `time` or later, behind all that were made earlier.
    package static func first(at time: Timestamp) -> Self { Self(ULID(at: time, random: 0)) }

    package var description: String { self.text }

    package static func < (left: Self, right: Self) -> Bool { left.text < right.text }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let identifier = Self(text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "is not a \(Self.prefix)… identifier")
        }
        self = identifier
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(self.text)
    }
}

/// Names a user: `usr_…`.
package struct UserID: Identifier {
    package static let prefix = "usr_"
    package let text: String
    package init(known text: String) { self.text = text }
}

/// Names a room: `room_…`.
package struct RoomID: Identifier {
    package static let prefix = "room_"
    package let text: String
    package init(known text: String) { self.text = text }
}

/// Names a message: `msg_…`.
package struct MessageID: Identifier {
    package static let prefix = "msg_"
    package let text: String
    package init(known text: String) { self.text = text }
}

/// Names a call: `call_…`.
package struct CallID: Identifier {
    package static let prefix = "call_"
    package let text: String
    package init(known text: String) { self.text = text }
}

/// Names a signal: `sig_…`.
package struct SignalID: Identifier {
    package static let prefix = "sig_"
    package let text: String
    package init(known text: String) { self.text = text }
}

/// One joining of a call by a device; see ``Leg``.
package struct LegID: Identifier {
    package static let prefix = "leg_"
    package let text: String
    package init(known text: String) { self.text = text }
}

/// A token family: the `sid` claim, kept by every rotation of its refresh token.
package struct SessionID: Identifier {
    package static let prefix = "ses_"
    package let text: String
    package init(known text: String) { self.text = text }
}

/// Names an entry of the audit log: `aud_…`.
package struct AuditEntryID: Identifier {
    package static let prefix = "aud_"
    package let text: String
    package init(known text: String) { self.text = text }
}

/// Names a backup: `bak_…`.
package struct BackupID: Identifier {
    package static let prefix = "bak_"
    package let text: String
    package init(known text: String) { self.text = text }
}

/// A device: a session and, optionally, what the client calls itself, `ses_01JD…` or `ses_01JD….tab-2`.
///
/// Two tabs or two scripts of one token are two devices when they say so.
package struct DeviceID: Hashable, Comparable, Codable, Sendable, CustomStringConvertible {
    package let text: String

    /// Takes a text that is known to be well-formed.
    package init(known text: String) { self.text = text }

    /// `label` must have passed ``isValid(label:)``.
    package init(session: SessionID, label: String?) {
        self.text = label.map { "\(session.text).\($0)" } ?? session.text
    }

    /// The session of this device.
    package var session: SessionID {
        SessionID(known: String(self.text.prefix { $0 != "." }))
    }

    /// `[A-Za-z0-9_-]{1,64}`.
    package static func isValid(label: String) -> Bool {
        (1...Limits.deviceLabelCharactersMax).contains(label.utf8.count)
            && label.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }

    package var description: String { self.text }
    package static func < (left: Self, right: Self) -> Bool { left.text < right.text }
    package init(from decoder: any Decoder) throws {
        self.text = try decoder.singleValueContainer().decode(String.self)
    }
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(self.text)
    }
}
