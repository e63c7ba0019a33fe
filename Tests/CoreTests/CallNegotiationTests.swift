import Core
import TestSupport
import Testing

/// Offers, answers, glare, and candidates behind their description.
struct CallNegotiationTests {
    @Test func signalsPassBetweenJoinedParticipantsOnly() throws {
        var script = CallScript(inviting: [1])
        #expect(problem { () throws(Problem) in try script.offer(0, 1) } == .notJoined)
        #expect(problem { () throws(Problem) in try script.offer(1, 0) } == .notJoined)
        #expect(problem { () throws(Problem) in try script.offer(0, 0) } == .notJoined)
        try script.join(1)
        #expect(problem { () throws(Problem) in try script.offer(1, 0, device: 12) } == .joinedElsewhere)
        #expect(try script.offer(1, 0).actions.delivered.count == 1)
    }

    @Test func newOfferOfTheSameSenderSupersedes() throws {
        var script = CallScript()
        try script.join(1)
        let first = try script.offer(0, 1).id
        let second = try script.offer(0, 1)
        #expect(second.actions.superseded(first) == [.fixture(0), .fixture(1)])
        #expect(problem { () throws(Problem) in try script.answer(1, 0, offer: first) } == .staleOffer)
        #expect(problem { () throws(Problem) in try script.answer(1, 0, offer: second.id) } == nil)
        #expect(problem { () throws(Problem) in try script.answer(1, 0, offer: second.id) } == .staleOffer)
    }

    @Test func impoliteOfferSupersedesThePoliteOne() throws {
        var script = CallScript()
        try script.join(1)
        let polite = try script.offer(0, 1).id
        let impolite = try script.offer(1, 0)
        #expect(impolite.actions.superseded(polite) == [.fixture(0), .fixture(1)])
        #expect(impolite.actions.delivered == [impolite.id])
        #expect(problem { () throws(Problem) in try script.answer(1, 0, offer: polite) } == .staleOffer)
        #expect(problem { () throws(Problem) in try script.answer(0, 1, offer: impolite.id) } == nil)
    }

    @Test func politeOfferAgainstAPendingOneIsGlare() throws {
        var script = CallScript()
        try script.join(1)
        let pending = try script.offer(1, 0).id
        do {
            try script.offer(0, 1)
            Issue.record("the polite side's offer was taken")
        } catch {
            #expect(error.kind == .glare)
            #expect(error.members["offer"] == .string(pending.text))
        }
        #expect(problem { () throws(Problem) in try script.answer(0, 1, offer: pending) } == nil)
    }

    @Test func onlyTheSideThatWasAskedAnswers() throws {
        var script = CallScript()
        try script.join(1)
        let offer = try script.offer(1, 0).id
        #expect(problem { () throws(Problem) in try script.answer(1, 0, offer: offer) } == .staleOffer)
        #expect(problem { () throws(Problem) in try script.reject(1, 0, offer: offer) } == .staleOffer)
        #expect(problem { () throws(Problem) in try script.reject(0, 1, offer: .fixture(99)) } == .staleOffer)
    }

    @Test func rejectedOffererIsOutAndAnOpenCallRingsOn() throws {
        var script = CallScript()
        try script.join(1)
        let offer = try script.offer(1, 0).id
        let actions = try script.reject(0, 1, offer: offer)
        #expect(actions.delivered.count == 1)
        #expect(script.state(of: 1) == .rejected)
        #expect(script.call.state == .ringing)
    }

    @Test func rejectedOfferEndsACallThatRangSomebody() throws {
        var script = CallScript(inviting: [1])
        try script.join(1)
        try script.offer(1, 0)
        let actions = try script.reject(0, 1)
        #expect(script.call.endReason == .rejected && script.call.endedBy == .fixture(0))
        #expect(actions.delivered.isEmpty)
        #expect(actions.last == .forgetAllSignals)
    }

    @Test func rejectedRenegotiationChangesNothingElse() throws {
        var script = try CallScript.active()
        let offer = try script.offer(0, 1).id
        #expect(try script.reject(1, 0, offer: offer).delivered.count == 1)
        #expect(script.call.state == .active)
        #expect(script.state(of: 0) == .joined)
    }

    // MARK: Candidates

    @Test func earlyCandidatesFollowTheirDescriptionInOrder() throws {
        var script = CallScript()
        try script.join(1)
        let other = try script.candidates(1, 0, ufrags: ["x"])
        let first = try script.candidates(1, 0, ufrags: ["u"])
        let second = try script.candidates(1, 0, ufrags: [])
        #expect((other.actions + first.actions + second.actions).isEmpty)
        let offer = try script.offer(1, 0, ufrags: ["u"])
        #expect(offer.actions.delivered == [offer.id, first.id, second.id])
        let late = try script.candidates(1, 0, ufrags: ["u"])
        #expect(late.actions.delivered == [late.id])
        #expect(script.machine.rows.held.map(\.signal) == [other.id])
    }

    @Test func candidatesOfOneSideDoNotWaitForTheOther() throws {
        var script = CallScript()
        try script.join(1)
        let offer = try script.offer(1, 0, ufrags: ["u"]).id
        let early = try script.candidates(0, 1, ufrags: ["v"])
        #expect(early.actions.isEmpty)
        let answer = try script.answer(0, 1, offer: offer, ufrags: ["v"])
        #expect(answer.actions.delivered == [answer.id, early.id])
    }

    @Test func candidatesToWhoAsksTheirUserFirstWaitForTheAnswer() throws {
        var script = CallScript()
        try script.join(0, holds: true)
        try script.join(1)
        let offer = try script.offer(1, 0, ufrags: ["u"])
        let early = try script.candidates(1, 0, ufrags: ["u"])
        #expect(offer.actions.delivered == [offer.id])
        #expect(early.actions.isEmpty)
        let answer = try script.answer(0, 1, offer: offer.id)
        #expect(answer.actions.delivered == [answer.id, early.id])
        // The same generation does not wait again when it is renegotiated.
        try script.offer(1, 0, ufrags: ["u"])
        #expect(try script.candidates(1, 0, ufrags: ["u"]).actions.delivered.count == 1)
    }

    @Test func heldCandidatesOfARejectedOfferVanish() throws {
        var script = try CallScript.active()
        try script.join(0, holds: true)
        let first = try script.offer(1, 0, ufrags: ["u"]).id
        try script.answer(0, 1, offer: first)
        try script.offer(1, 0, ufrags: ["restart"])
        try script.candidates(1, 0, ufrags: ["restart"])
        #expect(script.machine.rows.held.count == 1)
        try script.reject(0, 1)
        #expect(script.machine.rows.held.isEmpty)
        #expect(problem { () throws(Problem) in try script.candidates(1, 0, ufrags: ["restart"]) } == .staleOffer)
    }

    @Test func candidatesOfASupersededOfferPassWithItsSuccessorOfTheSameGeneration() throws {
        var script = CallScript()
        try script.join(0, holds: true)
        try script.join(1)
        try script.offer(1, 0, ufrags: ["u"])
        let early = try script.candidates(1, 0, ufrags: ["u"]).id
        let offer = try script.offer(1, 0, ufrags: ["u"])
        #expect(offer.actions.delivered == [offer.id])
        let answer = try script.answer(0, 1, offer: offer.id)
        #expect(answer.actions.delivered == [answer.id, early])
    }

    @Test func fullQueueRefusesTheWholeBatchAndTheRecordTells() throws {
        var script = CallScript()
        try script.join(1)
        #expect(try script.candidates(1, 0, ufrags: [], count: Limits.heldCandidatesMax - 1).actions.isEmpty)
        let refused = try script.candidates(1, 0, ufrags: ["u"], count: 2)
        #expect(refused.actions.refusal == .candidateQueueFull)
        #expect(refused.actions.contains(.record(.dropped(from: .fixture(1), to: .fixture(0), total: 2))))
        #expect(try script.candidates(1, 0, ufrags: ["u"], count: 1).actions.isEmpty)
        #expect(try script.candidates(0, 1, ufrags: ["u"], count: 1).actions.isEmpty)
        let offer = try script.offer(1, 0, ufrags: ["u"])
        #expect(offer.actions.delivered.count == 3)
    }

    @Test func generationHasABoundAndARestartBeginsAnother() throws {
        var script = try CallScript.active()
        let most = Limits.candidatesPerGenerationMax
        #expect(try script.candidates(1, 0, ufrags: ["u"], count: most).actions.delivered.count == 1)
        #expect(try script.candidates(1, 0, ufrags: ["u"]).actions.refusal == .candidateQueueFull)
        try script.offer(1, 0, ufrags: ["restarted"])
        #expect(try script.candidates(1, 0, ufrags: ["restarted"]).actions.delivered.count == 1)
    }

    @Test func floodOfRefusedCandidatesLeavesFewLinesInTheRecord() throws {
        var script = try CallScript.active()
        try script.candidates(1, 0, ufrags: ["u"], count: Limits.candidatesPerGenerationMax)
        var lines = 0
        var dropped = 0
        for _ in 1...1000 {
            for action in try script.candidates(1, 0, ufrags: ["u"]).actions {
                if case .record = action { lines += 1 }
                if case .countDropped(let count) = action { dropped += count }
            }
        }
        #expect(lines == 10 && dropped == 1000)
    }

    @Test func rememberedDescriptionsAreBounded() throws {
        var script = try CallScript.active()
        for number in 1...50 { try script.offer(1, 0, ufrags: ["r\(number)"]) }
        #expect(script.machine.rows.descriptions.count <= 2 * Limits.descriptionsPerPairMax)
        // The pair still has media, so declining does not put anybody out.
        try script.reject(0, 1)
        #expect(script.state(of: 1) == .joined)
    }

    @Test func encryptedDescriptionCarriesAnyCandidates() throws {
        var script = CallScript()
        try script.join(1)
        let early = try script.candidates(1, 0, ufrags: []).id
        let offer = try script.offer(1, 0, ufrags: [])
        #expect(offer.actions.delivered == [offer.id, early])
        #expect(try script.candidates(1, 0, ufrags: ["any"]).actions.delivered.count == 1)
    }
}
