// What calls answer and log besides ``CallPayload``.

/// `data` of `call.participant`: the participant, with the call's id.
struct CallParticipantPayload: Encodable {
    let call: CallID
    let participant: ParticipantPayload

    private enum CodingKeys: String, CodingKey { case call }

    func encode(to encoder: any Encoder) throws {
        try self.participant.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(self.call, forKey: .call)
    }
}

/// `data` of `call.answered-elsewhere`: the device that owns the user's place now.
struct AnsweredElsewherePayload: Encodable {
    let call: CallID
    let device: DeviceID
}

/// A peer that the joiner offers to. `polite` says whether *the joiner* is the polite side of this pair.
package struct PeerPayload: Encodable, Sendable {
    package let user: UserID
    package let device: DeviceID
    package let leg: LegID
    package let polite: Bool

    package init(_ peer: CallStateMachine.Peer) {
        self.user = peer.user
        self.device = peer.device
        self.leg = peer.leg
        self.polite = peer.isAskerPolite
    }
}
