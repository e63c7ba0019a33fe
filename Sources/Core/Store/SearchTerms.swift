/// What a full-text search asks for. Any text is a valid search; one without words finds nothing.
package struct SearchTerms: Hashable, Sendable {
    /// Runs of letters, digits and the marks on them, as typed; all must occur.
    package let words: [String]
    /// Whether the last word stands for all words that begin with it: the text ended with `*`.
    package let lastIsPrefix: Bool

    package init(_ text: String) {
        self.words = text.unicodeScalars.split { !Self.isWordScalar($0) }.map { String(String.UnicodeScalarView($0)) }
        self.lastIsPrefix = text.unicodeScalars.last { !$0.properties.isWhitespace } == "*"
    }

    private static func isWordScalar(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber,
            .letterNumber, .otherNumber, .nonspacingMark, .spacingMark, .enclosingMark, .privateUse:
            true
        default: false
        }
    }
}
