import Core
import TestSupport
import Testing

/// Who is in a call, and when it is over.
struct CallPlaceTests {
    @Test func seedCallRunsFromRingingToCompleted() throws {
        var script = CallScript()
        #expect(script.creation == [.record(.created(by: .fixture(0))), .announceCreated])
        #expect(script.call.state == .ringing)
        #expect(script.call.ringingAt == nil)
        try script.join(1)
        #expect(script.call.state == .ringing)
        let offer = try script.offer(1, 0)
        #expect(offer.actions.contains(.announceUpdated))
        #expect(script.call.state == .connecting)
        try script.answer(0, 1, offer: offer.id)
        #expect(script.call.state == .active)
        #expect(script.call.answeredAt == script.now)
        #expect(try script.report(1, .connected).contains(.announceUpdated))
        let connectedAt = script.call.connectedAt
        #expect(try !script.report(0, .connected).contains(.announceUpdated))
        #expect(script.call.connectedAt == connectedAt)
        let last = try script.leave(1)
        #expect(script.call.endReason == .completed)
        #expect(script.call.endedBy == .fixture(1))
        #expect(script.call.durationSeconds == 3)
        #expect(last.suffix(2) == [.announceEnded, .forgetAllSignals])
        #expect(script.machine.rows.participants.allSatisfy { $0.state == .left })
        #expect(script.machine.rows.legs.allSatisfy { $0.leftAt != nil })
    }

    @Test func invitedUsersAreRungAndTheOthersNot() {
        let script = CallScript(inviting: [1, 2, 1])
        #expect(script.creation.filter { $0 == .ring(.fixture(1)) }.count == 1)
        #expect(script.creation.contains(.ring(.fixture(2))))
        #expect(script.call.ringingAt == .fixture)
        #expect(script.state(of: 1) == .invited)
    }

    @Test func firstDeviceToJoinWinsAndTheOthersHearSo() throws {
        var script = CallScript(inviting: [1])
        let actions = try script.join(1, device: 11)
        #expect(actions.contains(.tellAnsweredElsewhere(.fixture(1), device: CallScript.device(11))))
        #expect(problem { () throws(Problem) in try script.join(1, device: 12) } == .joinedElsewhere)
        #expect(script.machine.participant(.fixture(1))?.device == CallScript.device(11))
    }

    @Test func takeoverMovesThePlaceAndTellsTheFormerDevice() throws {
        var script = try CallScript.active()
        let former = try #require(script.machine.participant(.fixture(1))?.leg)
        let actions = try script.join(1, device: 12, takeover: true)
        #expect(actions.first == .forgetSignals(of: former))
        #expect(actions.contains(.tellAnsweredElsewhere(.fixture(1), device: CallScript.device(12))))
        #expect(problem { () throws(Problem) in try script.custom(1, 0) } == .joinedElsewhere)
        #expect(problem { () throws(Problem) in try script.leave(1) } == .joinedElsewhere)
        #expect(try script.custom(1, 0, device: 12).delivered.count == 1)
        #expect(script.call.state == .active)
    }

    @Test func reloadedPageReplacesItsLegAndNegotiatesAnew() throws {
        var script = CallScript()
        try script.join(1)
        let lost = try script.offer(1, 0).id
        try script.candidates(1, 0, ufrags: ["later"])
        let actions = try script.join(1)
        #expect(actions.contains(.announceParticipant(.fixture(1))))
        #expect(!actions.contains(.tellAnsweredElsewhere(.fixture(1), device: CallScript.device(1))))
        #expect(script.machine.rows.held.isEmpty)
        #expect(problem { () throws(Problem) in try script.answer(0, 1, offer: lost) } == .staleOffer)
        let offer = try script.offer(1, 0).id
        try script.answer(0, 1, offer: offer)
        #expect(script.call.state == .active)
        #expect(script.machine.rows.legs.count == 3)
        #expect(script.machine.rows.legs.filter { $0.user == .fixture(1) && $0.leftAt == nil }.count == 1)
    }

    @Test func politeIsTheSmallerUser() throws {
        var script = CallScript()
        try script.join(2)
        try script.join(1)
        #expect(script.machine.peers(of: .fixture(1)).map(\.user) == [.fixture(0), .fixture(2)])
        #expect(script.machine.peers(of: .fixture(1)).map(\.isAskerPolite) == [false, true])
    }

    @Test func fullCallTakesNobodyMore() throws {
        var script = CallScript(joinedMax: 2)
        try script.join(1)
        #expect(problem { () throws(Problem) in try script.join(2) } == .callFull)
        #expect(problem { () throws(Problem) in try script.join(1) } == nil)
    }

    @Test func participantWhoRejoinsForeverMeetsABound() throws {
        var script = CallScript()
        for _ in 1..<Limits.legsPerParticipantMax { try script.join(0) }
        #expect(problem { () throws(Problem) in try script.join(0) } == .limitReached)
        #expect(problem { () throws(Problem) in try script.join(1) } == nil)
    }

    @Test func callHasABoundedNumberOfParticipantsInItsLife() throws {
        var script = CallScript()
        for user in 1..<Limits.participantsPerCallMax {
            try script.join(user)
            try script.leave(user)
        }
        #expect(problem { () throws(Problem) in try script.join(999) } == .limitReached)
        #expect(problem { () throws(Problem) in try script.invite([999], by: 0) } == .limitReached)
    }

    @Test func callerWhoHangsUpBeforeTheAnswerCancels() throws {
        var script = CallScript(inviting: [1])
        try script.join(1)
        try script.offer(1, 0)
        try script.leave(0)
        #expect(script.call.endReason == .cancelled)
        #expect(try script.leave(0).isEmpty)
        #expect(script.state(of: 1) == .left)
    }

    @Test func callThatAllDeclineIsRejected() throws {
        var script = CallScript(inviting: [1, 2])
        try script.decline(1)
        #expect(script.call.state == .ringing)
        #expect(try script.decline(1).isEmpty)
        try script.decline(2)
        #expect(script.call.endReason == .rejected)
        #expect(script.call.endedBy == .fixture(2))
        #expect(try script.decline(2).isEmpty)
    }

    @Test func onlyWhatRingsCanBeDeclined() throws {
        var script = CallScript(inviting: [1])
        #expect(problem { () throws(Problem) in try script.decline(2) } == .illegalMove)
        try script.join(1)
        #expect(problem { () throws(Problem) in try script.decline(1) } == .illegalMove)
        try script.end(by: 0)
        #expect(problem { () throws(Problem) in try script.decline(1) } == .callEnded)
    }

    @Test func openInvitationRingsOnWhenItsOnlyJoinerLeaves() throws {
        var script = CallScript()
        try script.join(1)
        try script.offer(1, 0)
        #expect(script.call.state == .connecting)
        try script.leave(1)
        #expect(script.call.state == .ringing)
        try script.join(2)
        let offer = try script.offer(2, 0).id
        try script.answer(0, 2, offer: offer)
        #expect(script.call.state == .active)
    }

    @Test func declinedUserCanBeRungAgain() throws {
        var script = CallScript(inviting: [1, 2])
        try script.decline(1)
        #expect(try script.invite([1, 2], by: 0).contains(.ring(.fixture(1))))
        #expect(try script.invite([1, 2], by: 0).isEmpty)
        #expect(problem { () throws(Problem) in try script.invite([3], by: 2) } == .notJoined)
    }

    @Test func threeGoOnWhenOneLeaves() throws {
        var script = try CallScript.active()
        try script.join(2)
        try script.leave(0)
        #expect(script.call.state == .active)
        try script.leave(2)
        #expect(script.call.endReason == .completed)
    }

    @Test func sideOfTwoEndsTheCallAndOneOfThreeDoesNot() throws {
        var pair = try CallScript.active()
        try pair.end(by: 1)
        #expect(pair.call.endReason == .completed)
        #expect(try pair.end(by: 1).isEmpty)
        var three = try CallScript.active()
        try three.join(2)
        #expect(problem { () throws(Problem) in try three.end(by: 2) } == .forbidden)
        #expect(problem { () throws(Problem) in try three.end(by: 9) } == .forbidden)
        try three.end(by: 9, isModerator: true)
        #expect(three.call.endReason == .completed)
    }

    @Test func removedMemberIsOutAndTheCallFollows() throws {
        var script = try CallScript.active()
        _ = script.remove(1)
        #expect(script.call.endReason == .completed)
        var ringing = CallScript(inviting: [1])
        _ = ringing.remove(1)
        #expect(ringing.call.endReason == .cancelled)
        #expect(ringing.remove(1).isEmpty)
    }

    @Test func memberWhoseRingTheEndCutOffIsRemovedWithoutASecondEnd() throws {
        var script = CallScript(inviting: [1, 2])
        try script.end(by: 0)
        #expect(script.state(of: 1) == .invited)
        #expect(script.remove(1).isEmpty)
        #expect(script.call.endReason == .cancelled)
    }

    @Test func nothingMovesAnEndedCall() throws {
        var script = try CallScript.active()
        try script.end(by: 0)
        let rows = script.machine.rows
        #expect(problem { () throws(Problem) in try script.join(1) } == .callEnded)
        #expect(problem { () throws(Problem) in try script.offer(1, 0) } == .callEnded)
        #expect(problem { () throws(Problem) in try script.candidates(1, 0, ufrags: []) } == .callEnded)
        #expect(problem { () throws(Problem) in try script.report(1, .connected) } == .callEnded)
        #expect(problem { () throws(Problem) in try script.invite([2], by: 0) } == .callEnded)
        #expect(script.machine.rows == rows)
    }

    @Test func reportOfTheSameChangesNothing() throws {
        var script = try CallScript.active()
        #expect(
            try script.report(1, .disconnected) == [
                .announceParticipant(.fixture(1)), .record(.connection(.fixture(1), .disconnected)),
            ])
        #expect(try script.report(1, .disconnected).isEmpty)
        #expect(script.call.connectedAt == nil)
    }
}
