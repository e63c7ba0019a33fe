/// How somebody goes out of a call, and what that makes of a call which cannot go on without them.
struct Departure: Hashable, Sendable {
    /// The participant's state afterwards.
    let state: ParticipantState
    /// For the record: what was given as the reason, or the server's word.
    let reason: String?
    /// How the call ends if nobody had answered yet.
    let unanswered: CallEndReason
    /// How it ends if somebody had.
    var answered = CallEndReason.completed
    /// Whether the call is then ended by the user, and not by the server's clock.
    var isOwnDoing = true

    static func left(_ reason: String?) -> Departure {
        Departure(state: .left, reason: reason, unanswered: .cancelled)
    }

    static func rejected(_ reason: String?) -> Departure {
        Departure(state: .rejected, reason: reason, unanswered: .rejected)
    }

    static let removed = Departure.left("removed")

    /// The ring ended unanswered.
    static let missed = Departure(state: .left, reason: "missed", unanswered: .missed, isOwnDoing: false)
    /// As ``missed``, of somebody who was in another call.
    static let busy = Departure(state: .left, reason: "busy", unanswered: .busy, isOwnDoing: false)
    /// The first offer to a peer was not answered.
    static let offerTimedOut = Departure(
        state: .rejected, reason: "timeout", unanswered: .rejected, isOwnDoing: false)
    /// The device did not hold its place.
    static let lost = Departure(state: .lost, reason: nil, unanswered: .lost, answered: .lost, isOwnDoing: false)
}
