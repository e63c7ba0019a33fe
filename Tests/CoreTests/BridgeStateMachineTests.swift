import Core
import TestSupport
import Testing

/// When a session dials and what of the outbox goes when, line by line.
struct BridgeStateMachineTests {
    private let start = Timestamp.fixture

    private func at(_ seconds: Double) -> Timestamp { self.start.advanced(by: .milliseconds(Int64(seconds * 1000))) }

    private func message(_ seq: Int64, _ content: String? = nil) -> OutgoingMessage {
        OutgoingMessage(seq: seq, mark: "m\(seq)", content: content ?? "text \(seq)", metadata: .null)
    }

    /// A session that is live, with these in flight.
    private func live(_ seqs: ClosedRange<Int64>? = nil) -> BridgeStateMachine {
        var machine = BridgeStateMachine()
        #expect(machine.becameWanted(at: self.start) == [.connect, .load(after: 0)])
        let waiting = (seqs.map(Array.init) ?? []).map { self.message($0) }
        #expect(machine.loaded(waiting, isAll: true, at: self.start) == [])
        let sent: [BridgeStateMachine.Action] = waiting.isEmpty ? [] : [.send(waiting)]
        #expect(machine.welcomed(showing: [], at: self.start) == sent)
        return machine
    }

    @Test func whatWaitsGoesInOrderOnceWelcomed() {
        var machine = self.live(1...3)
        #expect(machine.echoed("m1", at: self.at(1)) == [.complete([1])])
        #expect(machine.queued(self.message(4), at: self.at(1)) == [.send([self.message(4)])])
        #expect(machine.echoed("m2", at: self.at(1)) == [.complete([2])])
        #expect(machine.echoed("m2", at: self.at(1)) == [], "an echo is seen by every session of ours")
        #expect(machine.echoed("m3", at: self.at(1)) == [.complete([3])])
        #expect(machine.echoed("m4", at: self.at(1)) == [.complete([4])])
        #expect(machine.isDrained)
    }

    @Test func retriesBackOffUpToTheirCapAndStartOverAfterASessionThatLasted() {
        var machine = BridgeStateMachine()
        _ = machine.becameWanted(at: self.start)
        var waits: [Duration] = []
        var now = self.start
        for _ in 0..<10 {
            _ = machine.disconnected(jitter: 1, at: now)
            guard case .waiting(let until) = machine.state else {
                Issue.record("does not wait")
                return
            }
            waits.append(until.duration(since: now))
            #expect(machine.deadlineReached(jitter: 0, at: now) == [], "not yet")
            now = until
            #expect(machine.deadlineReached(jitter: 0, at: now) == [.connect])
        }
        #expect(waits.prefix(4) == [.milliseconds(500), .seconds(1), .seconds(2), .seconds(4)])
        #expect(waits.last == .seconds(60))
        _ = machine.welcomed(showing: [], at: now)
        now = now.advanced(by: .seconds(10))
        _ = machine.disconnected(jitter: 0, at: now)
        #expect(machine.state == .waiting(until: now.advanced(by: .milliseconds(250))))
    }

    @Test func aSessionThatIsCutAtOnceDoesNotResetTheBackoff() {
        var machine = BridgeStateMachine()
        _ = machine.becameWanted(at: self.start)
        _ = machine.disconnected(jitter: 1, at: self.start)
        _ = machine.deadlineReached(jitter: 1, at: self.at(0.5))
        _ = machine.welcomed(showing: [], at: self.at(0.5))
        _ = machine.disconnected(jitter: 1, at: self.at(1))
        #expect(machine.state == .waiting(until: self.at(2)))
    }

    @Test func aWelcomeThatDoesNotComeIsAnAttemptThatFailed() {
        var machine = BridgeStateMachine()
        _ = machine.becameWanted(at: self.start)
        #expect(machine.deadlineReached(jitter: 0, at: self.at(15)) == [.disconnect])
        #expect(machine.state == .waiting(until: self.at(15.25)))
        #expect(machine.welcomed(showing: [], at: self.at(15)) == [], "it came too late")
    }

    @Test func whatTheHistoryShowsIsDoneAndTheRestGoesAgain() {
        var machine = self.live(1...4)
        _ = machine.disconnected(jitter: 0, at: self.at(1))
        #expect(machine.deadlineReached(jitter: 0, at: self.at(2)) == [.connect])
        // 1 has left the history already, but the room took it before 2.
        let again = machine.welcomed(showing: ["m2", "other"], at: self.at(2))
        #expect(again == [.complete([1, 2]), .send([self.message(3), self.message(4)])])
    }

    @Test func whatIsLoadedAfterTheWelcomeIsLookedForInTheHistoryToo() {
        var machine = BridgeStateMachine()
        _ = machine.becameWanted(at: self.start)
        _ = machine.welcomed(showing: ["m1"], at: self.start)
        let actions = machine.loaded([self.message(1), self.message(2)], isAll: true, at: self.start)
        #expect(actions == [.complete([1]), .send([self.message(2)])])
    }

    @Test func whatARoomPassesOverItHasRefused() {
        var machine = self.live(1...3)
        #expect(machine.echoed("m3", at: self.at(1)) == [.giveUp([1, 2]), .complete([3])])
    }

    @Test func aMessageThatIsNeverEchoedIsGivenUpInTheEnd() {
        var machine = self.live(1...1)
        for attempt in 1...3 {
            guard let deadline = machine.deadline else {
                Issue.record("waits for nothing")
                return
            }
            let actions = machine.deadlineReached(jitter: 0, at: deadline)
            #expect(actions == (attempt < 3 ? [.disconnect] : [.giveUp([1]), .disconnect]))
            guard attempt < 3, let retry = machine.deadline else { continue }
            #expect(machine.deadlineReached(jitter: 0, at: retry) == [.connect])
            #expect(machine.welcomed(showing: [], at: retry) == [.send([self.message(1)])])
        }
    }

    @Test func aRoomThatKeepsNoMetadataIsRecognisedByContent() {
        var machine = self.live()
        _ = machine.queued(self.message(1, "yes"), at: self.start)
        _ = machine.queued(self.message(2, "yes"), at: self.start)
        #expect(machine.echoedUnmarked("yes", at: self.start) == [.complete([1])])
        #expect(machine.echoedUnmarked("no", at: self.start) == [])
        #expect(machine.echoedUnmarked("yes", at: self.start) == [.complete([2])])
    }

    @Test func aLongOutboxIsHeldInPartsAndNothingIsLeftOut() {
        var settings = BridgeStateMachine.Settings()
        (settings.queueMax, settings.inFlightMax) = (4, 2)
        var machine = BridgeStateMachine(settings)
        _ = machine.becameWanted(at: self.start)
        _ = machine.welcomed(showing: [], at: self.start)
        let first = (1...4).map { self.message($0) }
        #expect(machine.loaded(first, isAll: false, at: self.start) == [.send([first[0], first[1]])])
        #expect(machine.queued(self.message(7), at: self.start) == [], "it stands behind 5 and 6 in the outbox")
        #expect(machine.echoed("m1", at: self.start) == [.complete([1]), .send([first[2]])])
        #expect(machine.echoed("m2", at: self.start) == [.complete([2]), .send([first[3]]), .load(after: 4)])
        #expect(machine.queued(self.message(8), at: self.start) == [], "on its way")
        let second = (5...7).map { self.message($0) }
        #expect(machine.loaded(second, isAll: true, at: self.start) == [])
        #expect(machine.echoed("m4", at: self.start).contains(.giveUp([3])))
        #expect(machine.echoed("m5", at: self.start).contains(.load(after: 7)), "8 was missed")
    }

    @Test func aHistoryThatShowsAllThatIsHeldMakesRoomForTheRest() {
        var settings = BridgeStateMachine.Settings()
        settings.queueMax = 2
        var machine = BridgeStateMachine(settings)
        _ = machine.becameWanted(at: self.start)
        _ = machine.loaded([self.message(1), self.message(2)], isAll: false, at: self.start)
        #expect(machine.welcomed(showing: ["m2"], at: self.start) == [.complete([1, 2]), .load(after: 2)])
    }

    @Test func anIdleSessionSaysGoodbyeAndKeepsItsOutbox() {
        var machine = self.live(1...1)
        #expect(machine.becameUnwanted() == [.disconnect])
        #expect(machine.disconnected(jitter: 0, at: self.at(1)) == [], "its own doing")
        #expect(machine.becameWanted(at: self.at(2)) == [.connect])
        #expect(machine.welcomed(showing: [], at: self.at(2)) == [.send([self.message(1)])])
    }
}
