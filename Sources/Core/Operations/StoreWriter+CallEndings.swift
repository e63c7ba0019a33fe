/// Who hangs up.
package enum CallLeaver: Sendable {
    case user(Acting)
    /// The bearer of a leg's leave token, by its SHA-256: `navigator.sendBeacon` cannot carry other credentials.
    case tokenBearer(hash: String, now: Timestamp, ids: IDSource)
}

/// A leaver, as found, and the call as it is.
private struct Leaving {
    let user: User
    /// `nil`: proven by the leg's own token.
    let device: DeviceID?
    let access: RoomAccess
    let input: CallInput
}

extension StoreWriter {
    /// Takes the asker's device out of a call. Safe to repeat.
    ///
    /// - throws: ``Problem`` `not-found`, `not-a-member`, `joined-elsewhere`, `validation-failed`; `unauthorized` for a
    ///   leave token that is not that of the current or last leg of a participant.
    package func leaveCall(_ id: CallID, reason: String?, by leaver: CallLeaver) throws -> CallPayload {
        try FieldRules.reason(reason)
        let leaving = try self.leaving(id, by: leaver)
        return try self.decide(leaving.input) { machine throws(Problem) in
            try machine.left(leaving.user.id, device: leaving.device, reason: reason, at: leaving.input.now)
        }.payload
    }

    /// Ends a call for everybody. Safe to repeat.
    ///
    /// - throws: ``Problem`` `forbidden` for who may only leave; else as ``leaveCall(_:reason:by:)``.
    package func endCall(_ id: CallID, reason: String?, by leaver: CallLeaver) throws -> CallPayload {
        try FieldRules.reason(reason)
        let leaving = try self.leaving(id, by: leaver)
        let isModerator = leaving.access.granted.contains(.endAnyCall)
        let payload = try self.decide(leaving.input) { machine throws(Problem) in
            try machine.endRequested(
                by: leaving.user.id, isModerator: isModerator, isAdmin: leaving.user.role == .admin, reason: reason,
                at: leaving.input.now)
        }.payload
        if case .user(let acting) = leaver, payload.call.endReason == .endedByAdmin,
            leaving.input.old?.call.state != .ended
        {
            try self.audit(
                AuditRecord(.callEnded, of: id.text, ["reason": reason.map { .string($0) } ?? .null]), as: acting)
        }
        return payload
    }

    /// Takes a user who is no member any more out of a room's calls; with `room` `nil` out of all calls.
    ///
    /// - parameter actor: who removed them; `nil` for the server.
    package func removeFromCalls(
        of user: UserID, in room: RoomID?, by actor: UserID?, now: Timestamp, ids: IDSource
    ) throws {
        for id in try self.liveCalls(of: user, in: room) {
            let input = CallInput(old: try self.callRows(id), actor: actor, now: now, ids: ids)
            _ = try self.decide(input) { machine throws(Problem) in machine.memberRemoved(user, at: now) }
        }
    }

    /// Ends a room's calls: it was archived.
    package func endCalls(in room: RoomID, by actor: UserID?, now: Timestamp, ids: IDSource) throws {
        for state in CallState.allCases where state != .ended {
            var page: [CallID]
            repeat {
                page = try self.calls(in: room, state: state, before: nil, limit: Limits.pageItemsMax)
                for id in page {
                    let input = CallInput(old: try self.callRows(id), actor: actor, now: now, ids: ids)
                    _ = try self.decide(input) { machine throws(Problem) in machine.roomArchived(by: actor, at: now) }
                }
            } while page.count == Limits.pageItemsMax
        }
    }

    private func leaving(_ id: CallID, by leaver: CallLeaver) throws -> Leaving {
        switch leaver {
        case .user(let acting):
            let (rows, access) = try self.callRows(id, as: acting.user, to: .readCalls)
            return Leaving(
                user: acting.user, device: acting.device, access: access, input: CallInput(old: rows, as: acting))
        case .tokenBearer(let hash, let now, let ids):
            // One answer for all that is wrong: a token is no way to learn which calls exist.
            guard let rows = try self.callRows(id),
                let participant = rows.participants.first(where: { $0.leaveTokenHash == hash }),
                let user = try self.user(participant.user), user.deletedAt == nil,
                let access = try? self.access(.id(rows.call.room), as: user, to: .readCalls)
            else { throw Problem(.unauthorized) }
            return Leaving(
                user: user, device: nil, access: access,
                input: CallInput(old: rows, actor: user.id, now: now, ids: ids))
        }
    }
}
