// Where one call meets another one: calls that cross, and callees who are in another call.

extension StoreReader {
    /// Two who call one another at the same moment get one call: the second to come joins the first one's.
    ///
    /// - throws: ``Problem`` `call-glare` with that call, if `invited` is one user whose ringing call in this room
    ///   invites the asker and nobody else.
    func requireNoCrossing(inviting invited: [UserID], in room: RoomID, as user: User) throws {
        guard let peer = invited.first, invited.count == 1 else { return }
        for id in try self.liveCalls(of: user.id, in: room) {
            guard let rows = try self.callRows(id), rows.isRinging(user.id, aloneBy: peer) else { continue }
            throw try self.adding(rows, to: Problem(.callGlare))
        }
    }

    /// Those of the users who are in a call with others at this moment: joined, and not merely waiting for somebody to
    /// take up an open invitation.
    func busy(among users: [UserID], but call: CallID) throws -> Set<UserID> {
        Set(
            try users.filter { user in
                try self.liveCalls(of: user, in: nil).contains { id in
                    guard id != call, let rows = try self.callRows(id) else { return false }
                    return rows.occupies(user)
                }
            })
    }

    /// Illegal moves are answered with the call as it is.
    func adding(_ rows: CallRows, to problem: Problem) throws -> Problem {
        guard problem.kind.status == 409 else { return problem }
        var problem = problem
        problem.members["call"] = try JSON.decode(JSONValue.self, from: JSON.text(try self.payload(of: rows)))
        return problem
    }
}

extension StoreWriter {
    /// Rings that waited for these users, who have left a call, wait no longer, unless they are in yet another one.
    func endWaiting(for users: [UserID], _ input: CallInput) throws {
        for user in users {
            for id in try self.liveCalls(of: user, in: nil) {
                guard let rows = try self.callRows(id), rows.participants.contains(where: { $0.isWaiting(user) }),
                    try self.busy(among: [user], but: id).isEmpty
                else { continue }
                let input = CallInput(old: rows, actor: nil, now: input.now, ids: input.ids)
                _ = try self.decide(input) { machine throws(Problem) in machine.calleeBecameFree(user) }
            }
        }
    }
}

extension Participant {
    fileprivate func isWaiting(_ user: UserID) -> Bool { self.user == user && self.state == .invited && self.isBusy }
}

extension CallRows {
    /// Who was joined in the rows before and is not any more.
    func usersGone(since before: CallRows) -> [UserID] {
        before.participants.filter { $0.state == .joined }.map(\.user).filter { user in
            !self.participants.contains { $0.user == user && $0.state == .joined }
        }
    }

    /// Whether this is a call by `caller` that rings `user`, and never invited anybody else.
    fileprivate func isRinging(_ user: UserID, aloneBy caller: UserID) -> Bool {
        self.call.state == .ringing && self.call.initiator == caller
            && self.participants.allSatisfy { $0.user == caller || $0.user == user }
            && self.participants.contains { $0.user == caller && $0.state == .joined }
            && self.participants.contains { $0.user == user && $0.state == .invited }
    }

    fileprivate func occupies(_ user: UserID) -> Bool {
        self.participants.contains { $0.user == user && $0.state == .joined }
            && self.participants.contains { $0.user != user && ($0.state == .joined || $0.state == .invited) }
    }
}
