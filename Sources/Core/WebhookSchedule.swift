/// What follows an attempt to deliver: the next event, another attempt, or the end. A value; the driver stores it.
package struct WebhookSchedule: Sendable {
    /// What came of an attempt.
    package enum Outcome: Hashable, Sendable {
        case delivered
        /// 410: whoever was there wants nothing any more.
        case gone
        /// - parameter retryAfter: as the receiver asked.
        case failed(String, retryAfter: Duration?)
    }

    private static let delayMin = Duration.seconds(5)
    private static let delayMax = Duration.seconds(15 * 60)
    private static let doublingsMax = 10

    /// The webhook as it is after an attempt for the event at `seq`.
    ///
    /// - parameter jitter: 0…1, so that receivers are not asked by all senders at once.
    package static func next(
        _ webhook: Webhook, seq: Int64, _ outcome: Outcome, jitter: Double, now: Timestamp
    ) -> Webhook {
        var next = webhook
        switch outcome {
        case .delivered:
            next.position = seq
            next.failingSince = nil
            next.attempts = 0
            next.nextAttemptAt = nil
            next.lastError = nil
        case .gone:
            next.lastError = "the receiver answered 410"
            next.disabledAt = now
            next.disabledReason = .gone
        case .failed(let error, let retryAfter):
            next.attempts += 1
            next.lastError = error
            next.failingSince = webhook.failingSince ?? now
            if now.duration(since: next.failingSince ?? now) >= Limits.webhookFailingMax {
                next.disabledAt = now
                next.disabledReason = .failing
                next.nextAttemptAt = nil
            } else {
                let delay = max(
                    self.delay(attempt: next.attempts, jitter: jitter), min(retryAfter ?? .zero, Self.delayMax * 4))
                next.nextAttemptAt = now.advanced(by: delay)
            }
        }
        return next
    }

    /// 5 s, 10 s, 20 s … 15 min, give or take a fifth.
    static func delay(attempt: Int, jitter: Double) -> Duration {
        let doubled = Self.delayMin * (1 << min(max(attempt - 1, 0), Self.doublingsMax))
        let milliseconds = Double(min(doubled, Self.delayMax).milliseconds)
        return .milliseconds(Int64(milliseconds * (0.8 + 0.4 * jitter)))
    }
}
