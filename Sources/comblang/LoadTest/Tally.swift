/// What subscribers saw, counted on their event loop.
struct Tally: Sendable {
    var events = 0
    var bytes = 0
    /// From the moment before a message is posted to the moment its event is read.
    var latency = Histogram()
    /// From the begin of a connection to `stream.ready`, or to a poll's first answer.
    var opening = Histogram()
    /// From the begin of a connection to the last event that was missed.
    var catchUp = Histogram()
    /// Why streams ended or did not open, and how often.
    var endings: [String: Int] = [:]
    /// Resumptions that the server said did not work.
    var lostPositions = 0
    /// Nanoseconds of the monotonic clock; 0 for never.
    var lastEventAt: UInt64 = 0
}

/// What became of the posts (or reads), counted on their event loop.
struct PostTally: Sendable {
    var answered = 0
    /// All that was to be sent was answered with success.
    var isComplete = false
    /// From writing a request to its answer.
    var latency = Histogram()
    /// Status codes other than 2xx, and what became of connections, and how often.
    var errors: [String: Int] = [:]
    /// Posts of which nobody knows whether they took effect.
    var unknown = 0
    /// How far behind its schedule a post was sent.
    var lag = Histogram()
    /// Nanoseconds of the monotonic clock; 0 for never.
    var startedAt: UInt64 = 0
    var lastAnswerAt: UInt64 = 0
}

/// Faults over all subscribers of a finished test.
struct Faults: Sendable, Equatable {
    /// Messages that were posted and did not come, holes included.
    var missing = 0
    /// Of these, messages that a later one of the same publisher overtook.
    var gaps = 0
    var duplicates = 0
    /// Messages behind a later one of the same publisher.
    var disorder = 0
    /// Complete subscribers that saw another order than the first complete one of their room.
    var differingOrders = 0

    /// What no delay excuses.
    var isFaulty: Bool { self.gaps + self.duplicates + self.disorder + self.differingOrders > 0 }
}
