/// One call, decided: who is in it, with which legs, what may pass between them, and when it is over.
///
/// A value over the call's rows. It decides and never acts: no clock, no random source, no store. An operation loads
/// the rows, tells what happened, stores ``rows`` and carries out the returned actions, all in one write; so the
/// rows are the call's whole truth, and any process may take the next input.
///
/// Every input has an answer in every state, as peers race and retry. An input that throws leaves the rows alone.
package struct CallStateMachine: Sendable {
    package internal(set) var rows: CallRows
    /// How many participants may be joined at once.
    let joinedMax: Int

    /// A call as it was stored.
    package init(_ rows: CallRows, joinedMax: Int = Limits.joinedParticipantsMax) {
        self.rows = rows
        self.joinedMax = joinedMax
    }

    /// How a participant joins: with which device and leg, and what it wants.
    package struct Joining: Hashable, Sendable {
        package let user: UserID
        package let device: DeviceID
        package let leg: LegID
        /// `nil` where nobody was given a token.
        package let leaveTokenHash: String?
        package let media: ParticipantMedia
        package let holdsCandidates: Bool
        package let takesOver: Bool
        /// How the device reads at this moment; `nil` if it does not.
        package let transport: Transport?
        /// How long the TURN credentials hold that it is given; `nil` for none.
        package let credentialsLifetime: Duration?
        /// See ``Participant/readsFrames``.
        package let readsFrames: Bool

        package init(
            user: UserID, device: DeviceID, leg: LegID, leaveTokenHash: String?, media: ParticipantMedia,
            holdsCandidates: Bool = false, takesOver: Bool = false, transport: Transport? = nil,
            credentialsLifetime: Duration? = nil, readsFrames: Bool = false
        ) {
            self.readsFrames = readsFrames
            self.user = user
            self.device = device
            self.leg = leg
            self.leaveTokenHash = leaveTokenHash
            self.media = media
            self.holdsCandidates = holdsCandidates
            self.takesOver = takesOver
            self.transport = transport
            self.credentialsLifetime = credentialsLifetime
        }
    }

    /// A new call. Its initiator is joined at once; the invited are rung; without any it is an open invitation.
    ///
    /// - parameters:
    ///   - call: as `ringing`, its times unset but `createdAt`.
    ///   - busy: those of the invited who are in another call.
    package static func created(
        _ call: Call, by initiator: Joining, inviting invited: [UserID], busy: Set<UserID> = [],
        joinedMax: Int = Limits.joinedParticipantsMax
    ) -> (machine: CallStateMachine, actions: [CallAction]) {
        var machine = CallStateMachine(CallRows(call: call), joinedMax: joinedMax)
        machine.rows.participants = [Participant(call: call.id, user: initiator.user, state: .left)]
        machine.place(initiator, at: call.createdAt)
        var rings: [CallAction] = []
        for user in invited where user != initiator.user {
            rings += machine.ring(user, by: initiator.user, isBusy: busy.contains(user), at: call.createdAt)
        }
        return (machine, [.record(.created(by: initiator.user)), .announceCreated] + rings)
    }

    // MARK: What the rows say

    package var joined: [Participant] { self.rows.participants.filter { $0.state == .joined } }

    package func participant(_ user: UserID) -> Participant? { self.rows.participants.first { $0.user == user } }

    /// Nobody was ever invited: an invitation to the whole room, which nobody can miss or reject as a whole.
    package var isOpenInvitation: Bool { !self.rows.participants.contains { $0.invitedAt != nil } }

    var isAnswered: Bool { self.rows.call.answeredAt != nil }

    /// - throws: ``Problem`` `call-ended`.
    func requireLive() throws(Problem) {
        guard self.rows.call.state != .ended else { throw Problem(.callEnded) }
    }

    /// The user's own joined place, which only its owning device may use.
    ///
    /// - throws: ``Problem`` `call-ended`, `not-joined`, `joined-elsewhere`.
    func requireJoined(_ user: UserID, on device: DeviceID) throws(Problem) -> Participant {
        try self.requireLive()
        guard let participant = self.participant(user), participant.state == .joined else { throw Problem(.notJoined) }
        guard participant.device == device else { throw Problem(.joinedElsewhere) }
        return participant
    }

    // MARK: Changing rows

    /// Changes a participant's row; without one there is nothing to change.
    mutating func change(_ user: UserID, _ body: (inout Participant) -> Void) {
        guard let index = self.rows.participants.firstIndex(where: { $0.user == user }) else { return }
        body(&self.rows.participants[index])
    }

    /// Puts the joining device into the user's place, with a new leg.
    mutating func place(_ joining: Joining, at now: Timestamp) {
        self.change(joining.user) { participant in
            participant.state = .joined
            participant.device = joining.device
            participant.leg = joining.leg
            participant.joinedAt = now
            participant.leftAt = nil
            participant.media = joining.media
            participant.connection = nil
            participant.connectionAt = nil
            participant.transport = joining.transport
            participant.isBusy = false
            // The joining is a request, so nobody needs to look earlier than at a stream that stays silent after it.
            participant.leaseCheckAt = now.advanced(by: Limits.streamSilenceMax)
            participant.iceRefreshAt = joining.credentialsLifetime.map { ICERefresh.time(after: now, lifetime: $0) }
            participant.leaveTokenHash = joining.leaveTokenHash
            participant.holdsCandidates = joining.holdsCandidates
            participant.readsFrames = joining.readsFrames
        }
        self.rows.legs.append(
            Leg(
                id: joining.leg, call: self.rows.call.id, user: joining.user, device: joining.device,
                transport: joining.transport, joinedAt: now))
    }

    /// The record tells how those read who have joined. Nobody is told.
    mutating func readerSeen(_ user: UserID, device: DeviceID, transport: Transport) {
        guard let participant = self.participant(user), participant.state == .joined, participant.device == device,
            participant.transport != transport, let leg = participant.leg
        else { return }
        self.change(user) { $0.transport = transport }
        self.changeLeg(leg) { $0.transport = transport }
    }

    mutating func closeLeg(_ leg: LegID?, _ reason: LegEndReason, at now: Timestamp) {
        guard let leg else { return }
        self.changeLeg(leg) { leg in
            guard leg.leftAt == nil else { return }
            leg.leftAt = now
            leg.endReason = reason
        }
    }

    mutating func changeLeg(_ leg: LegID, _ body: (inout Leg) -> Void) {
        guard let index = self.rows.legs.lastIndex(where: { $0.id == leg }) else { return }
        body(&self.rows.legs[index])
    }

    /// Forgets what the user negotiated with anybody: offers, held candidates, counts.
    mutating func forgetNegotiations(of user: UserID) {
        self.rows.descriptions.removeAll { $0.from == user || $0.to == user }
        self.rows.held.removeAll { $0.from == user || $0.to == user }
        self.rows.candidateCounts.removeAll { $0.from == user || $0.to == user }
    }

    mutating func move(to state: CallState) -> [CallAction] {
        guard self.rows.call.state != state else { return [] }
        self.rows.call.state = state
        return [.record(.state(state)), .announceUpdated]
    }

    /// Ends the call for everybody. Who was joined has left; who was still rung stays `invited` in the record.
    mutating func end(
        _ reason: CallEndReason, by user: UserID?, isInferred: Bool = false, at now: Timestamp
    ) -> [CallAction] {
        let expiries = self.rows.held.flatMap { self.expiry(of: $0) }
        let farewells = self.joined.flatMap { self.farewells(of: $0.user) }
        for participant in self.joined {
            self.closeLeg(participant.leg, .ended, at: now)
            self.change(participant.user) { $0.goOut(as: .left, at: now) }
        }
        self.rows.descriptions = []
        self.rows.held = []
        self.rows.candidateCounts = []
        self.rows.call.state = .ended
        self.rows.call.endReason = reason
        self.rows.call.endedBy = user
        self.rows.call.endedAt = now
        self.rows.call.isInferred = isInferred
        return expiries + [
            .record(.ended(reason, by: user, isInferred: isInferred)), .announceEnded, .forgetAllSignals,
        ] + farewells
    }
}

extension Participant {
    /// Not joined any more, or not rung any more: the place needs no lease.
    mutating func goOut(as state: ParticipantState, at now: Timestamp) {
        self.state = state
        self.leftAt = now
        self.leaseCheckAt = nil
        self.iceRefreshAt = nil
    }
}
