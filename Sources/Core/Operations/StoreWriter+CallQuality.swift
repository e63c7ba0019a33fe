extension StoreWriter {
    /// Adds a report to the record of the asker's leg, which is the current one or the one that it just had.
    ///
    /// Logs no event: nobody waits for it. A repeated report counts twice and changes no more than the mean.
    ///
    /// - parameter peer: the other end of the connection; `nil`: the other participant, if there was ever only one.
    /// - throws: ``Problem`` `not-found`, `not-a-member`, `validation-failed`, `joined-elsewhere`, `limit-reached`;
    ///   `not-joined` for who never joined or left longer than ``Limits/qualityAfterLeaving`` ago, `call-ended` for who
    ///   was there when the call ended so long ago.
    package func reportQuality(
        of id: CallID, _ report: QualityReport, peer: UserReference?, as acting: Acting
    ) throws {
        let rows = try self.callRows(id, as: acting.user, to: .readCalls).rows
        try FieldRules.quality(report)
        let leg: LegID
        do throws(Problem) {
            leg = try rows.reportingLeg(of: acting.user.id, on: acting.device, at: acting.now)
        } catch {
            throw try self.adding(rows, to: error)
        }
        let end = try self.otherEnd(peer, in: rows, as: acting.user)
        let known = try self.quality(of: leg, peer: end)
        if known == nil, try self.qualityCount(of: id) >= Limits.qualityRowsPerCallMax {
            throw Problem(.limitReached, "the quality of \(Limits.qualityRowsPerCallMax) connections is kept of a call")
        }
        var quality = known ?? CallQuality(call: id, user: acting.user.id, leg: leg, peer: end, at: acting.now)
        quality.add(report, at: acting.now)
        try self.save(quality)
    }

    private func otherEnd(_ peer: UserReference?, in rows: CallRows, as user: User) throws -> UserID? {
        let others = Set(rows.legs.map(\.user)).subtracting([user.id])
        guard let peer else { return others.count == 1 ? others.first : nil }
        guard let found = try? self.user(peer, as: user).id, others.contains(found) else {
            throw Problem.invalid("peer", "must be another participant of the call")
        }
        return found
    }
}

extension CallRows {
    /// The user's leg, while it lasts and for a little while afterwards.
    ///
    /// - throws: ``Problem`` `not-joined`, `joined-elsewhere`, `call-ended`.
    fileprivate func reportingLeg(
        of user: UserID, on device: DeviceID, at now: Timestamp
    ) throws(Problem) -> LegID {
        guard let participant = self.participants.first(where: { $0.user == user }), let id = participant.leg,
            let leg = self.legs.first(where: { $0.id == id })
        else { throw Problem(.notJoined) }
        guard participant.device == device else { throw Problem(.joinedElsewhere) }
        guard let leftAt = leg.leftAt, now.duration(since: leftAt) > Limits.qualityAfterLeaving else { return id }
        throw Problem(leftAt == self.call.endedAt ? .callEnded : .notJoined)
    }
}

extension FieldRules {
    static func quality(_ report: QualityReport) throws(Problem) {
        guard !report.isEmpty else {
            throw .invalid("rttMs", "or another member of a quality report is required")
        }
        for metric in QualityMetric.allCases {
            guard let value = report.metrics[metric], !metric.range.contains(value) else { continue }
            throw .invalid(
                metric.rawValue, "must be \(Int(metric.range.lowerBound)) to \(Int(metric.range.upperBound))")
        }
    }
}
