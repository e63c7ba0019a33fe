import Core
import Hub
import NIOCore
import NIOHTTP1

/// What a connection polls for: the request that the router answered last, whose next one differs in its cursor alone.
struct RepeatedPoll {
    let reader: PollReader
    let limit: Int
    let wait: Duration
    let origin: String?
    private let target: PollTarget
    private let headers: HTTPHeaders
    fileprivate let token: Substring
    fileprivate let device: String?

    /// Whether a request may be a poll that comes again.
    static func mayBe(_ head: HTTPRequestHead) -> Bool {
        head.method == .GET && PollTarget(head.uri).map { $0.path.hasSuffix("/events") } ?? false
    }

    /// - returns: `nil` if the request is no poll of this lane.
    init?(_ head: HTTPRequestHead, reader: PollReader, limit: Int, wait: Int) {
        guard let target = PollTarget(head.uri), let express = ExpressHead(head), let token = express.token,
            express.lastEventID == nil
        else { return nil }
        self.reader = reader
        self.limit = limit
        self.wait = .seconds(wait)
        self.origin = express.origin
        self.target = target
        self.headers = head.headers
        self.token = token
        self.device = express.device
    }

    /// Where the request polls from, if it is this poll again.
    func cursor(of head: HTTPRequestHead) -> Cursor? {
        guard head.version == .http1_1, let target = PollTarget(head.uri), target.isSame(as: self.target),
            head.headers.count == self.headers.count,
            zip(head.headers, self.headers).allSatisfy({ $0.name == $1.name && $0.value == $1.value })
        else { return nil }
        return Cursor(target.cursor)
    }
}

/// A poll's request target, taken apart at the value of its `after`.
private struct PollTarget {
    let path: Substring
    /// Up to and with `after=`.
    private let head: Substring
    let cursor: Substring
    private let tail: Substring

    /// `nil` without an `after`, or with two.
    init?(_ uri: String) {
        let parts = uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return nil }
        let fields = parts[1].split(separator: "&", omittingEmptySubsequences: false).filter { $0.hasPrefix("after=") }
        guard fields.count == 1 else { return nil }
        self.path = parts[0]
        self.cursor = fields[0].dropFirst("after=".utf8.count)
        self.head = uri[..<self.cursor.startIndex]
        self.tail = uri[self.cursor.endIndex...]
    }

    func isSame(as other: PollTarget) -> Bool { self.head == other.head && self.tail == other.tail }
}

/// A poll of the express lane: it waits at the hub with the reader that its connection kept.
final class ExpressPoll: ExpressExchange {
    private let poll: RepeatedPoll
    private let cursor: Cursor
    private let lane: ExpressLane
    private let connection: RequestSwitch

    init(_ poll: RepeatedPoll, after cursor: Cursor, lane: ExpressLane, connection: RequestSwitch) {
        self.poll = poll
        self.cursor = cursor
        self.lane = lane
        self.connection = connection
    }

    func contentReceived(_ bytes: ByteBuffer) {}

    func requestEnded() {
        let authenticator = self.lane.gateway.authenticator
        guard self.lane.isServing, self.poll.wait > .zero, let context = self.connection.context,
            let claims = self.connection.credentials.claims(in: self.poll.token, authenticator.tokens),
            authenticator.knownIdentity(claims, deviceLabel: self.poll.device) != nil,
            let reservation = try? self.lane.gateway.hub.reserve(
                self.poll.reader.subscription, on: context.eventLoop),
            self.poll.reader.poll(
                after: self.cursor, limit: self.poll.limit, timeout: self.poll.wait, reservation,
                answer: { self.answered($0) })
        else { return self.connection.decline() }
    }

    private func answered(_ result: PollResult) {
        switch result {
        case .events(let page): self.write(page)
        // What ended the wait (a revoked token, a lost room) is told to the next request.
        case .ended(_, let cursor): self.write(PollPage([], cursor: cursor, hasMore: false))
        case .reread: self.connection.decline()
        }
    }

    private func write(_ page: PollPage) {
        self.connection.answer(ResponseBytes(page, origin: self.poll.origin, gateway: self.lane.gateway).bytes)
    }

    /// The hub drains.
    func shouldEnd() { self.lane.gateway.hub.drain() }
    func connectionClosed() {}
}
