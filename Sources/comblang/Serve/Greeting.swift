import Foundation

/// What `serve` prints when it listens: where, and what to do next, in lines that work when pasted.
struct Greeting {
    let configuration: Configuration
    let port: Int

    /// Best effort: a server whose stdout is closed serves all the same.
    func write() { try? Terminal.write(self.text) }

    var text: String {
        let directory = URL(fileURLWithPath: self.configuration.dataDirectory).path
        let token = "\"Authorization: Bearer $(cat \(Self.quoted(directory + "/" + SecretFiles.adminTokenName)))\""
        let url = "\(self.scheme)://\(Self.authority(self.reachableHost)):\(self.port)"
        return """
            listening on \(self.scheme)://\(Self.authority(self.configuration.host)):\(self.port)
            Data and the admin's token are in \(directory).

            Say something in the room "lobby", as its admin:
              curl -sS \(url)/v1/rooms/lobby/messages -H \(token) -d '{"content":"Hello"}'

            Listen there, from the first event on:
              curl -sSN "\(url)/v1/rooms/lobby/events/stream?after=earliest" -H \(token)

            Sign up a guest:
              curl -sS \(url)/v1/users -d '{"username":"siti"}'
            """
    }

    private var scheme: String { self.configuration.tls == nil ? "http" : "https" }

    /// An address that stands for all of this machine's is none to connect to.
    private var reachableHost: String {
        switch self.configuration.host {
        case "0.0.0.0": "127.0.0.1"
        case "::": "::1"
        case let host: host
        }
    }

    /// IPv6 addresses stand in brackets.
    private static func authority(_ host: String) -> String { host.contains(":") ? "[\(host)]" : host }

    /// As one word for a shell inside double quotes and `$(…)`.
    private static func quoted(_ path: String) -> String {
        "'" + path.replacing("'", with: "'\\''") + "'"
    }
}
