import Core
import Hub
import NIOCore
import NIOHTTP1

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// What a connection polls for: the request that the router answered last. The next one has the same bytes but for its
/// cursor, and so needs neither parsing nor a look at who asks for what.
final class RepeatedPoll {
    let reader: PollReader
    let limit: Int
    let wait: Duration
    let origin: String?
    fileprivate let token: Substring
    fileprivate let device: String?
    /// The request's bytes up to the value of its `after`, and behind it.
    private let head: [UInt8]
    private let tail: [UInt8]

    /// Whether a request may be a poll that comes again.
    static func mayBe(_ head: HTTPRequestHead) -> Bool { head.method == .GET && head.uri.contains("/events?") }

    /// - parameter bytes: what was read when `request` was.
    /// - returns: `nil` if that is not this request alone, or it has no `after`, or two, or a `Last-Event-ID`.
    init?(_ request: HTTPRequestHead, bytes: ByteBuffer, reader: PollReader, limit: Int, wait: Int) {
        let target = "GET \(request.uri) HTTP/1.1\r\n".utf8
        let marks = ["?after=", "&after="].flatMap { request.uri.ranges(of: $0) }
        guard marks.count == 1, let mark = marks.first, let express = ExpressHead(request), let token = express.token,
            express.lastEventID == nil, express.contentLength ?? 0 == 0
        else { return nil }
        let all = [UInt8](bytes.readableBytesView)
        // The end of the head is that of the bytes, and no other is among them.
        guard all.starts(with: target), all.suffix(4).elementsEqual("\r\n\r\n".utf8),
            String(decoding: all, as: UTF8.self).ranges(of: "\r\n\r\n").count == 1
        else { return nil }
        let start = "GET ".utf8.count + request.uri[..<mark.upperBound].utf8.count
        self.reader = reader
        self.limit = limit
        self.wait = .seconds(wait)
        self.origin = express.origin
        self.token = token
        self.device = express.device
        self.head = Array(all[..<start])
        self.tail = Array(all[start...].drop { $0 != UInt8(ascii: "&") && $0 != UInt8(ascii: " ") })
    }

    /// Where the request polls from, if it is this one again.
    func cursor(in bytes: ByteBuffer) -> Cursor? {
        bytes.withUnsafeReadableBytes { bytes in
            let count = bytes.count - self.head.count - self.tail.count
            guard count > 0, count <= Self.cursorBytesMax, Self.equal(bytes, at: 0, self.head),
                Self.equal(bytes, at: self.head.count + count, self.tail)
            else { return nil }
            let text = UnsafeRawBufferPointer(rebasing: bytes[self.head.count..<(self.head.count + count)])
            return Cursor(String(decoding: text, as: UTF8.self))
        }
    }

    /// As one comparison of memory; the library's, element by element, takes a fifth of a poll.
    private static func equal(_ bytes: UnsafeRawBufferPointer, at offset: Int, _ wanted: [UInt8]) -> Bool {
        guard let start = bytes.baseAddress else { return wanted.isEmpty }
        return wanted.withUnsafeBytes { wanted in
            wanted.baseAddress.map { memcmp(start + offset, $0, wanted.count) == 0 } ?? true
        }
    }

    /// An epoch of 16, a dot and 19 digits.
    private static let cursorBytesMax = 36
}

/// A poll of the express lane: it waits at the hub with the reader that its connection kept.
final class ExpressPoll: ExpressExchange {
    private let poll: RepeatedPoll
    private let cursor: Cursor
    private let lane: ExpressLane
    private let requests: RequestSwitch
    private var rate: RateVerdict?

    init(_ poll: RepeatedPoll, after cursor: Cursor, lane: ExpressLane, requests: RequestSwitch) {
        self.poll = poll
        self.cursor = cursor
        self.lane = lane
        self.requests = requests
    }

    func requestEnded() {
        let authenticator = self.lane.gateway.authenticator
        guard self.lane.isServing, self.poll.wait > .zero,
            let claims = self.requests.credentials.claims(in: self.poll.token, authenticator.tokens),
            let identity = authenticator.knownIdentity(claims, deviceLabel: self.poll.device)
        else { return self.requests.decline() }
        let limiter = self.lane.gateway.limiter
        self.rate = limiter.take(.events, of: .user(identity.user.id))
        guard self.rate?.isAllowed ?? true else { return self.requests.decline() }
        guard
            self.poll.reader.poll(
                after: self.cursor, limit: self.poll.limit, timeout: self.poll.wait, answer: { self.answered($0) })
        else {
            // The router counts it once more.
            limiter.giveBack(.events, of: .user(identity.user.id))
            return self.requests.decline()
        }
        self.lane.gateway.hub.registry.asked(identity.device)
    }

    private func answered(_ result: PollResult) {
        switch result {
        case .events(let page): self.write(page)
        // What ended the wait (a revoked token, a lost room) is told to the next request.
        case .ended(_, let cursor): self.write(PollPage([], cursor: cursor, hasMore: false))
        case .reread: self.requests.decline()
        }
    }

    private func write(_ page: PollPage) {
        self.requests.answer(
            ResponseBytes(page, origin: self.poll.origin, rate: self.rate, gateway: self.lane.gateway).bytes)
    }

    /// The hub drains.
    func shouldEnd() { self.lane.gateway.hub.drain() }
}
