package import Core
import HTTPTypes
import Synchronization

/// How many requests of each class are allowed; `nil`: as many as come.
package struct RateSettings: Sendable {
    package var quotas: [RateClass: RateQuota]

    /// Nothing is limited.
    package static let off = RateSettings(quotas: [:])

    /// For people, scripts and a class room behind one address; not for load tests.
    package static let standard = RateSettings(quotas: [
        .reads: RateQuota(1200, in: .seconds(60)),
        .writes: RateQuota(600, in: .seconds(60)),
        .messages: RateQuota(600, in: .seconds(60)),
        // A mesh of eight that trickles its candidates one by one.
        .signals: RateQuota(3000, in: .seconds(60)),
        // Polls of a busy room come back as fast as the network carries them.
        .events: RateQuota(3000, in: .seconds(60)),
        .signUps: RateQuota(100, in: .seconds(600)),
        .anonymous: RateQuota(3000, in: .seconds(60)),
        .passwords: RateQuota(10, in: .seconds(300)),
    ])

    package init(quotas: [RateClass: RateQuota]) { self.quotas = quotas }
}

/// Counts requests by user or address, and class. Shared by all event loops; a look costs a lock that nobody holds for
/// long and one place in a table.
package final class RateLimiter: Sendable {
    /// Whose requests are counted together.
    enum Subject: Hashable, Sendable {
        case user(UserID)
        case address(IPAddress)
        case name(String)
        case nameAtAddress(String, IPAddress)
    }

    private struct Key: Hashable, Sendable {
        let rateClass: RateClass
        let subject: Subject
    }

    /// Buckets in all, about 100 bytes each.
    package static let bucketsMax = 200_000
    private static let shardCount = 16
    /// Of a name or an address alone, as many times as of both together: one who guesses is stopped soon, those behind
    /// one address are not, and nobody is locked out by a stranger elsewhere.
    private static let widening = 10

    /// A part of the buckets, so that event loops seldom wait for one another.
    private final class Shard: Sendable {
        let buckets = Mutex(RateBuckets<Key>(countMax: RateLimiter.bucketsMax / RateLimiter.shardCount))
    }

    private let settings: RateSettings
    private let time: any TimeSource
    private let shards: [Shard]

    package init(_ settings: RateSettings, time: any TimeSource) {
        self.settings = settings
        self.time = time
        self.shards = (0..<Self.shardCount).map { _ in Shard() }
    }

    /// Counts one request; `nil` where nothing is limited.
    func take(_ rateClass: RateClass, of subject: Subject, widenedBy factor: Int = 1) -> RateVerdict? {
        guard let quota = self.settings.quotas[rateClass] else { return nil }
        let key = Key(rateClass: rateClass, subject: subject)
        let now = self.time.now
        return self.shard(of: key).buckets.withLock {
            $0.take(key, of: quota * factor, for: rateClass, now: now)
        }
    }

    /// Puts back what was counted for a request that is counted again.
    func giveBack(_ rateClass: RateClass, of subject: Subject, widenedBy factor: Int = 1) {
        guard let quota = self.settings.quotas[rateClass] else { return }
        let key = Key(rateClass: rateClass, subject: subject)
        self.shard(of: key).buckets.withLock { $0.giveBack(key, of: quota * factor) }
    }

    /// Counts an attempt to sign in; the tightest of its three buckets answers. One that is refused by any of them is
    /// counted in none: who is stopped at one address does not lock the name's owner out at another.
    func takePassword(of username: String, at address: IPAddress?) -> RateVerdict? {
        var tightest: RateVerdict?
        var taken: [(subject: Subject, factor: Int)] = []
        for bucket in Self.passwordBuckets(of: username, at: address) {
            guard let verdict = self.take(.passwords, of: bucket.subject, widenedBy: bucket.factor) else { return nil }
            guard verdict.isAllowed else {
                for earlier in taken { self.giveBack(.passwords, of: earlier.subject, widenedBy: earlier.factor) }
                return verdict
            }
            taken.append(bucket)
            if verdict.remaining < tightest?.remaining ?? Int.max { tightest = verdict }
        }
        return tightest
    }

    /// The attempt was none of those that are to be few.
    func passwordWasRight(of username: String, at address: IPAddress?) {
        for (subject, factor) in Self.passwordBuckets(of: username, at: address) {
            self.giveBack(.passwords, of: subject, widenedBy: factor)
        }
    }

    private static func passwordBuckets(
        of username: String, at address: IPAddress?
    ) -> [(subject: Subject, factor: Int)] {
        // A name that nobody can have would only fill the table.
        let name = User.isValid(username: username) ? username : ""
        guard let address = address?.client else { return [(.name(name), Self.widening)] }
        return [
            (.nameAtAddress(name, address), 1), (.name(name), Self.widening), (.address(address), Self.widening),
        ]
    }

    private func shard(of key: Key) -> Shard {
        self.shards[Int(UInt(bitPattern: key.hashValue) % UInt(Self.shardCount))]
    }
}

/// What a request was counted as, for the fields of its answer; filled in on the way to its controller.
final class RateNote: Sendable {
    private let storage = Mutex<RateVerdict?>(nil)

    var verdict: RateVerdict? {
        get { self.storage.withLock { $0 } }
        set { self.storage.withLock { $0 = newValue } }
    }
}

extension RateVerdict {
    /// `RateLimit`, as draft-ietf-httpapi-ratelimit-headers-10, section 4.
    var field: String { "\"\(self.rateClass.rawValue)\";r=\(self.remaining);t=\(self.resetSeconds)" }
    /// `RateLimit-Policy`, section 3 there.
    var policyField: String { "\"\(self.rateClass.rawValue)\";q=\(self.quota.count);w=\(self.quota.windowSeconds)" }

    /// - throws: ``Problem`` `rate-limited` if the request is one too many.
    func requireAllowed() throws(Problem) {
        guard !self.isAllowed else { return }
        let seconds = self.retryAfterSeconds
        var problem = Problem(
            .rateLimited,
            "At most \(self.quota.count) \(self.rateClass.rawValue) in \(self.quota.windowSeconds) s; again in \(seconds) s"
        )
        problem.retryAfterSeconds = seconds
        throw problem
    }
}

extension HTTPFields {
    /// Tells what is left.
    mutating func set(_ verdict: RateVerdict) {
        self[.rateLimit] = verdict.field
        self[.rateLimitPolicy] = verdict.policyField
    }
}
