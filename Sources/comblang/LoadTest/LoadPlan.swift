import Core

/// What a load test is to do.
struct LoadPlan: Sendable {
    /// How subscribers read.
    enum Wire: String, CaseIterable, Sendable {
        case sse, ndjson, websocket
        case longPoll = "long-poll"
    }

    /// What is measured.
    enum Mode: String, Sendable {
        /// Subscribers listen while messages are posted.
        case fanout
        /// Subscribers hold their streams; nobody posts.
        case idle
        /// Messages are posted, then all subscribers come at once with the cursor before them.
        case storm
        /// Nobody listens; messages are posted.
        case post
        /// Message pages are read.
        case get
    }

    /// How much is asked of the server: so many requests, or as many as fit into a time.
    enum Amount: Sendable {
        case requests(Int)
        case time(Duration)
    }

    var mode = Mode.fanout
    var wire = Wire.sse
    /// 0 when nobody listens.
    var subscribers = 100
    var rooms = 1
    /// Connections that post (or get), each with one request under way.
    var window = 32
    /// Posts a second over all connections; 0 for as many as the server takes.
    var rate = 0.0
    var amount = Amount.requests(1000)
    /// Posts before those that are measured.
    var warmUp = Amount.requests(20)
    /// Bytes of each message's content.
    var size = 200
    /// In mode `idle`.
    var hold = Duration.seconds(5)
    /// After the messages: all streams are cut, so many are posted to each room, all subscribers come back at once.
    var messagesAway = 0
    /// How long arriving events gather before they are read, so that the client leaves the processors to the server.
    var gather = Duration.zero
    /// Nothing arrived for so long: the rest is given up.
    var patience = Duration.seconds(10)
    /// A server on this machine whose CPU and memory are measured as well.
    var serverProcess: Int32?

    /// Room of a subscriber: blocks, so that few users have to join many rooms.
    func room(ofSubscriber number: Int) -> Int {
        self.subscribers < self.rooms ? number % self.rooms : number * self.rooms / self.subscribers
    }

    /// User of a subscriber; each may have as many streams as the server allows by default.
    func user(ofSubscriber number: Int) -> Int { number / Limits.streamsPerUserMax }

    /// Device label of a subscriber, unique within its user.
    func device(ofSubscriber number: Int) -> String {
        "load-\(number % Limits.streamsPerUserMax / Limits.streamsPerDeviceMax)"
    }

    /// Users that listen.
    var users: Int { (self.subscribers + Limits.streamsPerUserMax - 1) / Limits.streamsPerUserMax }
}
