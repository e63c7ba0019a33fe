import NIOCore
import TestSupport
import Testing
import WebSocketWire

private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)
private func at(_ seconds: Int64) -> NIODeadline { start + .seconds(seconds) }

private typealias Action = WebSocketConnectionStateMachine.Action

extension WebSocketConnectionStateMachine {
    fileprivate init(_ role: WebSocketConfiguration.Role, _ incoming: WebSocketConfiguration.Incoming = .text) {
        self.init(WebSocketConfiguration(role: role, incoming: incoming), at: start)
    }
}

extension WebSocketConnectionStateMachine.Action {
    /// Our Close frame goes first.
    fileprivate static func startClosing(_ code: WebSocketCloseCode, _ reason: String = "") -> Self {
        let close = WebSocketClose(code, reason)
        return .sendClose(close, ending: WebSocketEnding(.local, close), thenCloseSocket: false)
    }

    fileprivate var ending: WebSocketEnding? {
        switch self {
        case .sendClose(_, let ending, _), .report(let ending): ending
        case .abandonSocket(let ending): ending
        case .deliver, .deliverBinary, .sendPing, .sendPong, .closeSocket, .ignore: nil
        }
    }
}

struct WebSocketConnectionStateMachineTests {
    private let lost = WebSocketEnding(.lost, WebSocketClose(.abnormal))

    @Test func textIsDeliveredAndPingsAreAnswered() {
        var socket = WebSocketConnectionStateMachine(.server)
        #expect(socket.received(.text("hello"), at: at(1)) == .deliver("hello"))
        #expect(socket.received(.ping([1, 2]), at: at(1)) == .sendPong([1, 2]))
        #expect(socket.received(.incomplete, at: at(1)) == .ignore)
        #expect(socket.received(.pong([9]), at: at(1)) == .ignore)
    }

    @Test func whereBothKindsAreTakenBothAreDelivered() {
        var socket = WebSocketConnectionStateMachine(.server, .messages)
        #expect(socket.received(.text("hello"), at: at(1)) == .deliver("hello"))
        #expect(socket.received(.binary(ByteBuffer(bytes: [1])), at: at(1)) == .deliverBinary(ByteBuffer(bytes: [1])))
        _ = socket.closeRequested(WebSocketClose(.normal), at: at(2))
        #expect(socket.received(.binary(ByteBuffer(bytes: [1])), at: at(3)) == .ignore)
    }

    @Test func aServerEchoesACloseAndThenClosesTheSocket() {
        var socket = WebSocketConnectionStateMachine(.server)
        let close = WebSocketClose(.goingAway, "bye")
        let echo = Action.sendClose(close, ending: WebSocketEnding(.peer, close), thenCloseSocket: true)
        #expect(socket.received(.close(close), at: at(1)) == echo)
        #expect(socket.received(.text("late"), at: at(1)) == .ignore)
        #expect(socket.closeRequested(WebSocketClose(.normal), at: at(1)) == .ignore)
        #expect(socket.socketClosed() == .ignore)
        #expect(socket.deadline == nil)
    }

    @Test func aClientEchoesACloseAndLetsTheServerCloseTheSocket() {
        var socket = WebSocketConnectionStateMachine(.client)
        let close = WebSocketClose(.noCode)
        let echo = Action.sendClose(close, ending: WebSocketEnding(.peer, close), thenCloseSocket: false)
        #expect(socket.received(.close(close), at: at(1)) == echo)
        #expect(socket.deadline == at(6))
        #expect(socket.deadlineReached(at: at(6)) == .abandonSocket(nil))
    }

    @Test func ourCloseWaitsForItsEcho() {
        var socket = WebSocketConnectionStateMachine(.server)
        #expect(
            socket.closeRequested(WebSocketClose(.serviceRestart, "drain"), at: at(1))
                == .startClosing(.serviceRestart, "drain"))
        #expect(socket.received(.ping([1]), at: at(2)) == .ignore)
        #expect(socket.received(.close(WebSocketClose(.serviceRestart)), at: at(2)) == .closeSocket)
        #expect(socket.socketClosed() == .ignore)
    }

    @Test func anEchoThatNeverComesIsAwaitedForFiveSeconds() {
        var socket = WebSocketConnectionStateMachine(.server)
        _ = socket.closeRequested(WebSocketClose(.normal), at: at(1))
        #expect(socket.deadlineReached(at: at(5)) == .ignore)
        #expect(socket.deadline == at(6))
        #expect(socket.deadlineReached(at: at(6)) == .abandonSocket(nil))
        #expect(socket.deadlineReached(at: at(7)) == .ignore)
    }

    @Test func aBrokenRuleClosesOnceAndSoon() {
        var socket = WebSocketConnectionStateMachine(.server)
        #expect(
            socket.received(.violation(WebSocketClose(.protocolError, "x")), at: at(1))
                == .startClosing(.protocolError, "x"))
        #expect(socket.received(.violation(WebSocketClose(.invalidData)), at: at(1)) == .ignore)
        #expect(socket.deadline == at(1) + .milliseconds(500))
        #expect(socket.deadlineReached(at: at(2)) == .abandonSocket(nil))
    }

    @Test func binaryIsUnacceptableWhereTextIsSpoken() {
        var socket = WebSocketConnectionStateMachine(.server)
        #expect(
            socket.received(.binary(ByteBuffer()), at: at(1)) == .startClosing(.unacceptableData, "send text frames"))
    }

    @Test(arguments: [
        WebSocketInput.text("x"), .binary(ByteBuffer()), .incomplete, .violation(WebSocketClose(.messageTooBig, "x")),
    ])
    func anyDataBreaksThePolicyOfAStreamForReading(input: WebSocketInput) {
        var socket = WebSocketConnectionStateMachine(.server, .nothing)
        #expect(socket.received(.ping([]), at: at(1)) == .sendPong([]))
        #expect(
            socket.received(input, at: at(1))
                == .startClosing(.policyViolation, "this stream is for reading only"))
        #expect(socket.received(input, at: at(1)) == .ignore)
    }

    @Test func pingsGoOutEveryFifteenSecondsWhilePongsCome() {
        var socket = WebSocketConnectionStateMachine(.server)
        for second in stride(from: Int64(15), through: 300, by: 15) {
            #expect(socket.deadline == at(second))
            guard case .sendPing(let payload) = socket.deadlineReached(at: at(second)) else {
                Issue.record("no ping at \(second) s")
                return
            }
            #expect(socket.received(.pong(payload), at: at(second)) == .ignore)
        }
    }

    @Test func aPeerWithoutPongForThirtySecondsIsLost() {
        var socket = WebSocketConnectionStateMachine(.server)
        #expect(socket.deadlineReached(at: at(14)) == .ignore)
        #expect(socket.deadlineReached(at: at(15)) == .sendPing([0, 0, 0, 1]))
        #expect(socket.deadlineReached(at: at(30)) == .sendPing([0, 0, 0, 2]))
        #expect(socket.received(.text("data is no pong"), at: at(40)) == .deliver("data is no pong"))
        #expect(socket.received(.pong([7, 7]), at: at(40)) == .ignore)
        #expect(socket.deadline == at(45))
        #expect(socket.deadlineReached(at: at(45)) == .abandonSocket(self.lost))
        #expect(socket.socketClosed() == .ignore)
    }

    @Test func aPongAnswersAllPingsBeforeIt() {
        var socket = WebSocketConnectionStateMachine(.server)
        #expect(socket.deadlineReached(at: at(15)) == .sendPing([0, 0, 0, 1]))
        #expect(socket.deadlineReached(at: at(30)) == .sendPing([0, 0, 0, 2]))
        #expect(socket.received(.pong([0, 0, 0, 2]), at: at(44)) == .ignore)
        #expect(socket.deadlineReached(at: at(45)) == .sendPing([0, 0, 0, 3]))
        #expect(socket.deadlineReached(at: at(60)) == .sendPing([0, 0, 0, 4]))
        // Answering an older ping does not answer a newer one.
        #expect(socket.received(.pong([0, 0, 0, 3]), at: at(61)) == .ignore)
        #expect(socket.deadlineReached(at: at(75)) == .sendPing([0, 0, 0, 5]))
        #expect(socket.deadlineReached(at: at(90)) == .abandonSocket(self.lost))
    }

    @Test func whileTheSocketIsFullOnlyTheNewestPingIsRemembered() {
        var socket = WebSocketConnectionStateMachine(.server)
        #expect(socket.writabilityChanged(to: false) == .ignore)
        #expect(socket.received(.ping([1]), at: at(1)) == .ignore)
        #expect(socket.received(.ping([2]), at: at(1)) == .ignore)
        #expect(socket.writabilityChanged(to: true) == .sendPong([2]))
        #expect(socket.writabilityChanged(to: true) == .ignore)
        #expect(socket.received(.ping([3]), at: at(1)) == .sendPong([3]))
    }

    @Test func noPongFollowsAClose() {
        var socket = WebSocketConnectionStateMachine(.server)
        _ = socket.writabilityChanged(to: false)
        _ = socket.received(.ping([1]), at: at(1))
        _ = socket.closeRequested(WebSocketClose(.normal), at: at(1))
        #expect(socket.writabilityChanged(to: true) == .ignore)
    }

    @Test func aSocketThatVanishesIsLostOnce() {
        var socket = WebSocketConnectionStateMachine(.server)
        #expect(socket.socketClosed() == .report(self.lost))
        #expect(socket.socketClosed() == .ignore)
        #expect(socket.received(.text("x"), at: at(1)) == .ignore)
        #expect(socket.closeRequested(WebSocketClose(.normal), at: at(1)) == .ignore)
        #expect(socket.deadlineReached(at: at(100)) == .ignore)
    }

    @Test func onlyThePeersOwnGoodbyeIsOne() {
        #expect(WebSocketEnding(.peer, WebSocketClose(.normal)).isGoodbye)
        #expect(WebSocketEnding(.peer, WebSocketClose(.goingAway)).isGoodbye)
        #expect(!WebSocketEnding(.peer, WebSocketClose(.noCode)).isGoodbye)
        #expect(WebSocketEnding(.peer, WebSocketClose(.noCode)).isDeliberate)
        #expect(!WebSocketEnding(.peer, WebSocketClose(.internalError)).isDeliberate)
        #expect(!WebSocketEnding(.local, WebSocketClose(.normal)).isGoodbye)
        #expect(!self.lost.isGoodbye)
    }

    /// Whatever comes in whatever order: one ending is told, one Close frame goes out, and nothing after either.
    @Test(arguments: 0..<200 as Range<UInt64>)
    func anyHistoryEndsOnceAndStaysEnded(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let role: WebSocketConfiguration.Role = Bool.random(using: &generator) ? .server : .client
        let incoming: WebSocketConfiguration.Incoming = Int.random(in: 0..<4, using: &generator) == 0 ? .nothing : .text
        var socket = WebSocketConnectionStateMachine(role, incoming)
        var now = start
        var (closesSent, endings, pings): (Int, Int, [[UInt8]]) = (0, 0, [])
        for step in 0..<400 {
            now = now + .milliseconds(Int64.random(in: 0..<3000, using: &generator))
            let action = Self.randomInput(to: &socket, at: now, pings: pings, using: &generator)
            let wasOver = endings > 0
            if action.ending != nil { endings += 1 }
            switch action {
            case .sendClose: closesSent += 1
            case .sendPing(let payload): pings.append(payload)
            case .deliver, .deliverBinary, .sendPong, .closeSocket, .abandonSocket, .report, .ignore: break
            }
            switch action {
            case .deliver, .deliverBinary, .sendPing, .sendPong, .sendClose, .report:
                #expect(!wasOver, "seed \(seed), step \(step): \(action) after the end")
            case .closeSocket, .abandonSocket, .ignore:
                break
            }
            #expect(endings <= 1 && closesSent <= 1, "seed \(seed), step \(step)")
        }
        _ = socket.deadlineReached(at: now + .hours(1))
        let last = socket.socketClosed()
        if last.ending != nil { endings += 1 }
        #expect(endings == 1, "seed \(seed)")
        #expect(socket.deadline == nil, "seed \(seed)")
    }

    private static func randomInput(
        to socket: inout WebSocketConnectionStateMachine, at now: NIODeadline, pings: [[UInt8]],
        using generator: inout SeededGenerator
    ) -> Action {
        switch Int.random(in: 0..<100, using: &generator) {
        case 0..<40: socket.received(.text("x"), at: now)
        case 40..<60: socket.received(.pong(pings.randomElement(using: &generator) ?? []), at: now)
        case 60..<70: socket.received(.ping([1]), at: now)
        case 70..<80: socket.writabilityChanged(to: Bool.random(using: &generator))
        case 80..<96: socket.deadlineReached(at: now)
        case 96: socket.received(.close(WebSocketClose(.normal)), at: now)
        case 97: socket.received(.violation(WebSocketClose(.protocolError)), at: now)
        case 98: socket.closeRequested(WebSocketClose(.goingAway), at: now)
        default: socket.socketClosed()
        }
    }
}
