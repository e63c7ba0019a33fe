import Foundation

/// Where `tail` remembers how far it got, so that the next run goes on from there. One line of text.
struct CursorFile {
    let path: String

    /// The remembered cursor; `nil` for none.
    ///
    /// - throws: ``CommandFailure`` when the file exists but cannot be read.
    func load() throws(CommandFailure) -> String? {
        guard FileManager.default.fileExists(atPath: self.path) else { return nil }
        guard let text = try? String(contentsOfFile: self.path, encoding: .utf8) else {
            throw CommandFailure("cannot read \(self.path)")
        }
        let cursor = text.trimmingCharacters(in: .whitespacesAndNewlines)
        return cursor.isEmpty ? nil : cursor
    }

    /// Replaces the file whole: a crash leaves the old or the new cursor.
    ///
    /// - throws: ``CommandFailure`` when it cannot be written.
    func save(_ cursor: String) throws(CommandFailure) {
        do {
            try Data((cursor + "\n").utf8).write(to: URL(fileURLWithPath: self.path), options: .atomic)
        } catch {
            throw CommandFailure("cannot write \(self.path)")
        }
    }
}
