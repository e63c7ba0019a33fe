import Core

/// `POST /v1/calls/{call}/quality`. All numbers may be fractions: `getStats` gives such.
struct QualityRequest: Decodable, Sendable {
    let peer: String?
    let report: QualityReport

    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        func value<Value: Decodable>(_ name: String) throws -> Value? {
            try container.decodeIfPresent(Value.self, forKey: Key(stringValue: name))
        }
        self.peer = try value("peer")
        var metrics: [QualityMetric: Double] = [:]
        for metric in QualityMetric.allCases { metrics[metric] = try value(metric.rawValue) }
        self.report = QualityReport(
            metrics: metrics, localCandidateType: try value("localCandidateType"),
            remoteCandidateType: try value("remoteCandidateType"), candidateProtocol: try value("protocol"),
            relayProtocol: try value("relayProtocol"))
    }
}
