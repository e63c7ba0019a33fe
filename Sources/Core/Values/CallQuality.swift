/// What kind of ICE candidate one end of a connection uses: `RTCIceCandidate.type`.
package enum CandidateType: String, Codable, Sendable, CaseIterable { case host, srflx, prflx, relay }
/// How the packets of a connection travel, as far as this end knows: `RTCIceCandidate.protocol`.
package enum CandidateProtocol: String, Codable, Sendable, CaseIterable { case udp, tcp }
/// How this end reaches its own relay: `RTCIceCandidate.relayProtocol`.
package enum RelayProtocol: String, Codable, Sendable, CaseIterable { case udp, tcp, tls }

/// A number that participants measure. Its raw value is the member of a report.
package enum QualityMetric: String, Codable, CodingKeyRepresentable, Sendable, CaseIterable {
    /// Round trip to the peer, in milliseconds.
    case rttMs
    /// The part of packets that did not arrive, 0 to 1.
    case packetLoss
    /// In milliseconds.
    case jitterMs
    /// What is sent to the peer, and what comes from it, in 1000 bits a second.
    case sendKbps
    case receiveKbps
    /// Of the peer's video, as shown.
    case framesPerSecond

    /// What is believed: a minute is beyond every timeout of ICE, 10 Gbit/s beyond every camera.
    package var range: ClosedRange<Double> {
        switch self {
        case .rttMs, .jitterMs: 0...60_000
        case .packetLoss: 0...1
        case .sendKbps, .receiveKbps: 0...10_000_000
        case .framesPerSecond: 0...1000
        }
    }

    /// The worse one of two values.
    func worse(_ one: Double, _ other: Double) -> Double {
        switch self {
        case .rttMs, .packetLoss, .jitterMs: max(one, other)
        case .sendKbps, .receiveKbps, .framesPerSecond: min(one, other)
        }
    }
}

/// What a participant says of its connection to one peer at one moment, from `getStats`. Says one thing at least.
package struct QualityReport: Hashable, Sendable {
    package var metrics: [QualityMetric: Double]
    package var localCandidateType: CandidateType?
    package var remoteCandidateType: CandidateType?
    package var candidateProtocol: CandidateProtocol?
    package var relayProtocol: RelayProtocol?

    package init(
        metrics: [QualityMetric: Double] = [:], localCandidateType: CandidateType? = nil,
        remoteCandidateType: CandidateType? = nil, candidateProtocol: CandidateProtocol? = nil,
        relayProtocol: RelayProtocol? = nil
    ) {
        self.metrics = metrics
        self.localCandidateType = localCandidateType
        self.remoteCandidateType = remoteCandidateType
        self.candidateProtocol = candidateProtocol
        self.relayProtocol = relayProtocol
    }

    var isEmpty: Bool { self == QualityReport() }
}

/// All that one leg reported of its connection to one peer: kept with the record as one row, however often it reports.
///
/// The single reports are not kept: a call of 12 hours at one in 10 seconds would leave 4 000 rows a connection, and
/// what an admin asks (was it relayed, how bad was it) is in the last, the worst and the mean.
package struct CallQuality: Hashable, Sendable {
    /// One metric over all reports that had it.
    package struct Summary: Hashable, Codable, Sendable {
        package var last: Double
        package var worst: Double
        package var mean: Double
        /// How many reports had it.
        package var count: Int

        package init(last: Double, worst: Double, mean: Double, count: Int) {
            self.last = last
            self.worst = worst
            self.mean = mean
            self.count = count
        }
    }

    package var call: CallID
    /// Who reported.
    package var user: UserID
    package var leg: LegID
    /// The other end; `nil` when the reporter did not say and there were several.
    package var peer: UserID?
    package var firstAt: Timestamp
    package var lastAt: Timestamp
    package var reportCount: Int
    /// As last reported; an ICE restart may change them.
    package var localCandidateType: CandidateType?
    package var remoteCandidateType: CandidateType?
    package var candidateProtocol: CandidateProtocol?
    package var relayProtocol: RelayProtocol?
    package var metrics: [QualityMetric: Summary]

    /// Without reports yet.
    package init(call: CallID, user: UserID, leg: LegID, peer: UserID?, at now: Timestamp) {
        self.call = call
        self.user = user
        self.leg = leg
        self.peer = peer
        self.firstAt = now
        self.lastAt = now
        self.reportCount = 0
        self.metrics = [:]
    }

    /// As it was stored.
    package init(
        call: CallID, user: UserID, leg: LegID, peer: UserID?, firstAt: Timestamp, lastAt: Timestamp,
        reportCount: Int, localCandidateType: CandidateType?, remoteCandidateType: CandidateType?,
        candidateProtocol: CandidateProtocol?, relayProtocol: RelayProtocol?, metrics: [QualityMetric: Summary]
    ) {
        self.call = call
        self.user = user
        self.leg = leg
        self.peer = peer
        self.firstAt = firstAt
        self.lastAt = lastAt
        self.reportCount = reportCount
        self.localCandidateType = localCandidateType
        self.remoteCandidateType = remoteCandidateType
        self.candidateProtocol = candidateProtocol
        self.relayProtocol = relayProtocol
        self.metrics = metrics
    }

    /// Whether the connection went through a TURN server on either side when it was last reported.
    package var isRelayed: Bool { self.localCandidateType == .relay || self.remoteCandidateType == .relay }

    /// Whether anything was said about the path that media takes.
    package var isPathKnown: Bool { self.localCandidateType != nil || self.remoteCandidateType != nil }

    /// Takes in one more report; what it does not say stays as it was.
    mutating func add(_ report: QualityReport, at now: Timestamp) {
        self.reportCount += 1
        self.lastAt = max(self.lastAt, now)
        self.localCandidateType = report.localCandidateType ?? self.localCandidateType
        self.remoteCandidateType = report.remoteCandidateType ?? self.remoteCandidateType
        self.candidateProtocol = report.candidateProtocol ?? self.candidateProtocol
        self.relayProtocol = report.relayProtocol ?? self.relayProtocol
        for (metric, value) in report.metrics {
            guard var summary = self.metrics[metric] else {
                self.metrics[metric] = Summary(last: value, worst: value, mean: value, count: 1)
                continue
            }
            summary.count += 1
            summary.mean += (value - summary.mean) / Double(summary.count)
            summary.last = value
            summary.worst = metric.worse(summary.worst, value)
            self.metrics[metric] = summary
        }
    }
}
