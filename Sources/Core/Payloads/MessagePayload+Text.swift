extension MessagePayload {
    /// The same JSON as by `Encodable`, written by hand: this is the event that a busy room has thousands of.
    package var text: String { self.text(isRedacted: false) }

    /// What stands in the log instead of an earlier version: no content, no metadata, and `"redacted": true`.
    var redactedText: String { self.text(isRedacted: true) }

    private func text(isRedacted: Bool) -> String {
        let (message, user) = (self.message, self.user)
        let content = isRedacted ? "" : message.content
        var json = JSONBytes(capacity: 400 + content.utf8.count + (message.metadata?.utf8.count ?? 0))
        json.write("{\"id\":\"")
        json.write(message.id.text)
        json.write("\",\"room\":\"")
        json.write(message.room.text)
        json.write("\",\"seq\":")
        json.write(String(message.seq))
        json.write(",\"user\":\"")
        json.write(message.user.text)
        json.write("\",\"username\":")
        json.write(string: user.username)
        json.write(",\"displayName\":")
        json.write(string: user.displayName)
        json.write(",\"color\":")
        json.write(string: user.color)
        json.write(",\"content\":")
        json.write(string: content)
        json.write(",\"metadata\":")
        // Stored as our own encoder wrote it: one line, an object.
        json.write(isRedacted ? "null" : message.metadata ?? "null")
        json.write(",\"createdAt\":\"")
        json.write(message.createdAt.rfc3339)
        json.write("\",\"editedAt\":")
        json.write(string: message.editedAt?.rfc3339)
        json.write(",\"deletedAt\":")
        json.write(string: message.deletedAt?.rfc3339)
        json.write(",\"origin\":\"")
        json.write(message.origin.rawValue)
        json.write(isRedacted ? "\",\"redacted\":true}" : "\"}")
        return json.text
    }
}

/// JSON text as it is written: bytes, as appending to a `String` costs twice as much for pieces so small.
private struct JSONBytes {
    private var bytes: [UInt8] = []

    init(capacity: Int) { self.bytes.reserveCapacity(capacity) }

    var text: String { String(decoding: self.bytes, as: UTF8.self) }

    /// Writes JSON as it is.
    mutating func write(_ json: String) {
        // In one copy where the bytes are contiguous, which they are but for strings of Objective-C.
        let isWritten: Void? = json.utf8.withContiguousStorageIfAvailable { self.bytes.append(contentsOf: $0) }
        if isWritten == nil { self.bytes.append(contentsOf: json.utf8) }
    }

    /// Writes a JSON string (RFC 8259: quotes, backslashes and control characters escaped), or `null`.
    mutating func write(string value: String?) {
        guard let value else { return self.write("null") }
        self.bytes.append(UInt8(ascii: "\""))
        let needsEscape = { (bytes: UnsafeBufferPointer<UInt8>) in bytes.contains(where: Self.needsEscape) }
        if value.utf8.withContiguousStorageIfAvailable(needsEscape) ?? true {
            for byte in value.utf8 { self.write(escaped: byte) }
        } else {
            self.write(value)
        }
        self.bytes.append(UInt8(ascii: "\""))
    }

    private static func needsEscape(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
    }

    /// Bytes of longer characters are 0x80 and above, and stay as they are.
    private mutating func write(escaped byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): self.write("\\\"")
        case UInt8(ascii: "\\"): self.write("\\\\")
        case UInt8(ascii: "\n"): self.write("\\n")
        case UInt8(ascii: "\r"): self.write("\\r")
        case UInt8(ascii: "\t"): self.write("\\t")
        case 0..<0x20:
            let digits = Array("0123456789abcdef".utf8)
            self.write("\\u00")
            self.bytes += [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        default: self.bytes.append(byte)
        }
    }
}
