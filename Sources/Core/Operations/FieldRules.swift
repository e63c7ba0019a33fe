/// What text from clients must look like; each rule answers 422 with the field named. "Characters" are Unicode scalars.
enum FieldRules {
    /// Clients take `..` in a path for the folder above.
    static func username(_ text: String, field: String = "username") throws(Problem) {
        guard User.isValid(username: text), text != ".." else {
            throw .invalid(field, "must be 2 to 32 of a-z 0-9 _ . - and not ..")
        }
    }

    static func displayName(_ text: String, field: String = "displayName") throws(Problem) {
        try self.line(text, field: field, charactersMax: Limits.displayNameCharactersMax)
    }

    static func color(_ text: String) throws(Problem) {
        guard User.isValid(color: text) else { throw .invalid("color", "must be #rrggbb") }
    }

    /// As a username; what reads as a room's id would shadow that room in a path.
    static func roomName(_ text: String) throws(Problem) {
        try self.username(text, field: "name")
        guard RoomID(text) == nil else { throw .invalid("name", "must not look like a room's id") }
    }

    static func roomTitle(_ text: String) throws(Problem) {
        try self.line(text, field: "title", charactersMax: Limits.roomTitleCharactersMax)
    }

    static func apiKeyName(_ text: String) throws(Problem) {
        try self.line(text, field: "name", charactersMax: Limits.apiKeyNameCharactersMax)
    }

    static func inviteNote(_ text: String) throws(Problem) {
        try self.line(text, field: "note", charactersMax: Limits.inviteNoteCharactersMax)
    }

    static func webhookDescription(_ text: String) throws(Problem) {
        try self.line(text, field: "description", charactersMax: Limits.webhookDescriptionCharactersMax)
    }

    static func messageContent(_ text: String) throws(Problem) {
        guard (1...Limits.messageCharactersMax).contains(text.unicodeScalars.count) else {
            throw .invalid("content", "must have 1 to \(Limits.messageCharactersMax) characters")
        }
        guard !text.utf8.contains(0) else { throw .invalid("content", "must not contain NUL") }
    }

    /// Whether a character may stand in one line among others: no controls, nothing that ends a line, and nothing that
    /// reverses what is shown beside it (Unicode's explicit bidirectional formatting, UAX 9).
    static func mayStandInLine(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x2028...0x202E, 0x2066...0x2069: false
        default: scalar.properties.generalCategory != .control
        }
    }

    /// U+FEFF is a blank too: as ECMAScript has it, by whose rules the contract's patterns are read.
    private static func isBlank(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.isWhitespace || scalar == "\u{FEFF}"
    }

    /// One line that shows something.
    private static func line(_ text: String, field: String, charactersMax: Int) throws(Problem) {
        let scalars = text.unicodeScalars
        guard (1...charactersMax).contains(scalars.count), scalars.contains(where: { !self.isBlank($0) }) else {
            throw .invalid(field, "must have 1 to \(charactersMax) characters and not be blank")
        }
        guard scalars.allSatisfy(self.mayStandInLine) else {
            throw .invalid(field, "must not contain control characters, line separators or bidirectional controls")
        }
    }
}
