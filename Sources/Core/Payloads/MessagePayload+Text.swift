extension MessagePayload {
    /// The same JSON as by `Encodable`, written by hand: this is the event that a busy room has thousands of.
    package var text: String { self.text(isRedacted: false) }

    /// What stands in the log instead of an earlier version: no content, no metadata, and `"redacted": true`.
    var redactedText: String { self.text(isRedacted: true) }

    private func text(isRedacted: Bool) -> String {
        var text = ""
        text.reserveCapacity(360 + (isRedacted ? 0 : self.message.content.utf8.count))
        text += "{\"id\":\""
        text += self.message.id.text
        text += "\",\"room\":\""
        text += self.message.room.text
        text += "\",\"seq\":"
        text += String(self.message.seq)
        text += ",\"user\":\""
        text += self.message.user.text
        text += "\",\"username\":"
        text.append(json: self.user.username)
        text += ",\"displayName\":"
        text.append(json: self.user.displayName)
        text += ",\"color\":"
        text.append(json: self.user.color)
        text += ",\"content\":"
        text.append(json: isRedacted ? "" : self.message.content)
        text += ",\"metadata\":"
        // Stored as our own encoder wrote it: one line, an object.
        text += isRedacted ? "null" : self.message.metadata ?? "null"
        text += ",\"createdAt\":\""
        text += self.message.createdAt.rfc3339
        text += "\",\"editedAt\":"
        text.append(json: self.message.editedAt?.rfc3339)
        text += ",\"deletedAt\":"
        text.append(json: self.message.deletedAt?.rfc3339)
        text += ",\"origin\":\""
        text += self.message.origin.rawValue
        text += isRedacted ? "\",\"redacted\":true}" : "\"}"
        return text
    }
}

extension String {
    /// Appends a JSON string (RFC 8259: quotes, backslashes and control characters escaped), or `null`.
    mutating func append(json value: String?) {
        guard let value else {
            self += "null"
            return
        }
        self += "\""
        // In contiguous bytes, which is how all but strings of Objective-C are.
        let needsEscape = { (bytes: UnsafeBufferPointer<UInt8>) in bytes.contains(where: Self.needsEscape) }
        if value.utf8.withContiguousStorageIfAvailable(needsEscape) ?? true {
            for scalar in value.unicodeScalars { self.append(escaped: scalar) }
        } else {
            self += value
        }
        self += "\""
    }

    private static func needsEscape(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
    }

    private mutating func append(escaped scalar: UnicodeScalar) {
        switch scalar {
        case "\"": self += "\\\""
        case "\\": self += "\\\\"
        case "\n": self += "\\n"
        case "\r": self += "\\r"
        case "\t": self += "\\t"
        case "\u{0}"..."\u{1F}":
            let digits = Array("0123456789abcdef")
            self += "\\u00"
            self.append(digits[Int(scalar.value >> 4)])
            self.append(digits[Int(scalar.value & 15)])
        default: self.unicodeScalars.append(scalar)
        }
    }
}
