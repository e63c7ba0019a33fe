import Gateway
import TestSupport
import Testing

private typealias Machine = RequestSwitchStateMachine

/// Who answers what comes on a connection.
struct RequestSwitchStateMachineTests {
    @Test func anExpressRequestIsReadAnsweredAndFollowedByTheNext() {
        var machine = Machine()
        #expect(machine.mayTakeExpress && machine.awaitsClient)
        #expect(machine.headReceived(isExpress: true) == .toExpress)
        #expect(machine.contentReceived(isEnd: false) == .toExpress)
        #expect(machine.awaitsClient)
        #expect(machine.contentReceived(isEnd: true) == .toExpress)
        #expect(!machine.awaitsClient)
        #expect(machine.expressAnswered() == .read)
        #expect(machine.expressAnswered() == .nothing)
        #expect(machine.mayTakeExpress)
    }

    @Test func theLastRequestIsAnsweredBehindTheOthersAndNothingIsTakenBehindIt() {
        var machine = Machine()
        #expect(machine.headReceived(isExpress: false) == .toRouter)
        #expect(machine.contentReceived(isEnd: true) == .toRouter)
        #expect(machine.headReceived(isExpress: false, isLast: true) == .toRouter)
        #expect(machine.contentReceived(isEnd: false) == .toRouter)
        #expect(!machine.isAnsweringLast)
        #expect(machine.routerAnswered() == .nothing)
        #expect(machine.isAnsweringLast)
        #expect(machine.contentReceived(isEnd: true) == .toRouter)
        #expect(machine.headReceived(isExpress: false) == .drop)
        #expect(machine.contentReceived(isEnd: true) == .drop)
        #expect(machine.routerAnswered() == .nothing)
        // Should its client not close the connection, the idle timeout does.
        #expect(machine.awaitsClient && !machine.mayTakeExpress)
        #expect(machine.headReceived(isExpress: true) == .drop)
    }

    @Test func theLastRequestWaitsBehindAnExpressOne() {
        var machine = Machine()
        _ = machine.headReceived(isExpress: true)
        _ = machine.contentReceived(isEnd: true)
        #expect(machine.headReceived(isExpress: false, isLast: true) == .hold)
        #expect(!machine.isAnsweringLast)
        #expect(machine.expressAnswered() == .read)
        #expect(machine.headReceived(isExpress: false, isLast: true) == .toRouter)
        #expect(machine.isAnsweringLast)
    }

    @Test func whatComesBehindAnExpressRequestIsHeld() {
        var machine = Machine()
        _ = machine.headReceived(isExpress: true)
        _ = machine.contentReceived(isEnd: true)
        #expect(!machine.mayTakeExpress)
        #expect(machine.headReceived(isExpress: false) == .hold)
        #expect(machine.contentReceived(isEnd: true) == .hold)
    }

    @Test func aRequestBehindARoutedOneIsRoutedToo() {
        var machine = Machine()
        #expect(machine.headReceived(isExpress: false) == .toRouter)
        #expect(machine.contentReceived(isEnd: true) == .toRouter)
        #expect(!machine.mayTakeExpress)
        #expect(machine.headReceived(isExpress: false) == .toRouter)
        #expect(machine.contentReceived(isEnd: true) == .toRouter)
        #expect(machine.routerAnswered() == .nothing)
        #expect(!machine.mayTakeExpress)
        #expect(machine.routerAnswered() == .nothing)
        #expect(machine.mayTakeExpress)
    }

    @Test func anEarlyAnswerLeavesTheRestOfItsBodyWithTheRouter() {
        var machine = Machine()
        _ = machine.headReceived(isExpress: false)
        #expect(machine.routerAnswered() == .nothing)
        #expect(!machine.mayTakeExpress)
        #expect(machine.contentReceived(isEnd: false) == .toRouter)
        #expect(machine.contentReceived(isEnd: true) == .toRouter)
        #expect(machine.mayTakeExpress)
    }

    @Test func aBodyThatIsWaitedForIsAskedForBehindTheAnswersBeforeIt() {
        var machine = Machine()
        _ = machine.headReceived(isExpress: false)
        #expect(machine.continueExpected() == true)
        _ = machine.contentReceived(isEnd: true)
        _ = machine.headReceived(isExpress: false)
        #expect(machine.continueExpected() == false)
        #expect(machine.routerAnswered() == .askForContent)
        #expect(machine.contentReceived(isEnd: true) == .toRouter)
        #expect(machine.routerAnswered() == .nothing)
    }

    @Test func aBodyThatCameUnaskedIsNotAskedFor() {
        var machine = Machine()
        _ = machine.headReceived(isExpress: false)
        _ = machine.contentReceived(isEnd: true)
        _ = machine.headReceived(isExpress: false)
        #expect(machine.continueExpected() == false)
        _ = machine.contentReceived(isEnd: false)
        #expect(machine.routerAnswered() == .nothing)
        machine.closed()
        #expect(machine.continueExpected() == false)
    }

    @Test func aDeclinedRequestIsTheRoutersOnceAndOnlyWhileNobodyAnsweredIt() {
        var machine = Machine()
        _ = machine.headReceived(isExpress: true)
        _ = machine.contentReceived(isEnd: true)
        #expect(machine.expressDeclined() == true)
        #expect(machine.expressDeclined() == false)
        #expect(machine.expressAnswered() == .nothing)
        #expect(machine.routerAnswered() == .nothing)
        #expect(machine.mayTakeExpress)
        #expect(machine.expressDeclined() == false)
    }

    @Test func aRepeatedPollIsAnsweredOrComesOnceMore() {
        var machine = Machine()
        machine.repeatedPollReceived()
        #expect(!machine.mayTakeExpress && !machine.awaitsClient)
        #expect(machine.expressAnswered() == .read)
        machine.repeatedPollReceived()
        #expect(machine.repeatedPollDeclined() == true)
        #expect(machine.repeatedPollDeclined() == false)
        #expect(machine.headReceived(isExpress: false) == .toRouter)
    }

    @Test func aConnectionThatMayNotGoOnClosesBehindItsLastAnswer() {
        var idle = Machine()
        #expect(idle.quiesced() == true)
        var routed = Machine()
        _ = routed.headReceived(isExpress: false)
        _ = routed.contentReceived(isEnd: true)
        #expect(routed.quiesced() == false)
        #expect(routed.routerAnswered() == .close)
        var express = Machine()
        _ = express.headReceived(isExpress: true)
        _ = express.contentReceived(isEnd: true)
        #expect(express.quiesced() == false)
        #expect(express.expressAnswered() == .close)
        #expect(!express.mayTakeExpress)
    }

    @Test func nothingFollowsTheEndOfTheConnection() {
        var machine = Machine()
        _ = machine.headReceived(isExpress: true)
        machine.closed()
        #expect(machine.contentReceived(isEnd: true) == .drop)
        #expect(machine.headReceived(isExpress: false) == .drop)
        #expect(machine.expressAnswered() == .nothing)
        #expect(machine.expressDeclined() == false)
        #expect(machine.repeatedPollDeclined() == false)
        #expect(!machine.awaitsClient)
    }

    /// Whatever comes when: every request is somebody's as a whole, answers come in the order of requests, and what was
    /// held is taken in its order.
    @Test(arguments: 0..<300 as Range<UInt64>)
    func requestsAreAnsweredInTheirOrder(seed: UInt64) {
        var run = SwitchRun(seed: seed)
        for _ in 0..<300 { run.step() }
        run.finish()
        #expect(run.complaints.isEmpty, "seed \(seed): \(run.complaints)")
    }
}

/// A connection that is played by the test: a client that sends parts of numbered requests, two lanes that answer.
private struct SwitchRun {
    private enum Part { case head, body, end }

    private var machine = Machine()
    private var generator: SeededGenerator
    private(set) var complaints: [String] = []

    private var sent = 0
    private var isSending = false
    private var held: [(Part, Int)] = []
    /// Whose a request is, by its head.
    private var isExpress: [Int: Bool] = [:]
    private var routed: [Int] = []
    private var express: (request: Int, isComplete: Bool)?
    private var answered: [Int] = []

    init(seed: UInt64) { self.generator = SeededGenerator(seed: seed) }

    mutating func step() {
        switch Int.random(in: 0..<10, using: &self.generator) {
        case 0..<6: self.send()
        case 6, 7: self.answerExpress(declining: Int.random(in: 0..<4, using: &self.generator) == 0)
        default: self.answerRouted()
        }
    }

    mutating func finish() {
        if self.isSending { self.take(.end, self.sent) }
        self.isSending = false
        for _ in 0...(2 * self.sent) {
            self.answerExpress(declining: false)
            self.answerRouted()
        }
        if self.answered != Array(0...self.sent).dropLast(self.isExpress[self.sent] == nil ? 1 : 0) {
            self.complaints.append("answered \(self.answered) of \(self.sent + 1)")
        }
    }

    private mutating func send() {
        guard self.isSending else {
            self.isSending = true
            return self.take(.head, self.sent)
        }
        if Bool.random(using: &self.generator) { return self.take(.body, self.sent) }
        self.take(.end, self.sent)
        self.isSending = false
        self.sent += 1
    }

    private mutating func take(_ part: Part, _ request: Int) {
        let place: Machine.Part
        if part == .head {
            let wantsExpress = self.machine.mayTakeExpress && Bool.random(using: &self.generator)
            place = self.machine.headReceived(isExpress: wantsExpress)
        } else {
            place = self.machine.contentReceived(isEnd: part == .end)
        }
        switch place {
        case .hold: return self.held.append((part, request))
        case .drop: return self.complaints.append("\(part) of \(request) was dropped")
        case .toExpress, .toRouter: break
        }
        let isExpress = place == .toExpress
        if part == .head {
            self.isExpress[request] = isExpress
            if isExpress { self.express = (request, false) } else { self.routed.append(request) }
            if isExpress, !self.routed.isEmpty { self.complaints.append("\(request) overtakes \(self.routed)") }
        } else if self.isExpress[request] != isExpress {
            self.complaints.append("\(part) of \(request) went to the other lane")
        }
        if isExpress, part == .end { self.express?.isComplete = true }
    }

    private mutating func answerExpress(declining: Bool) {
        guard let express, express.isComplete else { return }
        self.express = nil
        if declining {
            if !self.machine.expressDeclined() { self.complaints.append("\(express.request) cannot be declined") }
            self.isExpress[express.request] = false
            self.routed.append(express.request)
        } else {
            self.answered.append(express.request)
            if self.machine.expressAnswered() != .read { self.complaints.append("nothing is read behind an answer") }
        }
        let held = self.held
        self.held = []
        for (part, request) in held { self.take(part, request) }
    }

    private mutating func answerRouted() {
        guard !self.routed.isEmpty else { return }
        self.answered.append(self.routed.removeFirst())
        if self.machine.routerAnswered() != .nothing { self.complaints.append("an answer closes") }
    }
}
