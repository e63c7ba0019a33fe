/// How somebody goes out of a call, and what that makes of a call which cannot go on without them.
struct Departure: Hashable, Sendable {
    /// The participant's state afterwards.
    let state: ParticipantState
    /// For the record: what was given as the reason, or the server's word.
    let reason: String?
    /// For the record: why the leg ended, if there was one.
    let leg: LegEndReason
    /// How the call ends if nobody had answered yet.
    let unanswered: CallEndReason
    /// How it ends if somebody had.
    var answered = CallEndReason.completed
    /// Whether the call is then ended by somebody, and not by the server's clock.
    var isOwnDoing = true
    /// Whose doing it is, if not the user's own.
    var decliner: UserID?
    /// Whether nobody asked for it: it follows from a connection that was closed, or from what was done elsewhere.
    var isInferred = false

    static func left(_ reason: String?, isInferred: Bool = false) -> Departure {
        Departure(state: .left, reason: reason, leg: .left, unanswered: .cancelled, isInferred: isInferred)
    }

    /// - parameter decliner: who declined an offer of the user's; `nil` for a user who declined a ring.
    static func rejected(_ reason: String?, by decliner: UserID? = nil) -> Departure {
        Departure(state: .rejected, reason: reason, leg: .rejected, unanswered: .rejected, decliner: decliner)
    }

    static let removed = Departure(state: .left, reason: "removed", leg: .removed, unanswered: .cancelled)

    /// The ring ended unanswered.
    static let missed = Departure(
        state: .left, reason: "missed", leg: .left, unanswered: .missed, isOwnDoing: false)
    /// As ``missed``, of somebody who was in another call.
    static let busy = Departure(state: .left, reason: "busy", leg: .left, unanswered: .busy, isOwnDoing: false)
    /// The first offer to a peer was not answered.
    static let offerTimedOut = Departure(
        state: .rejected, reason: "timeout", leg: .timeout, unanswered: .rejected, isOwnDoing: false)
    /// Joined, and never offered to anybody: as good as an offer that was not answered.
    static let neverOffered = Departure(
        state: .rejected, reason: "no-offer", leg: .timeout, unanswered: .rejected, isOwnDoing: false)
    /// The device did not hold its place.
    static let lost = Departure(
        state: .lost, reason: nil, leg: .lost, unanswered: .lost, answered: .lost, isOwnDoing: false)
}
