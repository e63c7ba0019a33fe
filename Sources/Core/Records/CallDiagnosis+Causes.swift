// From what is known of a call to why it failed. Pure: the same record gives the same diagnosis.

extension CallDiagnosis {
    /// - returns: `nil` for a call that goes on, and for one with which nothing was wrong.
    package static func of(_ details: CallDetails) -> CallDiagnosis? {
        guard let reason = details.call.endReason else { return nil }
        let finding: Finding? =
            switch reason {
            case .missed: self.missed(details)
            case .busy: self.busy(details)
            case .rejected: self.rejected(details)
            case .cancelled: self.cancelled(details)
            case .failed: self.failed(details)
            case .lost: self.lost(details)
            case .completed: self.completed(details)
            case .endedByAdmin:
                Finding(.endedByAdmin, "\(details.name(details.call.endedBy)) ended the call as an admin.")
            case .tooLong: Finding(.tooLong, "The call lasted for 12 hours and was ended by the server.")
            }
        guard let finding else { return nil }
        return CallDiagnosis(
            code: finding.cause, summary: finding.summary, facts: details.facts, advice: finding.cause.advice)
    }

    /// A cause with its sentence.
    private struct Finding {
        let cause: CallCause
        let summary: String

        init(_ cause: CallCause, _ summary: String) { (self.cause, self.summary) = (cause, summary) }
    }

    private static func unknown(_ details: CallDetails) -> Finding {
        let reason = details.call.endReason?.rawValue ?? "unknown"
        return Finding(.unknown, "The call ended as \(reason), and its record does not say why.")
    }

    // MARK: Nobody answered

    private static func missed(_ details: CallDetails) -> Finding {
        let invited = details.entries("invited")
        let users = details.list(details.rungUsers)
        let knownOffline = !invited.isEmpty && invited.allSatisfy { $0.data["online"] == .bool(false) }
        return knownOffline
            ? Finding(.calleeOffline, "\(users) had no device online when the call rang, and nobody answered.")
            : Finding(.notAnswered, "\(users) did not answer within \(details.call.ringTimeoutSeconds) seconds.")
    }

    private static func busy(_ details: CallDetails) -> Finding {
        Finding(.calleeBusy, "\(details.list(details.rungUsers)) was in another call and did not answer.")
    }

    private static func rejected(_ details: CallDetails) -> Finding {
        let departures = details.entries("participant").filter { $0.text("state") == "rejected" }
        if let idle = departures.last, idle.text("reason") == "no-offer" {
            return Finding(
                .joinedWithoutOffer, "\(details.name(idle.user)) joined, but made no offer within 60 seconds.")
        }
        if let timeout = details.entries("offer-timeout").last {
            let (offerer, addressee) = (details.name(timeout.user), details.name(id: timeout.text("to")))
            let wasExpired = details.entries("expired").contains { $0.text("signal") == timeout.text("offer") }
            return wasExpired
                ? Finding(
                    .offerNotDelivered,
                    "The offer of \(offerer) did not reach \(addressee), whose device was not reading.")
                : Finding(.offerNotAnswered, "\(addressee) did not answer the offer of \(offerer) within 60 seconds.")
        }
        if let rejection = details.entries("reject").last {
            return Finding(.declined, "\(details.name(rejection.user)) declined the call.")
        }
        if let decliner = departures.last {
            let reason = decliner.text("reason").map { " and said: \($0)" } ?? ""
            return Finding(.declined, "\(details.name(decliner.user)) declined the call\(reason).")
        }
        return self.unknown(details)
    }

    private static func cancelled(_ details: CallDetails) -> Finding {
        if let end = self.endFromOutside(details) { return end }
        let call = details.call
        let joiners = details.rows.participants.filter { $0.user != call.initiator && $0.joinedAt != nil }
        guard let endedBy = call.endedBy else {
            return details.rungUsers.isEmpty && joiners.isEmpty
                ? Finding(.invitationExpired, "Nobody took up the open invitation within an hour.")
                : self.unknown(details)
        }
        guard joiners.isEmpty else {
            return Finding(
                .leftBeforeAnswer,
                "\(details.name(endedBy)) left after \(details.list(joiners.map(\.user))) had joined, before an offer was answered."
            )
        }
        return Finding(.callerGaveUp, "\(details.name(endedBy)) hung up before anybody answered.")
    }

    private static func endFromOutside(_ details: CallDetails) -> Finding? {
        if let archived = details.entries("room-archived").last {
            return Finding(.roomArchived, "The call ended because \(details.name(archived.user)) archived its room.")
        }
        let removals = details.entries("participant").filter { $0.text("reason") == "removed" }
        guard let removed = removals.last, details.entries("participant").last?.user == removed.user else { return nil }
        return Finding(
            .participantRemoved,
            "The call ended because \(details.name(removed.user)) is no member of the room any more.")
    }

    // MARK: Somebody answered

    private static func lost(_ details: CallDetails) -> Finding {
        let lost = details.rows.participants.filter { $0.state == .lost }.map(\.user)
        guard details.call.answeredAt != nil else {
            return Finding(.callerLost, "The device of \(details.list(lost)) went away before anybody answered.")
        }
        return Finding(.deviceLost, "The device of \(details.list(lost)) went away without a goodbye.")
    }

    private static func failed(_ details: CallDetails) -> Finding {
        details.call.connectedAt != nil
            ? Finding(.connectionBroke, "The connection worked, then broke for everybody for 30 seconds.")
            : self.neverConnected(details)
    }

    private static func completed(_ details: CallDetails) -> Finding? {
        if let end = self.endFromOutside(details) { return end }
        guard details.call.connectedAt != nil else { return self.neverConnected(details) }
        let broken = details.rows.participants.filter { $0.connection == .failed }.map(\.user)
        guard !broken.isEmpty else { return nil }
        return Finding(
            .connectionBroke, "The connection worked, but \(details.list(broken)) reported it as failed at the end.")
    }

    private static func neverConnected(_ details: CallDetails) -> Finding {
        let sides = details.candidateTypes
        let start = "The call was answered, but no participant reported connected"
        if let expired = details.entries("expired").last(where: { $0.text("kind") == "answer" }) {
            return Finding(
                .answerNotDelivered, "The answer of \(details.name(expired.user)) did not reach the other side in time."
            )
        }
        if sides.contains(where: { $0.types.contains(.unreadable) }) {
            return Finding(.connectionNotReported, "\(start); what was offered is encrypted.")
        }
        let silent = sides.filter { $0.types.isEmpty }.map(\.user)
        if details.record.counts.dropped > 0 {
            return Finding(
                .candidatesDropped,
                "\(start); \(details.record.counts.dropped) candidates were refused, as they were too many.")
        }
        if !silent.isEmpty { return Finding(.noCandidates, "\(start); \(details.list(silent)) offered no candidates.") }
        if sides.allSatisfy({ $0.types.isSubset(of: [.host, .prflx]) }) {
            return Finding(.hostCandidatesOnly, "\(start); only host candidates were offered: configure TURN.")
        }
        if sides.contains(where: { $0.types.contains(.relay) }) {
            return Finding(.relayFailed, "\(start), although \(details.list(details.relayOfferers)) offered a relay.")
        }
        return Finding(.noRelayCandidates, "\(start); nobody offered a relay: configure TURN.")
    }
}

extension CallDetails {
    /// Who was rung, in order of first appearance.
    fileprivate var rungUsers: [UserID] { self.rows.participants.filter { $0.invitedAt != nil }.map(\.user) }

    /// What each who ever joined offered, over all their legs.
    fileprivate var candidateTypes: [(user: UserID, types: CandidateTypes)] {
        self.rows.participants.filter { $0.joinedAt != nil }.map { participant in
            let own = self.rows.legs.filter { $0.user == participant.user }.map(\.candidateTypes)
            return (participant.user, CandidateTypes(own))
        }
    }

    fileprivate var relayOfferers: [UserID] { self.candidateTypes.filter { $0.types.contains(.relay) }.map(\.user) }

    fileprivate func name(id: String?) -> String { self.name(id.flatMap { UserID($0) }) }

    /// What the record says, in sentences that hold for any call.
    fileprivate var facts: [String] {
        let call = self.call
        var facts = ["\(self.name(call.initiator)) called at \(call.createdAt)."]
        if !self.rungUsers.isEmpty { facts.append("Rung: \(self.list(self.rungUsers)).") }
        for invited in self.entries("invited") where invited.data["online"] == .bool(false) {
            facts.append("\(self.name(invited.user)) was offline when it rang.")
        }
        let joined = self.rows.participants.filter { $0.joinedAt != nil && $0.user != call.initiator }.map(\.user)
        facts.append("Joined: \(self.list(joined)).")
        if let answeredAt = call.answeredAt {
            let setUp = call.offerToAnswerMs.map { ", \($0) ms after the offer" } ?? ""
            facts.append("First answered at \(answeredAt)\(setUp).")
            let connected = call.connectedAt.map { "First reported as connected at \($0)." }
            facts.append(connected ?? "Nobody reported a connection.")
            for (user, types) in self.candidateTypes {
                let names = types.isEmpty ? "none" : types.names.joined(separator: ", ")
                facts.append("Candidates offered by \(self.name(user)): \(names).")
            }
        } else {
            facts.append("Nobody answered an offer.")
        }
        for participant in self.rows.participants {
            guard let connection = participant.connection else { continue }
            facts.append("\(self.name(participant.user)) last reported \(connection.rawValue).")
        }
        let counts = self.record.counts
        if counts.expired > 0 { facts.append("\(counts.expired) signals were not delivered in time.") }
        if counts.dropped > 0 { facts.append("\(counts.dropped) candidates were refused.") }
        if let endedAt = call.endedAt {
            facts.append("Ended at \(endedAt) by \(self.name(call.endedBy))\(self.inference ?? "").")
        }
        return facts
    }

    /// What an end that nobody asked for follows from: why who ended it left.
    private var inference: String? {
        guard self.call.isInferred else { return nil }
        let departure = self.entries("participant").last { $0.user == self.call.endedBy && $0.text("state") == "left" }
        guard let reason = departure?.text("reason") else { return ", inferred" }
        let cause = reason.trimmingPrefix("inferred: ")
        return ", inferred: \(cause == "closed" ? "a connection was closed" : cause)"
    }
}
