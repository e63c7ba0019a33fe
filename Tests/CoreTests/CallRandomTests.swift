import Core
import Foundation
import TestSupport
import Testing

/// Random inputs to one call after another, each decision checked against what must always hold:
///
/// 1. one owner: a participant is joined with exactly one open leg, on one device; who is not joined has none
/// 2. nothing is delivered after the end, and an ended call has a reason and forgets its signals
/// 3. signals go from and to joined participants' current legs only
/// 4. candidates never come before a description of their ufrag, and in the order in which they were taken
/// 5. bounds: joined participants, held candidates, candidates per generation, remembered descriptions
/// 6. at most one pending offer per pair
/// 7. a refused input leaves the rows alone
/// 8. an unanswered call that goes on has its initiator in it; an answered one has at least two
/// 9. a call that goes on has a deadline, and one that ended has none; after a turn nothing is due any more
/// 10. exactly those who are joined have a lease
/// 11. every call ends, at the latest by its clocks, and says how
/// 12. the record tells every change of the call's state and of a participant's, and one end
struct CallRandomTests {
    @Test func invariantsHoldUnderAnyInputs() {
        let scale = ProcessInfo.processInfo.environment["SCALE"].flatMap { Int($0) } ?? 1
        let start = UInt64.random(in: 0...UInt64.max / 2)
        let expected: Set<String> = [
            "completed", "rejected", "cancelled", "offer", "answer", "reject", "custom", "candidates", "released",
            "refused", "superseded", "taken over", "active", "missed", "busy", "failed", "lost", "too-long", "timeout",
            "expired",
        ]
        var reached: Set<String> = []
        var round: UInt64 = 0
        // A million inputs at SCALE=20; more while something has not happened yet, as a random test that never gets
        // anywhere proves nothing. Every fourth call is soon left alone: those end by the ring clock.
        let rounds = UInt64(340 * scale)
        while round < rounds || (round < 10 * rounds && !expected.isSubset(of: reached)) {
            var run = RandomRun(seed: start + round)
            if let failure = run.failure(steps: round % 4 == 0 ? 3 : 200) ?? run.failureToEnd() {
                Issue.record("seed \(start + round): \(failure)")
                return
            }
            reached.formUnion(run.reached)
            round += 1
        }
        #expect(expected.subtracting(reached).isEmpty, "seed \(start)")
    }
}

private struct RandomRun {
    /// 2 to 8.
    private let users: Int
    private let joinedMax: Int

    private var random: SeededGenerator
    private var machine: CallStateMachine
    private var made = 10_000
    private var offers: [SignalID] = []
    /// Descriptions that were delivered, by pair and ufrag.
    private var described: Set<String> = []
    /// Batches that were taken, by pair and ufrag, in order; delivered ones leave.
    private var taken: [String: [SignalID]] = [:]
    private var isOver = false
    private var now = Timestamp.fixture
    /// Something was still due after a turn.
    private var isOverdue = false
    /// What happened at least once.
    private(set) var reached: Set<String> = []

    init(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        self.users = Int.random(in: 2...8, using: &random)
        self.joinedMax = Int.random(in: 2...self.users, using: &random)
        let invited = (1..<self.users).filter { _ in Bool.random(using: &random) && Bool.random(using: &random) }
        let busy = invited.filter { _ in Bool.random(using: &random) }
        let call = Call(
            id: .fixture(1), room: .fixture(1), initiator: .fixture(0), media: CallMedia(audio: true, video: true),
            ringTimeoutSeconds: 60, createdAt: .fixture)
        let joining = CallStateMachine.Joining(
            user: .fixture(0), device: Self.device(0, 0), leg: .fixture(9999), leaveTokenHash: "",
            media: ParticipantMedia(audio: true, video: true, screen: false))
        self.machine =
            CallStateMachine.created(
                call, by: joining, inviting: invited.map { .fixture($0) }, busy: Set(busy.map { .fixture($0) }),
                joinedMax: self.joinedMax
            ).machine
        self.random = random
    }

    private static func device(_ user: Int, _ number: Int) -> DeviceID {
        DeviceID(session: .fixture(user), label: "\(number)")
    }

    /// What went wrong, if anything.
    mutating func failure(steps: Int) -> String? {
        for step in 0..<steps {
            let before = self.machine.rows
            var actions: [CallAction] = []
            do throws(Problem) {
                actions = try self.step()
            } catch {
                if self.machine.rows != before { return "step \(step): \(error.kind) changed the rows" }
            }
            self.note(actions, before)
            let broken = self.broken(by: actions) ?? self.brokenRows() ?? self.brokenRecord(of: actions, before)
            if let broken { return "step \(step): \(broken)" }
        }
        return nil
    }

    /// Left alone, the call ends by its own clocks.
    mutating func failureToEnd() -> String? {
        for _ in 0..<100 {
            guard let deadline = self.machine.rows.deadline else { break }
            self.now = max(self.now, deadline)
            let before = self.machine.rows
            let actions = self.machine.timePassed(at: self.now)
            self.note(actions, before)
            let broken = self.broken(by: actions) ?? self.brokenRows() ?? self.brokenRecord(of: actions, before)
            if let broken { return "left alone: \(broken)" }
        }
        return self.machine.rows.call.state == .ended ? nil : "never ends"
    }

    private mutating func note(_ actions: [CallAction], _ before: CallRows) {
        let waited = Set(before.held.map(\.signal))
        for action in actions {
            switch action {
            case .deliver(let delivery):
                self.reached.insert(delivery.type.rawValue)
                if waited.contains(delivery.id) { self.reached.insert("released") }
            case .refuse: self.reached.insert("refused")
            case .tellSuperseded: self.reached.insert("superseded")
            case .tellTimedOut: self.reached.insert("timeout")
            case .tellExpired: self.reached.insert("expired")
            case .tellAnsweredElsewhere: self.reached.insert("taken over")
            case .record(.state(let state)): self.reached.insert(state.rawValue)
            case .record(.ended(let reason, _, _)): self.reached.insert(reason.rawValue)
            case .announceCreated, .announceUpdated, .announceParticipant, .announceEnded, .ring, .forgetSignals,
                .forgetAllSignals, .record, .countDropped, .tellDeclined, .tellLeft:
                break
            }
        }
    }

    private mutating func step() throws(Problem) -> [CallAction] {
        let user = Int.random(in: 0..<self.users, using: &self.random)
        let id = UserID.fixture(user)
        let isOwner = Int.random(in: 0..<8, using: &self.random) > 0
        let device =
            isOwner ? self.machine.participant(id)?.device ?? Self.device(user, 0) : Self.device(user, 1)
        self.now = self.now.advanced(by: .milliseconds(Int.random(in: 0..<2000, using: &self.random)))
        let now = self.now
        switch Int.random(in: 0..<100, using: &self.random) {
        case 0..<14:
            self.made += 1
            return try self.machine.joined(
                .init(
                    user: id, device: device, leg: .fixture(self.made), leaveTokenHash: "\(self.made)",
                    media: ParticipantMedia(audio: true, video: true, screen: false),
                    holdsCandidates: Bool.random(using: &self.random), takesOver: Bool.random(using: &self.random)),
                at: now)
        case 14..<16: return try self.machine.left(id, device: device, reason: nil, at: now)
        case 16..<18: return try self.machine.declined(id, reason: nil, at: now)
        case 18..<22:
            let others = (0..<self.users).filter { $0 != user && Bool.random(using: &self.random) }
            let busy = others.filter { _ in Bool.random(using: &self.random) }
            return try self.machine.invited(
                others.map { .fixture($0) }, by: id, busy: Set(busy.map { .fixture($0) }), at: now)
        case 22..<26:
            let isGettingWorse = Bool.random(using: &self.random)
            return try self.machine.participantChanged(
                id, device: device, media: .init(audio: Bool.random(using: &self.random)),
                connection: isGettingWorse ? .failed : ConnectionState.allCases.randomElement(using: &self.random),
                at: now)
        case 28..<31: return self.pass(now)
        case 32: return try self.breakNetwork(now)
        case 33: return self.machine.calleeBecameFree(id)
        case 31:
            let leg = self.machine.rows.legs.randomElement(using: &self.random)?.id ?? .fixture(0)
            return self.machine.leaseLapsed(id, leg: leg, at: now)
        case 26 where Int.random(in: 0..<4, using: &self.random) == 0: return self.machine.memberRemoved(id, at: now)
        case 27 where Int.random(in: 0..<4, using: &self.random) == 0:
            return try self.machine.endRequested(by: id, isModerator: false, reason: nil, at: now)
        default: return try self.signal(from: user, device: device, at: now)
        }
    }

    /// All who are joined report `failed`.
    private mutating func breakNetwork(_ now: Timestamp) throws(Problem) -> [CallAction] {
        var actions: [CallAction] = []
        for participant in self.machine.joined {
            guard let device = participant.device else { continue }
            actions += try self.machine.participantChanged(
                participant.user, device: device, media: nil, connection: .failed, at: now)
        }
        return actions
    }

    /// The clock's turn comes, mostly in time.
    private mutating func pass(_ now: Timestamp) -> [CallAction] {
        let late = [Duration.zero, .zero, .seconds(10), .seconds(40), .seconds(80)]
            .randomElement(using: &self.random)
        self.now = now.advanced(by: late ?? .zero)
        defer { self.isOverdue = self.machine.rows.deadline.map { $0 <= self.now } ?? false }
        return self.machine.timePassed(at: self.now)
    }

    private mutating func signal(from user: Int, device: DeviceID, at now: Timestamp) throws(Problem) -> [CallAction] {
        let peer = Int.random(in: 0..<self.users, using: &self.random)
        self.made += 1
        let signal = IncomingSignal(
            id: .fixture(self.made), from: .fixture(user), device: device, to: .fixture(peer), payload: "{}", at: now)
        let ufrag = "u\(Int.random(in: 0..<3, using: &self.random))"
        switch Int.random(in: 0..<20, using: &self.random) {
        case 0..<5:
            let actions = try self.machine.offerReceived(signal, ufrags: [ufrag])
            self.offers.append(signal.id)
            return actions
        case 5..<11:
            guard let offer = self.offers.suffix(4).randomElement(using: &self.random) else { return [] }
            return try self.machine.answerReceived(signal, to: offer, ufrags: [ufrag])
        case 11: return try self.machine.rejectReceived(signal, of: nil, reason: nil)
        case 12: return try self.machine.messageReceived(signal, type: .custom)
        default:
            let count = Int.random(in: 1...30, using: &self.random)
            let actions = try self.machine.candidatesReceived(
                signal, batch: CandidateBatch(ufrags: [ufrag], count: count))
            if actions.refusal == nil { self.taken["\(user) \(peer) \(ufrag)", default: []].append(signal.id) }
            return actions
        }
    }

    // MARK: What must hold

    private mutating func broken(by actions: [CallAction]) -> String? {
        for action in actions {
            if self.isOver {
                switch action {
                case .deliver, .tellTimedOut, .tellSuperseded: return "delivered after the end"
                default: break
                }
            }
            switch action {
            case .announceEnded: self.isOver = true
            case .forgetSignals: self.forgetVanished()
            case .deliver(let delivery):
                if let broken = self.broken(by: delivery) { return broken }
            default: break
            }
        }
        if self.isOver, actions.contains(.announceEnded), actions.last != .forgetAllSignals {
            return "the end is not the last"
        }
        self.forgetVanished()
        return nil
    }

    private mutating func broken(by delivery: SignalDelivery) -> String? {
        let route = delivery.route
        // Legs of an ended or rejected participant are gone from the rows by now; the input was theirs.
        let isRejection = delivery.type == .reject
        for (user, leg) in [(route.from, route.fromLeg), (route.to, route.toLeg)] where !isRejection {
            guard let participant = self.machine.participant(user), participant.state == .joined, participant.leg == leg
            else { return "signal on a leg that is not current" }
        }
        let (from, to) = (self.number(route.from), self.number(route.to))
        switch delivery.type {
        case .offer, .answer:
            let own = self.machine.rows.descriptions.first { $0.signal == delivery.id }
            for ufrag in own?.ufrags ?? [] { self.described.insert("\(from) \(to) \(ufrag)") }
        case .candidates:
            guard let key = self.taken.first(where: { $0.value.contains(delivery.id) })?.key else {
                return "candidates that were never taken"
            }
            guard self.described.contains(key) else { return "candidates before their description" }
            guard self.taken[key]?.first == delivery.id else { return "candidates out of order" }
            self.taken[key]?.removeFirst()
        case .reject, .renegotiate, .custom, .restartICE, .superseded: break
        }
        return nil
    }

    private func number(_ user: UserID) -> Int { (0..<self.users).first { UserID.fixture($0) == user } ?? -1 }

    /// Held batches may vanish with a leg or a void offer; what is taken is what waits.
    private mutating func forgetVanished() {
        let held = Set(self.machine.rows.held.map(\.signal))
        for key in self.taken.keys { self.taken[key]?.removeAll { !held.contains($0) } }
        let rows = self.machine.rows
        self.described = self.described.filter { key in
            rows.descriptions.contains { description in
                description.ufrags.contains {
                    key == "\(self.number(description.from)) \(self.number(description.to)) \($0)"
                }
            }
        }
    }

    private func brokenRows() -> String? {
        let rows = self.machine.rows
        if self.isOverdue { return "still due after a turn" }
        for participant in rows.participants {
            let open = rows.legs.filter { $0.user == participant.user && $0.leftAt == nil }
            let isRight =
                participant.state == .joined
                ? open.map(\.id) == [participant.leg] && open.first?.device == participant.device : open.isEmpty
            guard isRight else { return "\(participant.state) with open legs \(open)" }
            guard (participant.leaseCheckAt != nil) == (participant.state == .joined) else {
                return "\(participant.state) and its lease"
            }
        }
        let joined = Set(self.machine.joined.map(\.user))
        if joined.count > self.joinedMax { return "too many joined" }
        if rows.call.state == .ended {
            guard rows.call.endReason != nil, rows.call.endedAt != nil, joined.isEmpty, rows.held.isEmpty,
                rows.descriptions.isEmpty, rows.deadline == nil
            else { return "ended without a reason, or with something left" }
            return nil
        }
        guard let deadline = rows.deadline, deadline <= rows.call.createdAt.advanced(by: Limits.callMax) else {
            return "goes on without a deadline"
        }
        guard rows.call.endReason == nil else { return "a reason without an end" }
        if rows.call.answeredAt == nil ? !joined.contains(rows.call.initiator) : joined.count < 2 {
            return "goes on with too few"
        }
        guard (rows.call.state == .active) == (rows.call.answeredAt != nil) else { return "active without an answer" }
        return self.brokenPairs(joined)
    }

    private func brokenRecord(of actions: [CallAction], _ before: CallRows) -> String? {
        let after = self.machine.rows
        let records = actions.compactMap { if case .record(let entry) = $0 { entry } else { nil } }
        let ends = records.count { if case .ended(after.call.endReason, _, _) = $0 { true } else { false } }
        let hasEnded = before.call.state != .ended && after.call.state == .ended
        guard ends == (hasEnded ? 1 : 0), actions.count(where: { $0 == .announceEnded }) == ends else {
            return "\(ends) ends are told"
        }
        if !hasEnded, before.call.state != after.call.state, !records.contains(.state(after.call.state)) {
            return "\(after.call.state) is not told"
        }
        for participant in after.participants {
            let former = before.participants.first { $0.user == participant.user }
            guard former?.state != participant.state || former?.leg != participant.leg else { continue }
            // The end of all says it for those who were there to the end.
            if hasEnded, former?.state == .joined, participant.state == .left { continue }
            let isTold = records.contains { entry in
                switch entry {
                case .participant(participant.user, participant.state, _, _): true
                case .invited(participant.user, _, _): participant.state == .invited
                default: false
                }
            }
            guard isTold else { return "\(participant.state) of a participant is not told" }
        }
        return nil
    }

    private func brokenPairs(_ joined: Set<UserID>) -> String? {
        let rows = self.machine.rows
        for from in joined {
            for to in joined where to != from {
                let own = rows.descriptions.filter { $0.from == from && $0.to == to }
                if own.count > Limits.descriptionsPerPairMax { return "too many descriptions" }
                let pending = rows.descriptions.filter {
                    $0.state == .pending && Set([$0.from, $0.to]) == Set([from, to])
                }
                if pending.count > 1 { return "two pending offers" }
                // Batches name one ufrag here, so what waits for one description, or for none, names the same.
                let held = Dictionary(grouping: rows.held.filter { $0.from == from && $0.to == to }, by: \.ufrags)
                for batches in held.values where batches.map(\.count).reduce(0, +) > Limits.heldCandidatesMax {
                    return "too many held"
                }
            }
        }
        for count in rows.candidateCounts
        where count.count > Limits.candidatesPerGenerationMax + Limits.heldCandidatesMax {
            return "too many candidates in a generation"
        }
        let isForeign = { (from: UserID, to: UserID) in !joined.contains(from) || !joined.contains(to) }
        if rows.descriptions.contains(where: { isForeign($0.from, $0.to) }) { return "description of who left" }
        if rows.held.contains(where: { isForeign($0.from, $0.to) }) { return "candidates of who left" }
        return nil
    }
}
