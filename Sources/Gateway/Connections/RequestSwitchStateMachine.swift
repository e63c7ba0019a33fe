/// Who answers what comes on one HTTP/1.1 connection: the express lane, or the router with all of Hummingbird.
///
/// A request is the express lane's only while nothing else is under way, so answers keep the order of requests.
package struct RequestSwitchStateMachine: Sendable {
    private enum State: Hashable, Sendable {
        /// Everything that was asked is answered.
        case idle
        /// So many requests are the router's and not answered to the end.
        case routed(Int)
        /// The express lane reads a request.
        case reading
        /// The express lane answers.
        case answering
        case closed
    }

    private var state = State.idle
    /// A head came and its end did not.
    private var isWithinRequest = false
    /// No request is taken after those that were begun.
    private var isQuiescing = false
    /// So many answers of the router come before that to the connection's last request; `nil` as long as that has not
    /// come.
    private var answersBeforeLast: Int?
    /// Something came behind the last request.
    private var isBehindLast = false
    /// The router's newest request has its body asked for once the answers before its own are written.
    private var owesContinue = false

    package init() {}

    /// Where a part goes.
    package enum Part: Hashable, Sendable {
        case toRouter
        case toExpress
        /// Behind the answer that is under way.
        case hold
        case drop
    }

    /// What follows an answer.
    package enum Next: Hashable, Sendable {
        case nothing
        /// Ask for the body of the request that is answered next: ``continueExpected()``.
        case askForContent
        /// The parts that were held, and more.
        case read
        case close
    }

    /// Whether a head that comes now may be the express lane's.
    package var mayTakeExpress: Bool {
        self.state == .idle && !self.isWithinRequest && !self.isQuiescing && self.answersBeforeLast == nil
    }

    /// Whether the router's next answer is the connection's last.
    package var isAnsweringLast: Bool { self.answersBeforeLast == 0 }

    /// Whether the connection waits for its client and not for us; then the idle timeout runs.
    package var awaitsClient: Bool {
        switch self.state {
        case .idle, .reading: true
        case .routed: self.isWithinRequest
        case .answering, .closed: false
        }
    }

    /// - parameter isLast: the connection ends with its answer; such a request is the router's.
    package mutating func headReceived(isExpress: Bool, isLast: Bool = false) -> Part {
        if self.answersBeforeLast != nil {
            self.isBehindLast = true
            return .drop
        }
        switch self.state {
        case .idle where isExpress && self.mayTakeExpress:
            self.state = .reading
            self.isWithinRequest = true
            return .toExpress
        case .idle:
            self.route(behind: 0, isLast: isLast)
            return .toRouter
        case .routed(let count):
            self.route(behind: count, isLast: isLast)
            return .toRouter
        case .reading, .answering:
            return .hold
        case .closed:
            return .drop
        }
    }

    private mutating func route(behind count: Int, isLast: Bool) {
        self.state = .routed(count + 1)
        self.isWithinRequest = true
        if isLast { self.answersBeforeLast = count }
    }

    /// The client of the router's request whose head just came sends its body when it is asked for, or tired of waiting
    /// (`Expect: 100-continue`, RFC 9110, 10.1.1).
    ///
    /// - returns: whether to ask at once; else ``routerAnswered()`` says when, as answers keep the order of requests.
    package mutating func continueExpected() -> Bool {
        guard self.isWithinRequest, case .routed(let count) = self.state else { return false }
        self.owesContinue = count > 1
        return count == 1
    }

    /// - parameter isEnd: the request's last part, not a piece of its body.
    package mutating func contentReceived(isEnd: Bool) -> Part {
        if self.isBehindLast { return .drop }
        switch self.state {
        case .idle, .routed:
            // Who sends it need not be asked for it any more.
            self.owesContinue = false
            // Also what comes behind an answer that was given early.
            if isEnd { self.isWithinRequest = false }
            return .toRouter
        case .reading:
            if isEnd {
                self.state = .answering
                self.isWithinRequest = false
            }
            return .toExpress
        case .answering:
            return .hold
        case .closed:
            return .drop
        }
    }

    /// A request came, in one piece, that is the connection's last poll again.
    package mutating func repeatedPollReceived() { self.state = .answering }

    /// Nothing of that poll has been answered: it comes once more, as parts.
    ///
    /// - returns: whether somebody is there to take it.
    package mutating func repeatedPollDeclined() -> Bool {
        guard self.state == .answering else { return false }
        self.state = .idle
        return true
    }

    /// The express lane leaves its request to the router after all.
    ///
    /// - returns: whether the router is to get it.
    package mutating func expressDeclined() -> Bool {
        switch self.state {
        case .reading, .answering:
            self.state = .routed(1)
            return true
        case .idle, .routed, .closed:
            return false
        }
    }

    /// The express lane has answered to the end.
    package mutating func expressAnswered() -> Next {
        switch self.state {
        case .reading, .answering:
            self.state = .idle
            self.isWithinRequest = false
            return self.isQuiescing ? .close : .read
        case .idle, .routed, .closed:
            return .nothing
        }
    }

    /// The router has answered one request to the end.
    package mutating func routerAnswered() -> Next {
        guard case .routed(let count) = self.state else { return .nothing }
        if let before = self.answersBeforeLast, before > 0 { self.answersBeforeLast = before - 1 }
        guard count == 1 else {
            self.state = .routed(count - 1)
            guard count == 2, self.owesContinue else { return .nothing }
            self.owesContinue = false
            return .askForContent
        }
        self.state = .idle
        return self.isQuiescing ? .close : .nothing
    }

    /// The server stops, or the client has said that it asks for nothing more.
    ///
    /// - returns: whether the connection is to be closed at once.
    package mutating func quiesced() -> Bool {
        self.isQuiescing = true
        return self.state == .idle && !self.isWithinRequest
    }

    package mutating func closed() { self.state = .closed }
}
