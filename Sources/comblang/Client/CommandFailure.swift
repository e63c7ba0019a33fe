/// Why a command ends with exit code 1: one line for the person at the terminal, never a stack trace.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String

    /// - parameter text: a sentence; line ends become spaces, so that it stays one line.
    init(_ text: String) {
        self.description = text.split(whereSeparator: \.isNewline).joined(separator: " ")
    }
}
