import Core

/// `POST /v1/rooms/{room}/calls`.
struct NewCallRequest: Decodable, Sendable {
    let media: CallMedia
    let invite: [String]?
    let ringTimeoutSeconds: Int?
}

/// `POST /v1/calls/{call}/join`.
struct JoinRequest: Decodable, Sendable {
    let media: CallStateMachine.MediaChange?
    let holdCandidates: Bool?
    let takeover: Bool?
}

/// `POST /v1/calls/{call}/invite`.
struct InviteRequest: Decodable, Sendable {
    let users: [String]
}

/// `POST /v1/calls/{call}/reject`.
struct ReasonRequest: Decodable, Sendable {
    let reason: String?
}

/// `POST /v1/calls/{call}/leave` and `/end`.
struct LeaveRequest: Decodable, Sendable {
    let reason: String?
    let leaveToken: String?
}

/// `PATCH /v1/calls/{call}/participants/me`.
struct ParticipantChangeRequest: Decodable, Sendable {
    let media: CallStateMachine.MediaChange?
    let connection: ConnectionState?
}

/// `POST /v1/calls/{call}/signals`: which members it needs depends on `type`.
struct SignalRequest: Decodable, Sendable {
    let to: String
    let type: SignalType
    let sdp: String?
    let offer: SignalID?
    let candidates: [ICECandidate]?
    let end: Bool?
    let reason: String?
    let payload: JSONValue?
    let encrypted: Bool?

    /// What it says, within bounds.
    ///
    /// - throws: ``Problem`` `validation-failed` naming the member that is missing or wrong.
    func content() throws -> SignalContent {
        if self.encrypted == true {
            // Instead of members that are required, the payload is.
            let saysEnough: Set<SignalType> = [.reject, .renegotiate, .restartICE]
            let payload =
                saysEnough.contains(self.type) ? self.payload ?? .null : try self.required(self.payload, "payload")
            return try .encrypted(self.type, payload: payload, offer: self.offer)
        }
        switch self.type {
        case .offer: return try .offer(sdp: self.required(self.sdp, "sdp"))
        case .answer:
            return try .answer(sdp: self.required(self.sdp, "sdp"), to: self.required(self.offer, "offer"))
        case .candidates:
            return try .candidates(self.required(self.candidates, "candidates"), isEnd: self.end ?? false)
        case .reject: return try .reject(offer: self.offer, reason: self.reason)
        case .renegotiate: return try .renegotiate()
        case .restartICE: return try .restartICE()
        case .custom: return try .custom(self.required(self.payload, "payload"))
        case .superseded: throw Problem.invalid("type", "must not be superseded: that is the server's word")
        }
    }

    private func required<Value>(_ value: Value?, _ field: String) throws(Problem) -> Value {
        guard let value else { throw .invalid(field, "is required") }
        return value
    }
}

extension UserReference {
    /// As a request names a user: the id or `@username`.
    ///
    /// - throws: ``Problem`` `validation-failed` naming the field.
    init(_ text: String, field: String) throws(Problem) {
        guard let reference = UserReference(text), reference != .me else {
            throw .invalid(field, "must be a user's id or @username")
        }
        self = reference
    }

    static func list(_ texts: [String], field: String) throws(Problem) -> [UserReference] {
        var references: [UserReference] = []
        for (index, text) in texts.enumerated() {
            references.append(try UserReference(text, field: "\(field)[\(index)]"))
        }
        return references
    }
}
