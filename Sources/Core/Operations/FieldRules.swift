/// What text from clients must look like; each rule answers 422 with the field named. "Characters" are Unicode scalars.
enum FieldRules {
    static func username(_ text: String, field: String = "username") throws(Problem) {
        guard User.isValid(username: text) else {
            throw .invalid(field, "must be 2 to 32 of a-z 0-9 _ . -")
        }
    }

    static func displayName(_ text: String) throws(Problem) {
        try self.line(text, field: "displayName", charactersMax: Limits.displayNameCharactersMax)
        guard text.unicodeScalars.contains(where: { !$0.properties.isWhitespace }) else {
            throw .invalid("displayName", "must not be blank")
        }
    }

    static func color(_ text: String) throws(Problem) {
        guard User.isValid(color: text) else { throw .invalid("color", "must be #rrggbb") }
    }

    /// As a username; what reads as a room's id would shadow that room in a path.
    static func roomName(_ text: String) throws(Problem) {
        try self.username(text, field: "name")
        guard RoomID(text) == nil else { throw .invalid("name", "must not look like a room's id") }
    }

    /// May be empty.
    static func roomTitle(_ text: String) throws(Problem) {
        try self.line(text, field: "title", charactersMax: Limits.roomTitleCharactersMax)
    }

    static func messageContent(_ text: String) throws(Problem) {
        guard (1...Limits.messageCharactersMax).contains(text.unicodeScalars.count) else {
            throw .invalid("content", "must have 1 to \(Limits.messageCharactersMax) characters")
        }
        guard !text.utf8.contains(0) else { throw .invalid("content", "must not contain NUL") }
    }

    /// One line: no control characters.
    private static func line(_ text: String, field: String, charactersMax: Int) throws(Problem) {
        guard text.unicodeScalars.count <= charactersMax else {
            throw .invalid(field, "must have at most \(charactersMax) characters")
        }
        guard !text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else {
            throw .invalid(field, "must not contain control characters")
        }
    }
}
