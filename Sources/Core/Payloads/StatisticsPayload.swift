/// Statistics of calls, as admins get them.
package struct StatisticsPayload: Encodable, Sendable {
    package let statistics: CallStatistics
    /// What the groups' ids stand for.
    package let names: [String: String]

    package init(_ statistics: CallStatistics, names: [String: String]) {
        (self.statistics, self.names) = (statistics, names)
    }

    private enum CodingKeys: String, CodingKey {
        case since, until, bucket, groupBy, total, buckets, groups, otherGroups
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.statistics.since, forKey: .since)
        try container.encode(self.statistics.until, forKey: .until)
        try container.encode(self.statistics.bucket, forKey: .bucket)
        try container.encode(self.statistics.grouping, forKey: .groupBy)
        try container.encode(SumPayload(sum: self.statistics.total), forKey: .total)
        try container.encode(
            self.statistics.buckets.map { BucketPayload(start: $0.start, sum: SumPayload(sum: $0.sum)) },
            forKey: .buckets)
        let (listed, others) = self.statistics.groups
        try container.encode(
            listed.map { GroupPayload(group: $0.group, name: self.names[$0.group], sum: SumPayload(sum: $0.sum)) },
            forKey: .groups)
        try container.encode(others.map { SumPayload(sum: $0) }, forKey: .otherGroups)
    }
}

/// An hour or a day.
private struct BucketPayload: Encodable {
    let start: Timestamp
    let sum: SumPayload

    private enum CodingKeys: String, CodingKey { case start }

    func encode(to encoder: any Encoder) throws {
        try self.sum.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.start, forKey: .start)
    }
}

/// A room, an initiator, a reason or a transport.
private struct GroupPayload: Encodable {
    let group: String
    let name: String?
    let sum: SumPayload

    private enum CodingKeys: String, CodingKey { case group, name }

    func encode(to encoder: any Encoder) throws {
        try self.sum.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.group, forKey: .group)
        try container.encode(self.name, forKey: .name)
    }
}

/// Counts, rates (`null` where there is nothing to divide by) and percentiles.
private struct SumPayload: Encodable {
    let sum: CallFiguresSum

    private enum CodingKeys: String, CodingKey {
        case calls, live, ended, answered, connected, failed, pathKnown, relayed, answerRate, failureRate, relayRate,
            endReasons, offerToAnswerMs, offerToConnectedMs, durationSeconds, durationSecondsTotal
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.sum.calls, forKey: .calls)
        try container.encode(self.sum.live, forKey: .live)
        try container.encode(self.sum.ended, forKey: .ended)
        try container.encode(self.sum.answered, forKey: .answered)
        try container.encode(self.sum.connected, forKey: .connected)
        try container.encode(self.sum.failed, forKey: .failed)
        try container.encode(self.sum.pathKnown, forKey: .pathKnown)
        try container.encode(self.sum.relayed, forKey: .relayed)
        try container.encode(Self.rate(self.sum.answered, of: self.sum.ended), forKey: .answerRate)
        try container.encode(Self.rate(self.sum.failed, of: self.sum.ended), forKey: .failureRate)
        try container.encode(Self.rate(self.sum.relayed, of: self.sum.pathKnown), forKey: .relayRate)
        try container.encode(
            Dictionary(uniqueKeysWithValues: self.sum.endReasons.map { ($0.key.rawValue, $0.value) }),
            forKey: .endReasons)
        try container.encode(self.sum.offerToAnswerMs, forKey: .offerToAnswerMs)
        try container.encode(self.sum.offerToConnectedMs, forKey: .offerToConnectedMs)
        try container.encode(self.sum.durationSeconds, forKey: .durationSeconds)
        try container.encode(self.sum.durationSecondsTotal, forKey: .durationSecondsTotal)
    }

    /// Four decimals: 0.0001 of a million calls are a hundred.
    private static func rate(_ part: Int, of whole: Int) -> Double? {
        whole > 0 ? (Double(part) / Double(whole) * 10_000).rounded() / 10_000 : nil
    }
}
