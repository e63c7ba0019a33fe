/// The hub's part of the configuration.
package struct HubSettings: Sendable {
    /// A stream ends with `rotate` after so long, give or take ``jitter``.
    package var rotateAfter = Duration.seconds(600)
    /// Of rotation and of `retryAfterMs`: a share of the value, so that clients do not return as a herd.
    package var jitter = 0.1
    package var heartbeatEvery = Duration.seconds(15)
    /// Bytes pending and no progress for so long: the stream ends with `slow`.
    package var stallMax = Duration.seconds(5)
    /// How long a finished stream may take to flush its last bytes before its connection is closed.
    package var flushGrace = Duration.seconds(2)
    /// What is kept in memory for readers that are a little behind: 65 536 events of 300 bytes are 20 MB.
    package var recentEventsMax = 65_536
    package var recentBytesMax = 32 * 1024 * 1024
    /// Neither is an event kept there for longer, give or take a heartbeat's interval.
    package var recentKept = Duration.seconds(60)
    /// One write of a reader that catches up; bounds what such a reader holds.
    package var catchUpBytesMax = 128 * 1024
    package var catchUpEventsMax = 500
    package var streamsPerDeviceMax = 8
    package var streamsPerUserMax = 32
    /// `retry:` and `retryAfterMs` of an ordinary end.
    package var retryAfter = Duration.seconds(1)
    /// As above, of an end by `limit`.
    package var retryAfterLimit = Duration.seconds(5)
    /// Streams that end by `drain` are spread over so long.
    package var drainSpread = Duration.seconds(3)

    package init() {}
}
