import AsyncHTTPClient
import Core
import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// The commands' way to a server: JSON requests with a token; problems become one-line failures.
struct APIClient: Sendable {
    /// An answer of status 2xx.
    struct Answer {
        let status: Int
        /// `.null` for an empty body.
        let body: JSONValue
    }

    /// Without a slash at its end.
    let baseURL: String
    let token: String?
    /// What is trusted instead of the system's authorities.
    private let authority: [NIOSSLCertificate]?

    private static let requestTimeout = TimeAmount.seconds(30)
    static let answerBytesMax = 16 * 1024 * 1024

    /// A server that is not there is told of at once: whoever tries again decides so by themselves.
    var configuration: HTTPClient.Configuration {
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow, timeout: HTTPClient.Configuration.Timeout(connect: .seconds(10)))
        configuration.connectionPool.retryConnectionEstablishment = false
        if let authority {
            var tls = TLSConfiguration.makeClientConfiguration()
            tls.trustRoots = .certificates(authority)
            configuration.tlsConfiguration = tls
        }
        return configuration
    }

    /// - parameter authority: the path of a PEM file, of the only authorities to trust; the system's if `nil`.
    /// - throws: ``CommandFailure`` unless `url` is an http or https address and the file can be read.
    init(url: String, token: String?, authority: String? = nil) throws(CommandFailure) {
        guard let parts = URLComponents(string: url), parts.scheme == "http" || parts.scheme == "https",
            parts.host?.isEmpty == false
        else {
            throw CommandFailure("--url must be like http://127.0.0.1:8080, not \(url)")
        }
        self.baseURL = String(url.reversed().drop { $0 == "/" }.reversed())
        self.token = token
        self.authority = try authority.map { path throws(CommandFailure) in
            guard let certificates = try? NIOSSLCertificate.fromPEMFile(path), !certificates.isEmpty else {
                throw CommandFailure("--certificate-authority: \(path) is no PEM file of certificates")
            }
            return certificates
        }
    }

    /// The same server, for somebody else.
    init(_ other: APIClient, token: String?) {
        (self.baseURL, self.token, self.authority) = (other.baseURL, token, other.authority)
    }

    /// - parameters:
    ///   - path: from `/v1` on; segments already escaped (``escape(_:)``).
    ///   - query: members of value `nil` are left out.
    /// - throws: ``CommandFailure`` for a problem, for an answer that is no JSON, and when the server is not reached.
    func send(
        _ method: HTTPMethod, _ path: String, query: [(name: String, value: String?)] = [], body: JSONValue? = nil,
        idempotencyKey: String? = nil
    ) async throws(CommandFailure) -> Answer {
        do {
            var request = self.request(method, path, query: query)
            if let body {
                request.headers.replaceOrAdd(name: "Content-Type", value: "application/json")
                request.body = .bytes(ByteBuffer(bytes: try JSON.encode(body)))
            }
            if let idempotencyKey { request.headers.add(name: "Idempotency-Key", value: idempotencyKey) }
            var configuration = self.configuration
            // The request's own timeout ends with the answer's head.
            configuration.timeout.read = Self.requestTimeout
            let (status, data) = try await HTTPClient.withHTTPClient(configuration: configuration) { http in
                let response = try await http.execute(request, timeout: Self.requestTimeout)
                let bytes = try await response.body.collect(upTo: Self.answerBytesMax)
                return (Int(response.status.code), Data(bytes.readableBytesView))
            }
            guard (200..<300).contains(status) else { throw Self.failure(status: status, body: data) }
            return Answer(
                status: status, body: data.isEmpty ? .null : try JSONDecoder().decode(JSONValue.self, from: data))
        } catch let failure as CommandFailure {
            throw failure
        } catch is DecodingError {
            throw self.strangeAnswer
        } catch {
            throw self.unreachable(error)
        }
    }

    /// All items of a list, page by page.
    ///
    /// - parameter position: the parameter that takes a page's `next`: `before` where the newest come first.
    /// - throws: as ``send(_:_:query:body:idempotencyKey:)``.
    func list(
        _ path: String, query: [(name: String, value: String?)] = [], position: String = "after"
    ) async throws(CommandFailure) -> [JSONValue] {
        var items: [JSONValue] = []
        var after: String?
        repeat {
            let start = [
                (name: "limit", value: String?(String(Limits.pageItemsMax))), (name: position, value: after),
            ]
            let page = try await self.send(.GET, path, query: query + start).body
            guard case .array(let found)? = page["items"] else {
                throw self.strangeAnswer
            }
            items += found
            let next = page["next"]?.stringValue
            // A server that names the same page again would keep us here for ever.
            guard next != after else { break }
            after = next
        } while after != nil
        return items
    }

    /// A request whose answer is read as it comes.
    func request(
        _ method: HTTPMethod, _ path: String, query: [(name: String, value: String?)] = []
    ) -> HTTPClientRequest {
        let pairs = query.compactMap { name, value in value.map { "\(name)=\(Self.escape($0))" } }
        var request = HTTPClientRequest(
            url: self.baseURL + path + (pairs.isEmpty ? "" : "?" + pairs.joined(separator: "&")))
        request.method = method
        request.headers.add(name: "User-Agent", value: "comblang-cli")
        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        return request
    }

    /// One path segment or query value.
    static func escape(_ text: String) -> String {
        var allowed = CharacterSet.alphanumerics.intersection(CharacterSet(charactersIn: "\0"..."\u{7F}"))
        allowed.insert(charactersIn: "-._~@,*:")
        return text.addingPercentEncoding(withAllowedCharacters: allowed) ?? text
    }

    /// The one line for an answer that is no success: the problem's title and detail, the fields that are wrong.
    static func failure(status: Int, body: Data) -> CommandFailure {
        guard let problem = try? JSONDecoder().decode(JSONValue.self, from: body),
            let title = problem["title"]?.stringValue
        else {
            return CommandFailure("the server answered with status \(status)")
        }
        let detail = problem["detail"]?.stringValue.map { ": \($0)" } ?? ""
        return CommandFailure(Table.printable("\(title)\(detail) (\(status))"))
    }

    /// The one line for an answer that is none of ours.
    var strangeAnswer: CommandFailure { CommandFailure("\(self.baseURL) does not answer like a Comblang server") }

    /// The one line for a server that cannot be reached; the library's own words go no further.
    func unreachable(_ error: any Error) -> CommandFailure {
        let reason =
            switch error {
            case is NIOConnectionError: "no server listens there"
            case let error as NIOSSLError: Self.reason(error)
            case is NIOSSLExtraError: "its certificate is for another name"
            case let error as HTTPClientError: error.shortDescription
            case let error as IOError: error.errnoCode == ECONNREFUSED ? "no server listens there" : "connection lost"
            default: "connection lost"
            }
        return CommandFailure("cannot reach \(self.baseURL): \(reason)")
    }

    private static func reason(_ error: NIOSSLError) -> String {
        // BoringSSL's words, as the library gives no case for it.
        guard "\(error)".contains("CERTIFICATE_VERIFY_FAILED") else { return "it does not speak TLS there" }
        return "its certificate is not trusted; --certificate-authority names another authority"
    }
}
