package import Foundation

/// A fresh directory that vanishes with this value.
package final class TemporaryDirectory: Sendable {
    package let url: URL
    package var path: String { self.url.path }

    /// - throws: what the file system says.
    package init() throws {
        self.url = FileManager.default.temporaryDirectory
            .appendingPathComponent("comblang-test-\(UUID().uuidString)", isDirectory: true)
        try FileManager.default.createDirectory(at: self.url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: self.url) }
}
