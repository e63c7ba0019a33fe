import Core
import Foundation
import NIOCore

/// The server under load, looked up once.
struct LoadTarget: Sendable {
    let address: SocketAddress
    /// For `Host`.
    let authority: String
    /// What a proxy's address may have before `/v1`; without a slash at its end.
    private let pathPrefix: String

    /// - parameter url: as ``APIClient`` has checked it.
    /// - throws: ``CommandFailure`` for https, as the load test speaks plain HTTP only, and for an unknown host.
    init(url: String) throws(CommandFailure) {
        guard let parts = URLComponents(string: url), let host = parts.host, parts.scheme == "http" else {
            throw CommandFailure("load-test speaks http:// only: run it beside the server, behind its TLS proxy")
        }
        let port = parts.port ?? 80
        do {
            self.address = try SocketAddress.makeAddressResolvingHost(host.withoutBrackets, port: port)
        } catch {
            throw CommandFailure("there is no host \(host)")
        }
        self.authority = port == 80 ? host : "\(host):\(port)"
        self.pathPrefix = parts.path
    }

    /// The head of a request, with the empty line behind it.
    ///
    /// - parameter fields: more header fields, each a whole line without its end.
    func head(_ method: String, _ path: String, token: String, fields: [String] = []) -> String {
        var lines = ["\(method) \(self.pathPrefix)\(path) HTTP/1.1", "Host: \(self.authority)"]
        lines += ["Authorization: Bearer \(token)", "User-Agent: comblang-load-test"] + fields
        return lines.joined(separator: "\r\n") + "\r\n\r\n"
    }
}
