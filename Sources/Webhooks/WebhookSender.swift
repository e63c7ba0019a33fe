import AsyncHTTPClient
package import Core
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix

/// Which addresses events may be posted to, besides those of the public Internet.
package struct WebhookNetworks: Sendable {
    package var allowed: [IPNetwork]

    package init(_ allowed: [IPNetwork] = []) { self.allowed = allowed }

    /// Whether to connect there. Clear text goes only to what an operator has named.
    package func allows(_ address: IPAddress, isEncrypted: Bool) -> Bool {
        self.allowed.contains { $0.contains(address) } || (isEncrypted && address.isPublic)
    }
}

/// Posts events to one receiver, for a turn.
///
/// The name is resolved here and the connection pinned to an address that was looked at: a name that points inside when
/// it is connected to, whatever it said before, is refused. Redirects are not followed, as they would lead past that.
struct WebhookSender: Sendable {
    /// What came back.
    struct Answer: Sendable {
        let status: Int
        let retryAfter: Duration?
    }

    /// Why nothing came back, for the delivery log; for admins, who know the URL.
    struct Failure: Error {
        let text: String
    }

    private static let timeout = TimeAmount.seconds(15)
    private static let connectTimeout = TimeAmount.seconds(5)
    /// Of an answer; its status is all that counts.
    private static let answerBytesMax = 64 * 1024

    private let url: String
    private let client: HTTPClient

    /// Finds out where to connect to; ``close()`` must follow.
    ///
    /// - parameter lookups: threads that may wait for name servers.
    /// - throws: ``Failure``.
    init(to url: String, networks: WebhookNetworks, lookups: NIOThreadPool) async throws(Failure) {
        guard let parts = URLComponents(string: url), let host = parts.host, !host.isEmpty,
            // What is pinned must be what is connected to.
            let target = URL(string: url)?.host, target.withoutBrackets == host.withoutBrackets
        else {
            throw Failure(text: "the URL is none")
        }
        let address = try await Self.address(
            of: host.withoutBrackets, isEncrypted: parts.scheme == "https", networks: networks, lookups: lookups)
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow, timeout: .init(connect: Self.connectTimeout))
        for name in [host, target, host.withoutBrackets] { configuration.dnsOverride[name] = address.description }
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.httpVersion = .http1Only
        self.url = url
        self.client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    func close() async { try? await self.client.shutdown() }

    /// - parameter fields: beside those of HTTP itself.
    /// - throws: ``Failure``.
    func post(_ body: Data, fields: [(String, String)]) async throws(Failure) -> Answer {
        var request = HTTPClientRequest(url: self.url)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        request.headers.add(name: "User-Agent", value: "Comblang-Webhooks/1")
        for (name, value) in fields { request.headers.add(name: name, value: value) }
        request.body = .bytes(ByteBuffer(bytes: body))
        do {
            let deadline = ContinuousClock.now.advanced(by: .nanoseconds(Self.timeout.nanoseconds))
            let response = try await self.client.execute(request, timeout: Self.timeout)
            await Self.read(response.body, until: deadline)
            return Answer(
                status: Int(response.status.code),
                retryAfter: response.headers.first(name: "Retry-After").flatMap { Int64($0) }
                    .map { .seconds(max(0, $0)) })
        } catch {
            throw Failure(text: Self.text(of: error))
        }
    }

    /// Within bounds, so that the receiver sees a client that waits for the end; the status is all that counts. The
    /// client's own deadline ends with the head.
    private static func read(_ body: HTTPClientResponse.Body, until deadline: ContinuousClock.Instant) async {
        await withTaskGroup { group in
            group.addTask { _ = try? await body.collect(upTo: Self.answerBytesMax) }
            group.addTask { try? await Task.sleep(until: deadline) }
            await group.next()
            group.cancelAll()
        }
    }

    /// The first address of a name that may be connected to.
    private static func address(
        of name: String, isEncrypted: Bool, networks: WebhookNetworks, lookups: NIOThreadPool
    ) async throws(Failure) -> IPAddress {
        let found: [IPAddress]
        if let address = IPAddress(name) { found = [address] } else { found = await Self.resolve(name, by: lookups) }
        guard !found.isEmpty else { throw Failure(text: "\(name) has no address") }
        guard let address = found.first(where: { networks.allows($0, isEncrypted: isEncrypted) }) else {
            let text =
                isEncrypted
                ? "\(name) is inside (\(found[0])); allow it by webhookNetworks"
                : "clear text goes only to what webhookNetworks allows: use https"
            throw Failure(text: text)
        }
        return address
    }

    /// By the system, on a thread that may wait; nothing when the task is cancelled before.
    private static func resolve(_ name: String, by lookups: NIOThreadPool) async -> [IPAddress] {
        let (found, continuation) = AsyncStream.makeStream(of: [IPAddress].self)
        lookups.submit { state in
            if state == .active { continuation.yield(Self.addresses(of: name)) }
            continuation.finish()
        }
        return await found.first { _ in true } ?? []
    }

    private static func addresses(of name: String) -> [IPAddress] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var first: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(name, nil, &hints, &first) == 0 else { return [] }
        defer { freeaddrinfo(first) }
        var addresses: [IPAddress] = []
        var next = first
        while let entry = next {
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            if getnameinfo(
                entry.pointee.ai_addr, entry.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
                == 0
            {
                let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
                if let address = IPAddress(String(decoding: bytes, as: UTF8.self)) { addresses.append(address) }
            }
            next = entry.pointee.ai_next
        }
        return addresses
    }

    private static func text(of error: any Error) -> String {
        switch error {
        case let error as HTTPClientError where error == .deadlineExceeded: "no answer within 15 s"
        case let error as HTTPClientError: error.shortDescription
        case let error as IOError: "the connection failed (\(error.errnoCode))"
        case is NIOConnectionError: "nobody listens there"
        default: "the connection failed"
        }
    }
}
