import Core
import TestSupport
import Testing

/// What time brings to a call. User 0 calls; a step of the script takes a second.
struct CallClockTests {
    // MARK: Rings

    @Test func ringThatNobodyAnswersIsMissedAtItsTimeAndOnlyOnce() {
        var script = CallScript(inviting: [1])
        #expect(script.machine.rows.deadline == Timestamp.fixture.advanced(by: .seconds(60)))
        #expect(script.wait(.milliseconds(59_999)).isEmpty)
        let actions = script.wait(.milliseconds(1))
        #expect(
            actions == [
                .record(.participant(.fixture(1), .left, leg: nil, reason: "missed")),
                .announceParticipant(.fixture(1)), .record(.ended(.missed, by: nil)), .announceEnded,
                .forgetAllSignals,
            ])
        #expect(script.call.endReason == .missed && script.call.endedBy == nil)
        #expect(script.machine.rows.deadline == nil)
        #expect(script.wait(.seconds(86_400)).isEmpty)
    }

    @Test func ringOfOneEndsWhileThatOfAnotherGoesOn() throws {
        var script = CallScript(inviting: [1])
        script.wait(.seconds(30))
        _ = try script.invite([2], by: 0)
        #expect(script.wait(.seconds(29)).contains(.announceParticipant(.fixture(1))))
        #expect(script.state(of: 1) == .left && script.state(of: 2) == .invited)
        #expect(script.call.state == .ringing)
        script.wait(.seconds(31))
        #expect(script.call.endReason == .missed)
    }

    @Test func missedUserMayStillJoinWhatGoesOn() throws {
        var script = CallScript(inviting: [1, 2])
        try script.join(2)
        try script.answer(0, 2, offer: script.offer(2, 0).id)
        script.wait(.seconds(60))
        #expect(script.state(of: 1) == .left)
        try script.join(1)
        #expect(script.state(of: 1) == .joined)
    }

    @Test func answeredRingHasNoClock() throws {
        var script = CallScript(inviting: [1])
        script.wait(.seconds(58))
        try script.join(1)
        #expect(script.wait(.milliseconds(59_999)).isEmpty)
        #expect(script.call.state == .ringing)
    }

    @Test func joinerWhoNeverOffersIsPutOutAsIfTheOfferWasNotAnswered() throws {
        var rung = CallScript(inviting: [1])
        try rung.join(1)
        let actions = rung.wait(.seconds(60))
        #expect(
            actions.contains(.record(.participant(.fixture(1), .rejected, leg: .fixture(1001), reason: "no-offer"))))
        #expect(rung.call.endReason == .rejected && rung.call.endedBy == nil)
        #expect(rung.machine.rows.legs.map(\.endReason) == [.ended, .timeout])

        var open = CallScript()
        try open.join(1)
        open.wait(.seconds(60))
        #expect(open.state(of: 1) == .rejected && open.call.state == .ringing)
    }

    @Test func whoeverHasOfferedOrWasOfferedToOnceMayStay() throws {
        // The first one there has nobody to offer to; the peer of a reloaded page waits for its offer.
        var script = try CallScript.active()
        try script.join(1)
        #expect(script.wait(.milliseconds(59_999)).isEmpty)
        #expect(script.wait(.milliseconds(1)).contains(.announceEnded))
        #expect(script.call.endReason == .completed)
        #expect(script.state(of: 1) == .rejected && script.state(of: 0) == .left)

        // A mesh in which the hub leaves: the others had their offers.
        var mesh = CallScript()
        for user in [1, 2] {
            try mesh.join(user)
            try mesh.answer(0, user, offer: mesh.offer(user, 0).id)
        }
        try mesh.leave(0)
        #expect(mesh.wait(.seconds(120)).isEmpty)
        #expect(mesh.call.state == .active)
    }

    @Test func lateTurnDecidesAsAnEarlyOneWouldHave() {
        // The server was down for a day: the ring was over long before the twelve hours were.
        var script = CallScript(inviting: [1])
        script.wait(.seconds(86_400))
        #expect(script.call.endReason == .missed)
    }

    @Test func openInvitationIsMissedByNobodyAndCancelledAfterAnHour() throws {
        var script = CallScript()
        #expect(script.wait(.seconds(3599)).isEmpty)
        script.wait(.seconds(1))
        #expect(script.call.endReason == .cancelled && script.call.endedBy == nil)

        var taken = CallScript()
        try taken.join(1)
        let offer = try taken.offer(1, 0).id
        try taken.answer(0, 1, offer: offer)
        #expect(taken.wait(.seconds(3600)).isEmpty)
    }

    @Test func openInvitationEndsWithItsInitiator() throws {
        var script = CallScript()
        try script.leave(0)
        #expect(script.call.endReason == .cancelled && script.call.endedBy == .fixture(0))
    }

    @Test func waitingRingThatIsNotAnsweredEndsBusy() throws {
        var script = CallScript(inviting: [1], busy: [1])
        #expect(script.creation.contains(.record(.invited(.fixture(1), by: .fixture(0), isBusy: true))))
        #expect(script.creation.contains(.ring(.fixture(1))))
        #expect(script.machine.participant(.fixture(1))?.isBusy == true)
        script.wait(.seconds(60))
        #expect(script.call.endReason == .busy && script.call.endedBy == nil)
    }

    @Test func waitingRingCanBeAnsweredAndDeclined() throws {
        var answered = CallScript(inviting: [1], busy: [1])
        try answered.join(1)
        #expect(answered.machine.participant(.fixture(1))?.isBusy == false)
        var declined = CallScript(inviting: [1], busy: [1])
        try declined.decline(1)
        #expect(declined.call.endReason == .rejected)
    }

    @Test func lastToGoSaysHowAnUnansweredCallEnds() throws {
        var missed = CallScript(inviting: [1, 2])
        try missed.decline(1)
        missed.wait(.seconds(60))
        #expect(missed.call.endReason == .missed)
        var declined = CallScript(inviting: [1])
        declined.wait(.seconds(30))
        _ = try declined.invite([2], by: 0)
        declined.wait(.seconds(30))
        try declined.decline(2)
        #expect(declined.call.endReason == .rejected)
        #expect(declined.state(of: 1) == .left)
    }

    // MARK: Offers

    @Test func initialOfferUnansweredForAMinuteIsRejectedAndAnOpenCallRingsOn() throws {
        var script = CallScript()
        try script.join(1)
        let offer = try script.offer(1, 0).id
        #expect(script.wait(.milliseconds(59_999)).isEmpty)
        let actions = script.wait(.milliseconds(1))
        #expect(actions.timedOut(offer) == [.fixture(1)])
        #expect(actions.contains(.record(.offerTimedOut(offer, from: .fixture(1), to: .fixture(0)))))
        #expect(script.state(of: 1) == .rejected)
        #expect(script.call.state == .ringing)
        #expect(problem { () throws(Problem) in try script.answer(0, 1, offer: offer) } == .notJoined)
    }

    @Test func initialOfferUnansweredEndsACallThatRangSomebody() throws {
        var script = CallScript(inviting: [1])
        try script.join(1)
        let offer = try script.offer(1, 0).id
        let actions = script.wait(.seconds(60))
        #expect(script.call.endReason == .rejected && script.call.endedBy == nil)
        #expect(actions.timedOut(offer).isEmpty, "nothing is delivered with the end")
        #expect(actions.last == .forgetAllSignals)
    }

    @Test func supersedingOfferHasItsOwnMinute() throws {
        var script = CallScript()
        try script.join(1)
        try script.offer(1, 0)
        script.wait(.seconds(50))
        try script.offer(1, 0)
        #expect(script.wait(.seconds(59)).isEmpty)
        #expect(!script.wait(.seconds(1)).isEmpty)
    }

    @Test func unansweredRenegotiationLapsesAfterThirtySeconds() throws {
        var script = try CallScript.active()
        let offer = try script.offer(0, 1, ufrags: ["w"]).id
        #expect(script.wait(.milliseconds(29_999)).isEmpty)
        #expect(script.wait(.milliseconds(1)).timedOut(offer) == [.fixture(0)])
        #expect(script.call.state == .active)
        #expect(script.state(of: 0) == .joined)
        #expect(problem { () throws(Problem) in try script.answer(1, 0, offer: offer) } == .staleOffer)
        #expect(problem { () throws(Problem) in try script.offer(1, 0) } == nil)
    }

    @Test func offererWithMediaElsewhereStaysWhenAPeerDoesNotAnswer() throws {
        var script = try CallScript.active()
        try script.join(2)
        let offer = try script.offer(0, 2).id
        #expect(script.wait(.seconds(60)).timedOut(offer) == [.fixture(0)])
        #expect(script.state(of: 0) == .joined)
        #expect(script.call.state == .active)
    }

    @Test func candidatesWhoseDescriptionNeverCameExpireAndTheirSenderIsTold() throws {
        var script = try CallScript.active()
        let early = try script.candidates(1, 0, ufrags: ["never"]).id
        #expect(script.wait(.milliseconds(74_999)).isEmpty)
        #expect(script.wait(.milliseconds(1)) == [.tellExpired(early, device: CallScript.device(1))])
        #expect(script.machine.rows.held.isEmpty)
    }

    @Test func heldCandidatesExpireWithTheirCall() throws {
        var script = try CallScript.active()
        let early = try script.candidates(1, 0, ufrags: ["never"]).id
        let actions = try script.leave(0)
        #expect(actions.contains(.tellExpired(early, device: CallScript.device(1))))
        #expect(actions.suffix(2) == [.announceEnded, .forgetAllSignals])
    }

    // MARK: Failure and the longest call

    @Test func callFailsWhenEveryJoinedParticipantHasReportedFailedForHalfAMinute() throws {
        var script = try CallScript.active()
        _ = try script.report(0, .failed)
        #expect(script.wait(.seconds(60)).isEmpty, "one side alone")
        _ = try script.report(1, .failed)
        #expect(script.wait(.milliseconds(29_999)).isEmpty)
        script.wait(.milliseconds(1))
        #expect(script.call.endReason == .failed && script.call.endedBy == nil)
    }

    @Test func recoveryOfOneSideStopsTheClockOfFailure() throws {
        var script = try CallScript.active()
        _ = try script.report(0, .failed)
        _ = try script.report(1, .failed)
        script.wait(.seconds(20))
        // The same again is no news and does not begin the half minute anew.
        _ = try script.report(0, .failed)
        _ = try script.report(1, .connected)
        #expect(script.wait(.seconds(60)).isEmpty)
        _ = try script.report(1, .failed)
        #expect(script.wait(.seconds(29)).isEmpty)
        script.wait(.seconds(1))
        #expect(script.call.endReason == .failed)
    }

    @Test func reloadedPageHasNotFailed() throws {
        var script = try CallScript.active()
        _ = try script.report(0, .failed)
        _ = try script.report(1, .failed)
        try script.join(1)
        try script.offer(1, 0)
        script.wait(.seconds(59))
        #expect(script.call.state == .active)
    }

    @Test func noCallIsLongerThanTwelveHours() throws {
        var script = try CallScript.active()
        let most = Duration.seconds(12 * 3600)
        #expect(script.wait(most - script.now.duration(since: .fixture) - .milliseconds(1)).isEmpty)
        script.wait(.milliseconds(1))
        #expect(script.call.endReason == .tooLong && script.call.endedBy == nil)
    }

    // MARK: Leases

    @Test func lostSideEndsAnActiveCallOfTwo() throws {
        var script = try CallScript.active()
        let leg = script.machine.participant(.fixture(1))?.leg
        let actions = script.lose(1)
        #expect(actions.first == .record(.participant(.fixture(1), .lost, leg: leg, reason: nil)))
        #expect(script.state(of: 1) == .lost && script.state(of: 0) == .left)
        #expect(script.call.endReason == .lost && script.call.endedBy == nil)
    }

    @Test func threeGoOnWhenOneIsLost() throws {
        var script = try CallScript.active()
        try script.join(2)
        script.lose(0)
        #expect(script.call.state == .active)
        script.lose(2)
        #expect(script.call.endReason == .lost)
    }

    @Test func callerWhoIsLostWhileItRingsEndsTheCall() {
        var script = CallScript(inviting: [1])
        script.lose(0)
        #expect(script.call.endReason == .lost)
    }

    @Test func openInvitationRingsOnWhenItsOnlyJoinerIsLost() throws {
        var script = CallScript()
        try script.join(1)
        try script.offer(1, 0)
        script.lose(1)
        #expect(script.call.state == .ringing && script.state(of: 1) == .lost)
    }

    @Test func leaseOfAnEarlierLegTakesNobodyOut() throws {
        var script = try CallScript.active()
        let former = try #require(script.machine.participant(.fixture(1))?.leg)
        try script.join(1, device: 12, takeover: true)
        #expect(script.machine.leaseLapsed(.fixture(1), leg: former, at: script.now).isEmpty)
        try script.leave(1, device: 12)
        #expect(script.lose(1).isEmpty)
    }

    @Test func onlyWhoIsJoinedHasALease() throws {
        var script = CallScript(inviting: [1])
        let lease = { (script: CallScript, user: Int) in script.machine.participant(.fixture(user))?.leaseCheckAt }
        #expect(lease(script, 0) != nil && lease(script, 1) == nil)
        try script.join(1)
        #expect(lease(script, 1) != nil)
        try script.leave(1)
        #expect(script.machine.rows.participants.allSatisfy { $0.leaseCheckAt == nil })
    }

    // MARK: Ending

    @Test func hangupAndAnswerHaveOneWinner() throws {
        var script = CallScript(inviting: [1])
        try script.join(1)
        let offer = try script.offer(1, 0).id
        var answeredFirst = script
        try answeredFirst.answer(0, 1, offer: offer)
        try answeredFirst.leave(1)
        #expect(answeredFirst.call.endReason == .completed)
        try script.leave(1)
        #expect(problem { () throws(Problem) in try script.answer(0, 1, offer: offer) } == .callEnded)
        #expect(script.call.endReason == .cancelled && script.call.answeredAt == nil)
    }

    @Test func administratorWhoWasNeverInTheCallEndsItAsSuch() throws {
        var script = try CallScript.active()
        _ = try script.machine.endRequested(
            by: .fixture(9), isModerator: true, isAdmin: true, reason: "spam", at: script.now)
        #expect(script.call.endReason == .endedByAdmin && script.call.endedBy == .fixture(9))
        var own = try CallScript.active()
        _ = try own.machine.endRequested(
            by: .fixture(1), isModerator: true, isAdmin: true, reason: nil, at: own.now)
        #expect(own.call.endReason == .completed)
    }

    @Test func peerIsAskedForAnOfferAndForAnICERestartWhileTheCallIsActive() throws {
        var script = try CallScript.active()
        for type in [SignalType.renegotiate, .restartICE] {
            let actions = try script.ask(1, 0, type)
            #expect(actions.delivered.count == 1)
        }
        // The peer's new offer is an ICE generation of its own; the call stays as it is.
        let offer = try script.offer(0, 1, ufrags: ["restarted"]).id
        try script.answer(1, 0, offer: offer, ufrags: ["too"])
        #expect(script.call.state == .active)
    }

    @Test func rejoiningAfterHavingLeftForgetsTheFormerLegsSignals() throws {
        var script = try CallScript.active()
        try script.join(2)
        let former = try #require(script.machine.participant(.fixture(2))?.leg)
        try script.leave(2)
        #expect(try script.join(2).first == .forgetSignals(of: former))
    }
}

extension [CallAction] {
    /// Who is told that this offer was not answered in time.
    fileprivate func timedOut(_ offer: SignalID) -> [UserID] {
        self.compactMap { action in
            if case .tellTimedOut(offer, let route) = action { route.to } else { nil }
        }
    }
}
