/// What a signal says, checked against its bounds: nothing else reaches a call.
package struct SignalContent: Hashable, Sendable {
    /// What the call decides by.
    enum Kind: Hashable, Sendable {
        case offer(ufrags: [String], types: CandidateTypes)
        case answer(to: SignalID, ufrags: [String], types: CandidateTypes)
        case candidates(CandidateBatch)
        case reject(offer: SignalID?, reason: String?)
        case renegotiate, restartICE, custom
    }

    let kind: Kind
    /// What its addressee gets besides who sent it: the text of a JSON object.
    let payload: String

    /// - throws: ``Problem`` `validation-failed` naming `sdp`.
    package static func offer(sdp: String) throws -> SignalContent {
        try self.check(sdp: sdp)
        return try SignalContent(
            .offer(ufrags: ICEAttributes.ufrags(ofSDP: sdp), types: ICEAttributes.candidateTypes(ofSDP: sdp)),
            Members(sdp: sdp))
    }

    /// - throws: ``Problem`` `validation-failed` naming `sdp`.
    package static func answer(sdp: String, to offer: SignalID) throws -> SignalContent {
        try self.check(sdp: sdp)
        return try SignalContent(
            .answer(
                to: offer, ufrags: ICEAttributes.ufrags(ofSDP: sdp), types: ICEAttributes.candidateTypes(ofSDP: sdp)),
            Members(sdp: sdp, offer: offer))
    }

    /// - parameter isEnd: no more of them follow in this generation.
    /// - throws: ``Problem`` `validation-failed` naming `candidates`, or one of them.
    package static func candidates(_ candidates: [ICECandidate], isEnd: Bool) throws -> SignalContent {
        let countMax = Limits.candidatesPerGenerationMax
        guard candidates.count <= countMax, !candidates.isEmpty || isEnd else {
            throw Problem.invalid("candidates", "must have 1 to \(countMax) elements, or none with end: true")
        }
        for (index, candidate) in candidates.enumerated() {
            try self.check(candidate, field: "candidates[\(index)]")
        }
        let batch = CandidateBatch(
            ufrags: ICEAttributes.distinct(candidates.compactMap(\.ufrag)), count: max(1, candidates.count),
            types: CandidateTypes(candidates.map { ICEAttributes.type(ofCandidate: $0.candidate) }))
        return try SignalContent(.candidates(batch), Members(candidates: candidates, end: isEnd))
    }

    /// - parameter offer: `nil` for the pending one.
    /// - throws: ``Problem`` `validation-failed` naming `reason`.
    package static func reject(offer: SignalID?, reason: String?) throws -> SignalContent {
        try FieldRules.reason(reason)
        return try SignalContent(.reject(offer: offer, reason: reason), Members(reason: reason))
    }

    /// Asks the peer for an offer.
    package static func renegotiate() throws -> SignalContent { try SignalContent(.renegotiate, Members()) }

    /// Asks the peer for an offer that restarts ICE.
    package static func restartICE() throws -> SignalContent { try SignalContent(.restartICE, Members()) }

    /// - throws: ``Problem`` `validation-failed` naming `payload`.
    package static func custom(_ payload: JSONValue) throws -> SignalContent {
        try self.check(payload, bytesMax: Limits.customPayloadBytesMax)
        return try SignalContent(.custom, Members(payload: payload))
    }

    /// A signal that only its addressee can read.
    ///
    /// - parameter offer: what an answer answers or a rejection declines: the server still settles which it is.
    /// - throws: ``Problem`` `validation-failed` naming `payload`, `offer` or `type`.
    package static func encrypted(_ type: SignalType, payload: JSONValue, offer: SignalID?) throws -> SignalContent {
        let kind: Kind
        var bytesMax = Limits.customPayloadBytesMax
        switch type {
        case .offer:
            kind = .offer(ufrags: [], types: .unreadable)
            bytesMax = Limits.encryptedDescriptionBytesMax
        case .answer:
            guard let offer else { throw Problem.invalid("offer", "is required: the signal that this answers") }
            kind = .answer(to: offer, ufrags: [], types: .unreadable)
            bytesMax = Limits.encryptedDescriptionBytesMax
        case .candidates: kind = .candidates(CandidateBatch(ufrags: [], count: 1, types: .unreadable))
        case .reject: kind = .reject(offer: offer, reason: nil)
        case .renegotiate: kind = .renegotiate
        case .restartICE: kind = .restartICE
        case .custom: kind = .custom
        case .superseded: throw Problem.invalid("type", "is the server's word")
        }
        try self.check(payload, bytesMax: bytesMax)
        return try SignalContent(
            kind, Members(offer: type == .answer ? offer : nil, payload: payload, encrypted: true))
    }

    // MARK: Checks

    private init(_ kind: Kind, _ members: Members) throws {
        self.init(kind, payload: try JSON.text(members))
    }

    init(_ kind: Kind, payload: String) {
        self.kind = kind
        self.payload = payload
    }

    private static func check(sdp: String) throws {
        guard sdp.utf8.starts(with: "v=0".utf8) else { throw Problem.invalid("sdp", "must begin with v=0") }
        guard sdp.utf8.count <= Limits.sdpBytesMax else {
            throw Problem.invalid("sdp", "must be at most \(Limits.sdpBytesMax) bytes")
        }
    }

    private static func check(_ candidate: ICECandidate, field: String) throws {
        guard candidate.candidate.utf8.count <= Limits.candidateBytesMax else {
            throw Problem.invalid("\(field).candidate", "must be at most \(Limits.candidateBytesMax) bytes")
        }
        if let index = candidate.sdpMLineIndex, !(0...65_535).contains(index) {
            throw Problem.invalid("\(field).sdpMLineIndex", "must be 0 to 65535")
        }
        for (name, text) in [("sdpMid", candidate.sdpMid), ("usernameFragment", candidate.usernameFragment)] {
            guard (text?.utf8.count ?? 0) <= Limits.ufragBytesMax else {
                throw Problem.invalid("\(field).\(name)", "must be at most \(Limits.ufragBytesMax) bytes")
            }
        }
    }

    private static func check(_ payload: JSONValue, bytesMax: Int) throws {
        guard try JSON.encode(payload).count <= bytesMax else {
            throw Problem.invalid("payload", "must be at most \(bytesMax) bytes of JSON")
        }
    }
}

/// The members of a signal that depend on its type; absent ones are left out.
private struct Members: Encodable {
    var sdp: String?
    var offer: SignalID?
    var candidates: [ICECandidate]?
    var end: Bool?
    var reason: String?
    var payload: JSONValue?
    var encrypted: Bool?
}
