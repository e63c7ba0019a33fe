import Core
import Foundation
import TestSupport
import Testing

/// A session against a remote room that is cut, is slow and forgets, at random. However it goes: the room has every
/// message once, in the order in which they were written, and in the end the outbox is empty.
struct BridgeRandomTests {
    private static let scale = ProcessInfo.processInfo.environment["SCALE"].flatMap { Int($0) } ?? 1

    @Test func everyMessageArrivesOnceAndInOrder() {
        for _ in 0..<(40 * Self.scale) {
            let seed = UInt64.random(in: 0...UInt64.max)
            var world = BridgeWorld(seed: seed)
            for _ in 0..<1500 { world.step() }
            world.finish()
            #expect(world.arrived == world.written, "seed \(seed)")
            #expect(world.outbox.isEmpty, "seed \(seed)")
            #expect(world.givenUp.isEmpty, "seed \(seed)")
        }
    }
}

private struct BridgeWorld {
    private var random: SeededGenerator
    private var now = Timestamp.fixture
    private var machine: BridgeStateMachine
    /// Of the server: survives its restarts.
    private(set) var outbox: [OutgoingMessage] = []
    private(set) var written: [Int64] = []
    private(set) var givenUp: [Int64] = []
    /// Deletions that a killed server forgets.
    private var deletions: Set<Int64> = []
    private var loadAfter: Int64?
    /// Of the room.
    private(set) var arrived: [Int64] = []
    private var history: [String] = []
    private var isOpen = false
    private var toRoom: [OutgoingMessage] = []
    private var echoes: [String] = []
    private let settings: BridgeStateMachine.Settings

    init(seed: UInt64) {
        self.random = SeededGenerator(seed: seed)
        var settings = BridgeStateMachine.Settings()
        settings.queueMax = Int.random(in: 8...32, using: &self.random)
        settings.inFlightMax = Int.random(in: 1...8, using: &self.random)
        self.settings = settings
        self.machine = BridgeStateMachine(settings)
        self.carryOut(self.machine.becameWanted(at: self.now))
    }

    mutating func step() {
        self.now = self.now.advanced(by: .milliseconds(Int64.random(in: 1...200, using: &self.random)))
        switch Int.random(in: 0..<100, using: &self.random) {
        case 0..<30: self.write()
        case 30..<55: self.roomReads()
        case 55..<80: self.echoArrives()
        case 80..<88: self.answerLoad()
        case 88..<94: self.welcome()
        case 94..<97: self.cut()
        case 97..<98: self.restart()
        case 98..<99:
            self.outbox.removeAll { self.deletions.contains($0.seq) }
            self.deletions = []
        default: break
        }
        self.carryOut(self.machine.deadlineReached(jitter: 0.5, at: self.now))
    }

    /// Goes on, undisturbed, until nothing is left to do.
    mutating func finish() {
        for _ in 0..<20_000 where !self.outbox.isEmpty {
            self.now = self.now.advanced(by: .milliseconds(100))
            self.answerLoad()
            self.welcome()
            self.roomReads()
            self.echoArrives()
            self.outbox.removeAll { self.deletions.contains($0.seq) }
            self.carryOut(self.machine.deadlineReached(jitter: 0.5, at: self.now))
        }
    }

    private mutating func write() {
        let seq = Int64(self.written.count + 1)
        let message = OutgoingMessage(seq: seq, mark: "m\(seq)", content: "\(seq)", metadata: .null)
        self.written.append(seq)
        self.outbox.append(message)
        self.carryOut(self.machine.queued(message, at: self.now))
    }

    private mutating func roomReads() {
        guard self.isOpen, !self.toRoom.isEmpty else { return }
        let message = self.toRoom.removeFirst()
        self.arrived.append(message.seq)
        self.history.append(message.mark)
        // As short as it may be: what can be in flight, and what a killed server has not deleted yet.
        if self.history.count > 64 { self.history.removeFirst() }
        self.echoes.append(message.mark)
    }

    private mutating func echoArrives() {
        guard self.isOpen, self.machine.isLive, !self.echoes.isEmpty else { return }
        self.carryOut(self.machine.echoed(self.echoes.removeFirst(), at: self.now))
    }

    private mutating func answerLoad() {
        guard let after = self.loadAfter else { return }
        self.loadAfter = nil
        let rest = self.outbox.filter { $0.seq > after }
        let page = Array(rest.prefix(5))
        self.carryOut(self.machine.loaded(page, isAll: page.count == rest.count, at: self.now))
    }

    private mutating func welcome() {
        guard case .connecting = self.machine.state else { return }
        self.isOpen = true
        self.carryOut(self.machine.welcomed(showing: Set(self.history), at: self.now))
    }

    /// The connection breaks; the room has read some of what was on its way, and nobody hears of it.
    private mutating func cut() {
        guard self.isOpen else { return }
        for _ in 0..<Int.random(in: 0...self.toRoom.count, using: &self.random) { self.roomReads() }
        self.hangUp()
        self.carryOut(self.machine.disconnected(jitter: 0.5, at: self.now))
    }

    /// The server is killed and starts again.
    private mutating func restart() {
        // A server deletes within 100 ms; here at random, but never so late that the history has forgotten.
        if self.deletions.count > 40 { self.outbox.removeAll { self.deletions.contains($0.seq) } }
        self.deletions = []
        for _ in 0..<Int.random(in: 0...self.toRoom.count, using: &self.random) { self.roomReads() }
        self.hangUp()
        self.loadAfter = nil
        self.machine = BridgeStateMachine(self.settings)
        self.carryOut(self.machine.becameWanted(at: self.now))
    }

    private mutating func hangUp() {
        (self.isOpen, self.toRoom, self.echoes) = (false, [], [])
    }

    private mutating func carryOut(_ actions: [BridgeStateMachine.Action]) {
        for action in actions {
            switch action {
            case .connect: break
            case .disconnect:
                // A goodbye lets what was sent get through.
                while self.isOpen, !self.toRoom.isEmpty { self.roomReads() }
                self.hangUp()
            case .send(let messages): self.toRoom += messages
            case .complete(let seqs): self.deletions.formUnion(seqs)
            case .giveUp(let seqs):
                self.givenUp += seqs
                self.deletions.formUnion(seqs)
            case .load(let after): self.loadAfter = after
            }
        }
    }
}
