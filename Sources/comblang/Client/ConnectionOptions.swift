import ArgumentParser
import Core
import Foundation

/// Where the server is and who asks: shared by every command that is an HTTP client.
struct ConnectionOptions: ParsableArguments {
    @Option(help: "The server's address.")
    var url = "http://127.0.0.1:8080"

    @Option(
        help: ArgumentHelp(
            "Where to find the admin token when COMBLANG_TOKEN is not set. (default: COMBLANG_DATA_DIR or ./data)"))
    var dataDir: String?

    @Option(
        help: ArgumentHelp(
            "A PEM file of the authorities to trust under https, instead of the system's."
                + " (default: COMBLANG_CERTIFICATE_AUTHORITY)", valueName: "file"))
    var certificateAuthority: String?

    /// A client that signs in with `COMBLANG_TOKEN`, else with the admin token of the data directory.
    ///
    /// - throws: ``CommandFailure`` when the URL is none or there is no token.
    func client() throws(CommandFailure) -> APIClient { try self.client(token: try self.token()) }

    /// A client for what needs no credentials.
    ///
    /// - throws: ``CommandFailure`` when the URL is none.
    func anonymousClient() throws(CommandFailure) -> APIClient { try self.client(token: nil) }

    /// A client of whoever has this token.
    ///
    /// - throws: ``CommandFailure`` when the URL is none, or the certificate authority cannot be read.
    func client(token: String?) throws(CommandFailure) -> APIClient {
        try APIClient(
            url: self.url, token: token,
            authority: self.certificateAuthority ?? Self.environment("COMBLANG_CERTIFICATE_AUTHORITY"))
    }

    /// An environment variable; `nil` when it is not set or empty.
    static func environment(_ name: String) -> String? {
        ProcessInfo.processInfo.environment[name].flatMap { $0.isEmpty ? nil : $0 }
    }

    private func token() throws(CommandFailure) -> String {
        if let token = Self.environment("COMBLANG_TOKEN") { return token }
        // The token of the server on this machine is not for others: a mistyped --url must not give it away.
        guard self.dataDir != nil || self.isLoopback else {
            throw CommandFailure("set COMBLANG_TOKEN (or name --data-dir to use its admin token) for \(self.url)")
        }
        let directory = self.dataDir ?? Self.environment("COMBLANG_DATA_DIR") ?? "data"
        let path = directory + "/" + SecretFiles.adminTokenName
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw CommandFailure("set COMBLANG_TOKEN, or run where \(path) can be read (--data-dir)")
        }
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private var isLoopback: Bool {
        guard let host = URLComponents(string: self.url)?.host else { return false }
        return host == "localhost" || host == "[::1]" || host == "::1" || host.hasPrefix("127.")
    }
}

/// `--json`, for commands that print for people otherwise.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Print JSON, one object per line, for scripts.")
    var json = false
}

extension OutputOptions {
    /// Prints items: one JSON object per line, or a table.
    func write(_ items: [JSONValue], as table: ([JSONValue]) -> Table) throws {
        guard self.json else { return try Terminal.write(table(items).text) }
        for item in items { try Terminal.write(item) }
    }
}
