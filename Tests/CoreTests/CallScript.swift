import Core
import TestSupport

/// A call told step by step: users `0, 1, 2, …` whose ids ascend, each on a device of its own, and counted ids.
struct CallScript {
    var machine: CallStateMachine
    private(set) var now = Timestamp.fixture
    private var made = 0

    /// User 0 calls.
    ///
    /// - parameter busy: of the invited, who is in another call.
    init(inviting invited: [Int] = [], busy: [Int] = [], joinedMax: Int = Limits.joinedParticipantsMax) {
        let call = Call(
            id: .fixture(1), room: .fixture(1), initiator: .fixture(0), media: CallMedia(audio: true, video: true),
            ringTimeoutSeconds: 60, createdAt: .fixture)
        let created = CallStateMachine.created(
            call, by: Self.joining(0, device: 0, leg: 1000), inviting: invited.map { .fixture($0) },
            busy: Set(busy.map { .fixture($0) }), joinedMax: joinedMax)
        self.machine = created.machine
        self.creation = created.actions
    }

    /// What the making of the call came to.
    let creation: [CallAction]
    var call: Call { self.machine.rows.call }

    func state(of user: Int) -> ParticipantState? { self.machine.participant(.fixture(user))?.state }

    static func device(_ number: Int) -> DeviceID { DeviceID(session: .fixture(number), label: nil) }

    private static func joining(
        _ user: Int, device: Int, leg: Int, takeover: Bool = false, holds: Bool = false
    )
        -> CallStateMachine.Joining
    {
        CallStateMachine.Joining(
            user: .fixture(user), device: self.device(device), leg: .fixture(leg), leaveTokenHash: "\(leg)",
            media: ParticipantMedia(audio: true, video: true, screen: false), holdsCandidates: holds,
            takesOver: takeover)
    }

    private mutating func next() -> Int {
        self.made += 1
        self.now = self.now.advanced(by: .seconds(1))
        return self.made
    }

    @discardableResult
    mutating func join(
        _ user: Int, device: Int? = nil, takeover: Bool = false, holds: Bool = false
    ) throws(Problem) -> [CallAction] {
        let leg = 1000 + self.next()
        let joining = Self.joining(user, device: device ?? user, leg: leg, takeover: takeover, holds: holds)
        return try self.machine.joined(joining, at: self.now)
    }

    private mutating func signal(_ from: Int, _ to: Int, device: Int?) -> IncomingSignal {
        IncomingSignal(
            id: .fixture(self.next()), from: .fixture(from), device: Self.device(device ?? from), to: .fixture(to),
            payload: "{}", at: self.now)
    }

    @discardableResult
    mutating func offer(
        _ from: Int, _ to: Int, ufrags: [String] = ["u"], device: Int? = nil
    ) throws(Problem) -> (id: SignalID, actions: [CallAction]) {
        let signal = self.signal(from, to, device: device)
        return (signal.id, try self.machine.offerReceived(signal, ufrags: ufrags))
    }

    @discardableResult
    mutating func answer(
        _ from: Int, _ to: Int, offer: SignalID, ufrags: [String] = ["v"]
    ) throws(Problem) -> (id: SignalID, actions: [CallAction]) {
        let signal = self.signal(from, to, device: nil)
        return (signal.id, try self.machine.answerReceived(signal, to: offer, ufrags: ufrags))
    }

    @discardableResult
    mutating func candidates(
        _ from: Int, _ to: Int, ufrags: [String], count: Int = 1
    ) throws(Problem) -> (id: SignalID, actions: [CallAction]) {
        let signal = self.signal(from, to, device: nil)
        return (
            signal.id,
            try self.machine.candidatesReceived(signal, batch: CandidateBatch(ufrags: ufrags, count: count))
        )
    }

    @discardableResult
    mutating func reject(_ from: Int, _ to: Int, offer: SignalID? = nil) throws(Problem) -> [CallAction] {
        try self.machine.rejectReceived(self.signal(from, to, device: nil), of: offer, reason: nil)
    }

    /// Asks the peer for an offer.
    mutating func ask(_ from: Int, _ to: Int, _ type: SignalType) throws(Problem) -> [CallAction] {
        try self.machine.messageReceived(self.signal(from, to, device: nil), type: type)
    }

    mutating func custom(_ from: Int, _ to: Int, device: Int? = nil) throws(Problem) -> [CallAction] {
        try self.machine.messageReceived(self.signal(from, to, device: device), type: .custom)
    }

    @discardableResult
    mutating func leave(_ user: Int, device: Int? = nil) throws(Problem) -> [CallAction] {
        _ = self.next()
        return try self.machine.left(
            .fixture(user), device: Self.device(device ?? user), reason: nil, at: self.now)
    }

    @discardableResult
    mutating func decline(_ user: Int) throws(Problem) -> [CallAction] {
        _ = self.next()
        return try self.machine.declined(.fixture(user), reason: nil, at: self.now)
    }

    @discardableResult
    mutating func end(by user: Int, isModerator: Bool = false) throws(Problem) -> [CallAction] {
        _ = self.next()
        return try self.machine.endRequested(by: .fixture(user), isModerator: isModerator, reason: nil, at: self.now)
    }

    mutating func invite(_ users: [Int], by user: Int) throws(Problem) -> [CallAction] {
        _ = self.next()
        return try self.machine.invited(users.map { .fixture($0) }, by: .fixture(user), at: self.now)
    }

    /// Time passes, and what is due is done.
    @discardableResult
    mutating func wait(_ duration: Duration) -> [CallAction] {
        self.now = self.now.advanced(by: duration)
        return self.machine.timePassed(at: self.now)
    }

    /// The lease of a participant's present leg runs out.
    @discardableResult
    mutating func lose(_ user: Int) -> [CallAction] {
        guard let leg = self.machine.participant(.fixture(user))?.leg else { return [] }
        return self.machine.leaseLapsed(.fixture(user), leg: leg, at: self.now)
    }

    mutating func report(_ user: Int, _ connection: ConnectionState) throws(Problem) -> [CallAction] {
        _ = self.next()
        return try self.machine.participantChanged(
            .fixture(user), device: Self.device(user), media: nil, connection: connection, at: self.now)
    }

    mutating func remove(_ user: Int) -> [CallAction] { self.machine.memberRemoved(.fixture(user), at: self.now) }

    /// A call in which 0 and 1 hear each other.
    static func active() throws(Problem) -> CallScript {
        var script = CallScript()
        try script.join(1)
        let offer = try script.offer(1, 0).id
        try script.answer(0, 1, offer: offer)
        return script
    }
}

extension [CallAction] {
    /// The signals that these deliver, in order.
    var delivered: [SignalID] {
        self.compactMap { action in
            if case .deliver(let delivery) = action { delivery.id } else { nil }
        }
    }

    /// The addressees of `superseded` notices about an offer.
    func superseded(_ offer: SignalID) -> Set<UserID> {
        Set(
            self.compactMap { action in
                if case .tellSuperseded(offer, let route) = action { route.to } else { nil }
            })
    }

    var refusal: Problem.Kind? {
        for case .refuse(let problem) in self { return problem.kind }
        return nil
    }
}

/// The kind of problem that an input meets; `nil` if it is taken.
func problem(_ input: () throws(Problem) -> some Any) -> Problem.Kind? {
    do throws(Problem) {
        _ = try input()
        return nil
    } catch {
        return error.kind
    }
}
