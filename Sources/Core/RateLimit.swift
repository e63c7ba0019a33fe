/// What requests are counted together.
package enum RateClass: String, CaseIterable, Sendable {
    /// Of a user.
    case reads, writes, messages, signals, events
    /// Of an address: signing up, and requests without valid credentials.
    case signUps = "sign-ups"
    case anonymous
    /// Of a name at an address; ten times as many of either alone.
    case passwords
}

/// So many requests in so long, as a bucket: all of them at once, and then as they come back, evenly.
package struct RateQuota: Hashable, Sendable {
    package let count: Int
    /// Whole seconds.
    package let window: Duration

    package static let countMax = 1_000_000_000
    package static let windowSecondsMax = 7 * 24 * 3600

    package init(_ count: Int, in window: Duration) {
        self.count = count
        self.window = window
    }

    /// Reads `600/60`: 600 requests in 60 seconds.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
        guard parts.count == 2, let count = parts[0], let seconds = parts[1], (1...Self.countMax).contains(count),
            (1...Self.windowSecondsMax).contains(seconds)
        else { return nil }
        self.init(count, in: .seconds(seconds))
    }

    package var windowSeconds: Int64 { self.window.components.seconds }

    package static func * (quota: Self, factor: Int) -> Self {
        Self(min(quota.count * factor, Self.countMax), in: quota.window)
    }

    fileprivate var windowNanoseconds: Int64 { self.windowSeconds * 1_000_000_000 }
    /// How long it takes for one request to come back.
    fileprivate var interval: Int64 { max(1, self.windowNanoseconds / Int64(self.count)) }
}

/// What a bucket said.
package struct RateVerdict: Hashable, Sendable {
    package let rateClass: RateClass
    package let quota: RateQuota
    package let isAllowed: Bool
    /// Requests that are left now.
    package let remaining: Int
    /// Until all of them are back, rounded up.
    package let resetSeconds: Int
    /// Until one is allowed again, rounded up; 0 if one is.
    package let retryAfterSeconds: Int
}

/// Buckets by key, as a value: one number for each, and none for those that are full (GCRA, the leaky bucket as a
/// meter of ITU-T I.371).
///
/// Own code, as no package that can be had here limits rates.
package struct RateBuckets<Key: Hashable & Sendable>: Sendable {
    /// When a bucket will be full again, in nanoseconds since 1970.
    private var fullAt: [Key: Int64] = [:]
    private let countMax: Int

    /// - parameter countMax: buckets that are kept. Beyond it the full ones are forgotten, which changes nothing, and
    ///   if that is not enough, those that are nearest to it.
    package init(countMax: Int) { self.countMax = countMax }

    package var count: Int { self.fullAt.count }

    /// Takes one request out of the key's bucket, if there is one; a refused request costs nothing.
    package mutating func take(_ key: Key, of quota: RateQuota, for rateClass: RateClass, now: Timestamp) -> RateVerdict
    {
        let now = now.milliseconds * 1_000_000
        let before = max(self.fullAt[key] ?? now, now)
        let after = before + quota.interval
        let isAllowed = after - now <= quota.windowNanoseconds
        if isAllowed {
            if self.fullAt.updateValue(after, forKey: key) == nil, self.fullAt.count > self.countMax {
                self.forget(now: now)
            }
        }
        let debt = (isAllowed ? after : before) - now
        return RateVerdict(
            rateClass: rateClass, quota: quota, isAllowed: isAllowed,
            remaining: Int(max(0, quota.windowNanoseconds - debt) / quota.interval),
            resetSeconds: Self.seconds(debt),
            retryAfterSeconds: isAllowed ? 0 : max(1, Self.seconds(after - now - quota.windowNanoseconds)))
    }

    /// Puts one request back that was taken for nothing.
    package mutating func giveBack(_ key: Key, of quota: RateQuota) {
        if let fullAt = self.fullAt[key] { self.fullAt[key] = fullAt - quota.interval }
    }

    private mutating func forget(now: Int64) {
        self.fullAt = self.fullAt.filter { $0.value > now }
        guard self.fullAt.count > self.countMax * 3 / 4 else { return }
        let kept = self.fullAt.sorted { $0.value > $1.value }.prefix(self.countMax / 2)
        self.fullAt = Dictionary(uniqueKeysWithValues: kept.map { ($0.key, $0.value) })
    }

    private static func seconds(_ nanoseconds: Int64) -> Int { Int((nanoseconds + 999_999_999) / 1_000_000_000) }
}
