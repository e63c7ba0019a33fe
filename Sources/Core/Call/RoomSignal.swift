/// What is in a `signal` frame of the room protocol: JSON in the seed's words (DESIGN.md, section 5).
///
/// `{"type":"offer"|"answer","sdp":…}`, `{"type":"candidate","candidate":{…}}`, `{"type":"reject"}`; our additions are
/// `{"type":"leave"}`, and `renegotiate` and `restart-ice` as the contract has them. Any other object is a `custom`
/// signal.
package struct RoomSignal: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        case offer(sdp: String)
        case answer(sdp: String)
        /// `nil`: no more of them follow.
        case candidate(ICECandidate?)
        case reject(reason: String?)
        case renegotiate
        case restartICE
        case custom(JSONValue)
        /// Its sender hangs up.
        case leave
    }

    let kind: Kind
    /// As it was sent.
    package let content: String

    /// Whether it only leaves or declines: that always gets through.
    package var hangsUp: Bool {
        switch self.kind {
        case .leave, .reject: true
        case .offer, .answer, .candidate, .renegotiate, .restartICE, .custom: false
        }
    }

    /// - throws: ``Problem`` `validation-failed` naming `content` or a member of it; SDP and sizes within are checked
    ///   when the signal is made of it.
    package init(content: String) throws(Problem) {
        guard content.utf8.count <= Limits.roomSignalBytesMax else {
            throw .invalid("content", "must be at most \(Limits.roomSignalBytesMax) bytes")
        }
        guard let value = try? JSON.decode(JSONValue.self, from: content), case .object = value else {
            throw .invalid("content", "must be a JSON object as a string")
        }
        self.content = content
        switch value["type"]?.stringValue {
        case "offer": self.kind = .offer(sdp: try Self.sdp(value))
        case "answer": self.kind = .answer(sdp: try Self.sdp(value))
        case "candidate": self.kind = .candidate(try Self.candidate(value["candidate"] ?? .null))
        case "reject": self.kind = .reject(reason: value["reason"]?.stringValue)
        case "renegotiate": self.kind = .renegotiate
        case "restart-ice": self.kind = .restartICE
        case "leave": self.kind = .leave
        default: self.kind = .custom(value)
        }
    }

    private static func sdp(_ value: JSONValue) throws(Problem) -> String {
        guard let sdp = value["sdp"]?.stringValue else { throw .invalid("sdp", "must be a string") }
        return sdp
    }

    private static func candidate(_ value: JSONValue) throws(Problem) -> ICECandidate? {
        if value == .null { return nil }
        guard let text = try? JSON.text(value), let candidate = try? JSON.decode(ICECandidate.self, from: text) else {
            throw .invalid("candidate", "must be an RTCIceCandidateInit")
        }
        return candidate
    }

    /// What a call is told.
    ///
    /// - parameter offer: the offer that an answer answers.
    /// - returns: `nil` for `leave`, which is no signal, and for an answer without an offer.
    /// - throws: ``Problem`` `validation-failed`.
    func signalContent(answering offer: SignalID?) throws -> SignalContent? {
        let plain: SignalContent
        switch self.kind {
        case .offer(let sdp): plain = try .offer(sdp: sdp)
        case .answer(let sdp):
            guard let offer else { return nil }
            plain = try .answer(sdp: sdp, to: offer)
        case .candidate(let candidate): plain = try .candidates([candidate].compactMap(\.self), isEnd: candidate == nil)
        case .reject(let reason): plain = try .reject(offer: nil, reason: reason)
        case .renegotiate: plain = try .renegotiate()
        case .restartICE: plain = try .restartICE()
        case .custom(let payload): plain = try .custom(payload)
        case .leave: return nil
        }
        return try plain.keeping(content: self)
    }
}

// MARK: What frames make of signals

/// `data` of a `signal` event, as far as frames tell of it.
package struct RoomSignalData: Decodable, Sendable {
    package let from: String
    /// As shown to others; `nil` where the server itself speaks for somebody.
    package let displayName: String?
    package let color: String?
    let type: SignalType
    let sdp: String?
    let candidates: [ICECandidate]?
    let reason: String?
    let payload: JSONValue?
    let encrypted: Bool?
    let content: String?

    /// What the frames say, one for each candidate: as it was sent, else in the words of the seed's clients. Empty for
    /// the end of candidates, which these have no word for.
    package var contents: [String] {
        if let content { return [content] }
        let type = self.type.rawValue
        if self.encrypted == true {
            return Self.text([("type", .string(type)), ("encrypted", .bool(true)), ("payload", self.payload)])
        }
        switch self.type {
        case .offer, .answer: return Self.text([("type", .string(type)), ("sdp", .string(self.sdp ?? ""))])
        case .candidates: return (self.candidates ?? []).flatMap(Self.text)
        case .reject: return Self.text([("type", .string(type)), ("reason", self.reason.map { .string($0) })])
        case .renegotiate, .restartICE, .superseded: return Self.text([("type", .string(type))])
        case .custom:
            if case .object(let members)? = self.payload, members["type"] != nil {
                return (try? JSON.text(members)).map { [$0] } ?? []
            }
            return Self.text([("type", .string(type)), ("payload", self.payload ?? .null)])
        }
    }

    /// As `JSON.stringify` writes what browsers give.
    private static func text(_ candidate: ICECandidate) -> [String] {
        let members: [(String, JSONValue?)] = [
            ("candidate", .string(candidate.candidate)), ("sdpMid", candidate.sdpMid.map { .string($0) }),
            ("sdpMLineIndex", candidate.sdpMLineIndex.map { .integer(Int64($0)) }),
            ("usernameFragment", candidate.usernameFragment.map { .string($0) }),
        ]
        return self.object(members).map { ["{\"type\":\"candidate\",\"candidate\":\($0)}"] } ?? []
    }

    private static func text(_ members: [(String, JSONValue?)]) -> [String] { self.object(members).map { [$0] } ?? [] }

    /// An object whose members stand in this order; those that are `nil` are left out.
    private static func object(_ members: [(name: String, value: JSONValue?)]) -> String? {
        let texts = members.compactMap { name, value in
            value.flatMap { try? JSON.text($0) }.map { "\"\(name)\":\($0)" }
        }
        return "{\(texts.joined(separator: ","))}"
    }
}

extension SignalContent {
    /// The same, with the frame's own words where they cannot be found again from the payload: a frame's content
    /// reaches another frame as it was sent.
    fileprivate func keeping(content signal: RoomSignal) throws -> SignalContent {
        let type: SignalType =
            switch self.kind {
            case .offer: .offer
            case .answer: .answer
            case .candidates: .candidates
            case .reject: .reject
            case .renegotiate: .renegotiate
            case .restartICE: .restartICE
            case .custom: .custom
            }
        let data = JSONObjectText.joining("\"from\":\"\",\"type\":\"\(type.rawValue)\"", self.payload)
        let found = try JSON.decode(RoomSignalData.self, from: data).contents
        if found == [signal.content] { return self }
        let member = try "\"content\":" + JSON.text(signal.content)
        return SignalContent(self.kind, payload: JSONObjectText.joining(member, self.payload))
    }
}
