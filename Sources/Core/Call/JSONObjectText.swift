/// Text of JSON objects, put together without decoding what is in them.
enum JSONObjectText {
    /// The object with one more member in front.
    ///
    /// - parameter object: `{}` or `{"…":…}`, without blanks around the braces, as ``JSON/text(_:)`` writes it.
    static func adding(_ name: String, _ value: some Identifier, to object: String) -> String {
        self.joining("\"\(name)\":\"\(value.text)\"", object)
    }

    /// One object of the given members and those of `object`.
    ///
    /// - parameter members: at least one, as `"name":value`, separated by commas.
    static func joining(_ members: String, _ object: String) -> String {
        object == "{}" ? "{\(members)}" : "{\(members),\(object.dropFirst())"
    }
}
