/// How finely statistics follow time, in UTC.
package enum StatisticsBucket: String, Codable, Sendable, CaseIterable {
    case hour, day

    package var milliseconds: Int64 { self == .hour ? 3_600_000 : 86_400_000 }
    /// What is looked at when nobody says since when: a day of hours, a month of days.
    package var defaultRange: Duration { .seconds(self == .hour ? 86_400 : 30 * 86_400) }
}

/// Counts and spreads of some calls. All but ``calls`` and ``live`` are about those that have ended.
package struct CallFiguresSum: Hashable, Sendable {
    package private(set) var calls = 0
    package private(set) var live = 0
    package private(set) var answered = 0
    package private(set) var connected = 0
    /// Ended as `failed` or `lost`.
    package private(set) var failed = 0
    /// Of whose media somebody reported the path.
    package private(set) var pathKnown = 0
    package private(set) var relayed = 0
    package private(set) var durationSecondsTotal = 0
    private var endCounts = [Int](repeating: 0, count: CallEndReason.allCases.count)
    private var offerToAnswer = Distribution()
    private var offerToConnected = Distribution()
    private var duration = Distribution()

    package init() {}

    /// 50, 90 and 99 of a hundred take no longer.
    package struct Percentiles: Hashable, Sendable, Encodable {
        package let p50: Int64
        package let p90: Int64
        package let p99: Int64

        fileprivate init?(_ distribution: Distribution) {
            let values = distribution.values(at: [0.5, 0.9, 0.99])
            guard values.count == 3 else { return nil }
            (self.p50, self.p90, self.p99) = (values[0], values[1], values[2])
        }
    }

    package var ended: Int { self.calls - self.live }
    package var offerToAnswerMs: Percentiles? { Percentiles(self.offerToAnswer) }
    package var offerToConnectedMs: Percentiles? { Percentiles(self.offerToConnected) }
    package var durationSeconds: Percentiles? { Percentiles(self.duration) }
    /// Only those that occurred.
    package var endReasons: [CallEndReason: Int] {
        Dictionary(uniqueKeysWithValues: zip(CallEndReason.allCases, self.endCounts).filter { $0.1 > 0 })
    }

    package mutating func add(_ call: CallFigures) {
        self.calls += 1
        guard let reason = call.endReason else { return self.live += 1 }
        self.endCounts[reason.index] += 1
        if reason == .failed || reason == .lost { self.failed += 1 }
        if let isRelayed = call.isRelayed {
            self.pathKnown += 1
            if isRelayed { self.relayed += 1 }
        }
        guard let answeredAt = call.answeredAt else { return }
        self.answered += 1
        if let seconds = call.durationSeconds {
            self.durationSecondsTotal += seconds
            self.duration.record(Int64(seconds))
        }
        if call.connectedAt != nil { self.connected += 1 }
        // Calls of before the record kept the time of their offer have none.
        guard let offeredAt = call.offeredAt else { return }
        self.offerToAnswer.record(answeredAt - offeredAt)
        if let connectedAt = call.connectedAt { self.offerToConnected.record(connectedAt - offeredAt) }
    }

    package mutating func add(_ other: CallFiguresSum) {
        self.calls += other.calls
        self.live += other.live
        self.answered += other.answered
        self.connected += other.connected
        self.failed += other.failed
        self.pathKnown += other.pathKnown
        self.relayed += other.relayed
        self.durationSecondsTotal += other.durationSecondsTotal
        for index in self.endCounts.indices { self.endCounts[index] += other.endCounts[index] }
        self.offerToAnswer.add(other.offerToAnswer)
        self.offerToConnected.add(other.offerToConnected)
        self.duration.add(other.duration)
    }
}

extension CallEndReason {
    fileprivate var index: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}

/// Sums of calls by time and by group, made in one pass over them.
package struct CallStatistics: Sendable {
    package let since: Timestamp
    package let until: Timestamp
    package let bucket: StatisticsBucket
    package let grouping: CallGrouping?
    private let firstStart: Int64
    private var bucketSums: [CallFiguresSum]
    private var groupSums: [String: CallFiguresSum] = [:]
    /// Of groups that came when there were too many already.
    private var rest = CallFiguresSum()

    /// - parameters:
    ///   - since: calls made at this time or later; the first bucket begins at the full hour or day before it.
    ///   - until: calls made before this time.
    /// - throws: ``Problem`` `validation-failed` naming `since` for no time at all, or for more than
    ///   ``Limits/statisticsBucketsMax`` buckets.
    package init(
        since: Timestamp, until: Timestamp, bucket: StatisticsBucket, grouping: CallGrouping?
    ) throws(Problem) {
        guard since < until else { throw .invalid("since", "must be before until") }
        let size = bucket.milliseconds
        let first = since.milliseconds.floored(to: size)
        let (count, isOver) = (until.milliseconds - 1).subtractingReportingOverflow(first)
        guard !isOver, count / size < Int64(Limits.statisticsBucketsMax) else {
            throw .invalid("since", "must be at most \(Limits.statisticsBucketsMax) \(bucket.rawValue)s before until")
        }
        self.since = since
        self.until = until
        self.bucket = bucket
        self.grouping = grouping
        self.firstStart = first
        self.bucketSums = Array(repeating: CallFiguresSum(), count: Int(count / size) + 1)
    }

    /// - parameter call: made between ``since`` and ``until``.
    package mutating func add(_ call: CallFigures) {
        let index = Int((call.createdAt - self.firstStart) / self.bucket.milliseconds)
        guard self.bucketSums.indices.contains(index) else { return }
        self.bucketSums[index].add(call)
        switch self.grouping {
        case .room, .initiator: self.add(call, to: call.key)
        case .endReason: self.add(call, to: call.endReason?.rawValue ?? Self.live)
        case .transport: for transport in call.transports.transports { self.add(call, to: transport.rawValue) }
        case nil: break
        }
    }

    /// What stands for the reason of a call that goes on.
    private static let live = "live"

    private mutating func add(_ call: CallFigures, to group: String) {
        guard self.groupSums.count < Limits.statisticsGroupsCountedMax || self.groupSums[group] != nil else {
            return self.rest.add(call)
        }
        self.groupSums[group, default: CallFiguresSum()].add(call)
    }

    // MARK: Results

    package var total: CallFiguresSum { self.bucketSums.reduce(into: CallFiguresSum()) { $0.add($1) } }

    /// Ascending in time, also those without a call.
    package var buckets: [(start: Timestamp, sum: CallFiguresSum)] {
        self.bucketSums.enumerated().map { index, sum in
            (Timestamp(milliseconds: self.firstStart + Int64(index) * self.bucket.milliseconds), sum)
        }
    }

    /// Those with the most calls first, and all that have no place in the list as one; `nil` if none has.
    package var groups: (listed: [(group: String, sum: CallFiguresSum)], others: CallFiguresSum?) {
        let sorted = self.groupSums.sorted { ($1.value.calls, $0.key) < ($0.value.calls, $1.key) }
        let others = sorted.dropFirst(Limits.statisticsGroupsMax).reduce(into: self.rest) { $0.add($1.value) }
        return (
            sorted.prefix(Limits.statisticsGroupsMax).map { ($0.key, $0.value) }, others.calls > 0 ? others : nil
        )
    }
}

extension Int64 {
    /// The multiple of `size` that is not larger.
    fileprivate func floored(to size: Int64) -> Int64 {
        let rest = self % size
        return self - (rest < 0 ? rest + size : rest)
    }
}
