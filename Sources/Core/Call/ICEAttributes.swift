/// What the server reads in SDP and in candidates: their ufrags, which tell what belongs to what (RFC 8839).
enum ICEAttributes {
    /// The distinct values of `a=ice-ufrag:` lines, at session or media level, in order.
    static func ufrags(ofSDP sdp: String) -> [String] {
        let attribute = "a=ice-ufrag:"
        let lines = sdp.utf8.split { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }
        let values = lines.filter { $0.starts(with: attribute.utf8) }
            .map { String(decoding: $0.dropFirst(attribute.utf8.count), as: UTF8.self).trimmed }
        return self.distinct(values)
    }

    /// The value behind the extension attribute `ufrag` of a candidate line, where browsers repeat it:
    /// `candidate:1 1 udp 2130706431 192.0.2.7 52311 typ host generation 0 ufrag EsAw network-cost 999`.
    static func ufrag(ofCandidate line: String) -> String? {
        let words = line.split(separator: " ")
        // Six words, `typ` and its value come first; name and value alternate from there on.
        var index = 8
        while index + 1 < words.count {
            if words[index] == "ufrag" { return String(words[index + 1]) }
            index += 2
        }
        return nil
    }

    /// The type of a candidate line: the word behind `typ`, which RFC 8839 puts eighth.
    static func type(ofCandidate line: some StringProtocol) -> CandidateTypes {
        let words = line.split(separator: " ", maxSplits: 8)
        guard words.count > 7, words[6] == "typ", let type = CandidateType(rawValue: String(words[7])) else {
            return []
        }
        return CandidateTypes(type)
    }

    /// The types of all `a=candidate:` lines: of an agent that gathers before it describes.
    static func candidateTypes(ofSDP sdp: String) -> CandidateTypes {
        let attribute = "a=candidate:"
        let lines = sdp.utf8.split { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }
        return CandidateTypes(
            lines.filter { $0.starts(with: attribute.utf8) }
                .map { self.type(ofCandidate: String(decoding: $0.dropFirst(2), as: UTF8.self)) })
    }

    /// In order of first appearance; what is no ufrag is left out.
    static func distinct(_ ufrags: [String]) -> [String] {
        var seen: Set<String> = []
        return ufrags.filter { !$0.isEmpty && $0.utf8.count <= Limits.ufragBytesMax && seen.insert($0).inserted }
    }
}

extension String {
    fileprivate var trimmed: String {
        String(self.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}

/// An `RTCIceCandidateInit`, as browsers give it.
package struct ICECandidate: Hashable, Codable, Sendable {
    /// The candidate line, without `a=`; empty for the end of candidates of one generation.
    package var candidate: String
    package var sdpMid: String?
    package var sdpMLineIndex: Int?
    package var usernameFragment: String?

    package init(
        candidate: String, sdpMid: String? = nil, sdpMLineIndex: Int? = nil, usernameFragment: String? = nil
    ) {
        self.candidate = candidate
        self.sdpMid = sdpMid
        self.sdpMLineIndex = sdpMLineIndex
        self.usernameFragment = usernameFragment
    }

    /// What it says about its ICE generation; `nil` for nothing.
    var ufrag: String? { self.usernameFragment ?? ICEAttributes.ufrag(ofCandidate: self.candidate) }
}
