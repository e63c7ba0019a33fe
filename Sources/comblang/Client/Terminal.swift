import Core
import Foundation

/// What the commands read from and write to the terminal: results to stdout, remarks to stderr.
enum Terminal {
    /// Writes whole lines to stdout before it returns: what was printed may be counted as delivered.
    ///
    /// - throws: ``CommandFailure`` when stdout is closed or full.
    static func write(_ lines: String) throws(CommandFailure) {
        try self.write(Data((lines + "\n").utf8))
    }

    /// As ``write(_:)-(String)``, as bytes, which include the line ends.
    static func write(_ data: Data) throws(CommandFailure) {
        do {
            try FileHandle.standardOutput.write(contentsOf: data)
        } catch {
            throw CommandFailure("standard output is closed")
        }
    }

    /// A remark on stderr. Best effort: there is nobody left to tell when stderr is closed.
    static func note(_ text: String) {
        try? FileHandle.standardError.write(contentsOf: Data("comblang: \(text)\n".utf8))
    }

    /// One JSON value as one line; keys sorted, so that scripts can compare.
    static func write(_ value: JSONValue) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        try self.write(try encoder.encode(value) + Data("\n".utf8))
    }

    /// Reads a password: without echo from a terminal, else the first line of stdin.
    ///
    /// - throws: ``CommandFailure`` when there is none.
    static func readPassword(_ prompt: String = "Password", canBeEmpty: Bool = false) throws(CommandFailure) -> String {
        let isTerminal = isatty(STDIN_FILENO) == 1
        var saved = termios()
        if isTerminal {
            try? FileHandle.standardError.write(contentsOf: Data("\(prompt): ".utf8))
            tcgetattr(STDIN_FILENO, &saved)
            var silent = saved
            silent.c_lflag &= ~tcflag_t(ECHO)
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent)
        }
        defer {
            if isTerminal {
                tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved)
                try? FileHandle.standardError.write(contentsOf: Data("\n".utf8))
            }
        }
        guard let line = readLine(strippingNewline: true), canBeEmpty || !line.isEmpty else {
            throw CommandFailure("a password is needed on standard input")
        }
        return line
    }
}
