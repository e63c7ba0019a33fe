/// What is to be done about an input to a call, in this order. Plain values: the operation carries them out in the
/// write that also stores the machine's rows.
package enum CallAction: Hashable, Sendable {
    /// `call.created` to the room.
    case announceCreated
    /// `call.updated` to the room: the call's state or times changed.
    case announceUpdated
    /// `call.participant` to the room.
    case announceParticipant(UserID)
    /// `call.ended` to the room. Always the last that is heard of a call, but by those who read frames and not this.
    case announceEnded
    /// `call.ringing` to all devices of the user.
    case ring(UserID)
    /// `call.answered-elsewhere` to all devices of the user: `device` owns the user's place now.
    case tellAnsweredElsewhere(UserID, device: DeviceID)
    /// `signal` to the addressee's device.
    case deliver(SignalDelivery)
    /// `signal` of type `superseded` to the route's `to`, one of the two sides: the offer was replaced by another one.
    case tellSuperseded(offer: SignalID, route: SignalRoute)
    /// `signal` of type `reject` with reason `timeout` to the route's `to`, who made the offer: it was not answered.
    case tellTimedOut(offer: SignalID, route: SignalRoute)
    /// `signal` of type `reject` to the caller's device, which reads frames and hears of no ends: whom it rang
    /// declined, or did not answer (`reason` says so).
    case tellDeclined(by: UserID, reason: String?, caller: UserID)
    /// `signal` of type `custom` to the route's `to`, who reads frames and hears of no departures: the route's `from`,
    /// with whom they negotiated, is gone. Its payload is the frames' word for hanging up, `{"type":"leave"}`.
    case tellLeft(SignalRoute)
    /// `signal.expired` to the device that sent it: held candidates did not get through.
    case tellExpired(SignalID, device: DeviceID)
    /// Signals of this leg are not delivered any more: it was replaced.
    case forgetSignals(of: LegID)
    /// The call ended: its signals leave the log.
    case forgetAllSignals
    /// A line of the call's record.
    case record(CallRecordEntry)
    /// So many candidates were refused: the record counts them all.
    case countDropped(Int)
    /// The request is answered with this problem, although what was done is kept.
    case refuse(Problem)
}

/// Where a signal goes: from one leg to another, both current when it was taken.
package struct SignalRoute: Hashable, Sendable {
    package let from: UserID
    package let fromLeg: LegID
    package let fromDevice: DeviceID
    package let to: UserID
    package let toLeg: LegID
    package let toDevice: DeviceID

    /// The way back.
    var reversed: SignalRoute {
        SignalRoute(
            from: self.to, fromLeg: self.toLeg, fromDevice: self.toDevice, to: self.from, toLeg: self.fromLeg,
            toDevice: self.fromDevice)
    }
}

/// A signal on its way to its addressee.
package struct SignalDelivery: Hashable, Sendable {
    package let id: SignalID
    package let type: SignalType
    package let route: SignalRoute
    /// When the server took it; it may have been held since.
    package let createdAt: Timestamp
    /// The members that depend on the type, as the text of a JSON object.
    package let payload: String
}

/// What the record of a call says about one moment. Never SDP.
package enum CallRecordEntry: Hashable, Sendable {
    case created(by: UserID)
    case invited(UserID, by: UserID, isBusy: Bool)
    case state(CallState)
    /// A participant's state changed; `leg` is the one that began or ended, `reason` what was given for it.
    case participant(UserID, ParticipantState, leg: LegID?, reason: String?)
    /// The first offer from one leg to another.
    case offer(SignalID, from: UserID, to: UserID)
    case answer(SignalID, offer: SignalID, from: UserID, to: UserID)
    case rejectedOffer(SignalID, from: UserID, to: UserID)
    /// An offer was not answered in time.
    case offerTimedOut(SignalID, from: UserID, to: UserID)
    /// The first connection of the call.
    case connected(UserID)
    /// What a participant's ICE says, whenever that changes. A connection that flaps leaves a bounded number.
    case connection(UserID, ConnectionState)
    /// Candidates were refused; `total` is how many of this pair and ICE generation by now. Written when the total
    /// passes a power of two, so that a flood leaves few lines.
    case dropped(from: UserID, to: UserID, total: Int)
    /// A description, an `offer` or an `answer`, did not reach its addressee in time.
    case expired(SignalID, kind: String, from: UserID)
    /// Somebody archived the call's room.
    case roomArchived(by: UserID?)
    /// What was given as the reason for ending the call.
    case reason(String, by: UserID)
    /// `isInferred`: nobody asked for it; why the user left says what it follows from.
    case ended(CallEndReason, by: UserID?, isInferred: Bool = false)

    /// A participant who speaks frames left as their only peer did.
    static func left(_ follower: Participant) -> CallRecordEntry {
        .participant(follower.user, .left, leg: follower.leg, reason: Departure.peerLeft.reason)
    }
}
