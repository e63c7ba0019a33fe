import Core
import Hub
import Logging
import NIOCore
import NIOSSL
import WebSocketWire

/// One bridge at work: the sessions over there, who is there, and what goes to and fro.
///
/// Belongs to one event loop: made, called and called back there. What must outlive the process is in the store; this
/// only remembers what it read or heard. Sessions dial and send as their ``BridgeStateMachine`` says.
final class BridgedRoom {
    let bridge: Bridge
    let context: BridgeContext
    let eventLoop: any EventLoop
    let store: LoopStore
    let logger: Logger
    /// This server's name in marks.
    var instance = ""
    let tls: Result<NIOSSLContext?, any Error>

    // MARK: Over there

    var sessions: [SessionOwner: BridgeSession] = [:]
    /// Ids by which the remote room has known our sessions.
    var ownIDs: [String: SessionOwner] = [:]
    /// The other end's own name in marks, if it is a Comblang.
    var remoteInstance: String?
    /// Who is there, as the remote room tells, ours included.
    var present: [String: RemotePerson] = [:]
    /// Users here that stand for remote ones, by their ids there.
    var bridgedUsers: [String: BridgedUser] = [:]
    var remoteIDs: [DeviceID: String] = [:]
    private var bridgedIDs: Set<UserID> = []
    /// Being made at the moment.
    var arriving: Set<String> = []
    /// Those who left while they were in a call, and may come back.
    var leaving: Set<String> = []
    var recentIDs = RecentIDs(countMax: 4096)
    /// Frames that are being written to the store.
    var intakeCount = 0
    /// So many of them that no more are read for the moment.
    var isIntakePaused = false
    var hasBegun: Bool

    /// Texts of messages heard lately: each session hears the same.
    var recentTexts = RecentIDs(countMax: 1024)
    /// Whose session waits for the echo of a mark.
    var awaited: [String: SessionOwner] = [:]

    // MARK: Here

    /// Members of the room who read at the moment.
    var online: Set<UserID> = []
    /// Those of them for whom another server reads: they have a session over there already, or need none.
    var relayed: Set<UserID> = []
    /// Who has joined the live calls in which somebody of the remote room takes part, or may.
    var joined: [CallID: Set<UserID>] = [:]
    /// Those who spoke lately, and when.
    var spokeAt: [UserID: Timestamp] = [:]
    /// Signals to the remote room that wait for the session of whoever sends them, in order.
    var waitingSignals = BridgeSignalQueue<OutgoingSignal>()
    /// Users of whom the outbox has something, as far as is known.
    var writers: Set<UserID> = []
    /// Entries that the remote room has, and that the store still holds.
    var doneSeqs: [Int64] = []
    var isFlushing = false

    // MARK: Itself

    var status: BridgeStatus
    /// As last told to the room; `nil` before the first time.
    var announced: BridgeState?
    private var isLoaded = false
    private(set) var isStopped = false
    /// What was committed while the first snapshot was read.
    private var early: [Event] = []
    private var keptHouseAt: Timestamp
    private var ticking: Scheduled<Void>?

    init(_ bridge: Bridge, _ context: BridgeContext, on eventLoop: any EventLoop) {
        self.bridge = bridge
        self.context = context
        self.eventLoop = eventLoop
        self.store = LoopStore(store: context.store, eventLoop: eventLoop)
        var logger = context.logger
        logger[metadataKey: "bridge"] = "\(bridge.name)"
        self.logger = logger
        self.hasBegun = bridge.begunAt != nil
        self.keptHouseAt = context.time.now
        self.status = context.statuses.anew(bridge.name, .down, since: context.time.now)
        self.tls = Result { try BridgeDialer.tlsContext(bridge.target) }
    }

    var now: Timestamp { self.context.time.now }

    // MARK: Life

    /// Reads what there is and begins.
    func start() {
        self.logger.info("bridge starts", metadata: ["url": "\(self.bridge.target.shownURL)"])
        self.publishStatus()
        self.load()
    }

    private func load() {
        let bridge = self.bridge
        self.store.read {
            try BridgeSnapshot(of: bridge, in: $0)
        } then: { result in
            guard !self.isStopped else { return }
            switch result {
            case .success(let snapshot): self.begin(snapshot)
            case .failure(let error):
                self.failed("the database cannot be read", error)
                self.eventLoop.assumeIsolated().scheduleTask(in: .seconds(1)) { self.load() }
            }
        }
    }

    private func begin(_ snapshot: BridgeSnapshot) {
        self.instance = snapshot.instance
        for user in snapshot.users { self.learn(user) }
        for (id, user) in snapshot.sessions { self.ownIDs[id] = user.map { .user($0) } ?? .bridge }
        self.online = snapshot.online
        self.writers = snapshot.writers
        self.joined = snapshot.joined
        self.announced = snapshot.state
        self.isLoaded = true
        let signals = snapshot.signals
        for event in signals { self.signalCommitted(event) }
        let early = self.early
        self.early = []
        // A signal that the snapshot has came early as well.
        let known = Set(signals.map(\.seq))
        for event in early where !known.contains(event.seq) { self.committed(event) }
        self.settle()
        self.scheduleTick()
    }

    /// Says goodbye everywhere. What the remote room has shown to have is taken from the outbox first.
    ///
    /// - parameter then: called on the event loop when that is written.
    func stop(_ close: WebSocketClose, then: @escaping () -> Void) {
        guard !self.isStopped else { return then() }
        self.isStopped = true
        self.ticking?.cancel()
        for session in self.sessions.values {
            session.alarm?.task.cancel()
            session.hangUp(close)
        }
        self.sessions = [:]
        self.context.hub.registry.setBridged([:], by: self.bridge.name)
        self.context.statuses[self.bridge.name] = self.status
        let seqs = self.doneSeqs
        self.doneSeqs = []
        self.logger.info("bridge stops")
        guard !seqs.isEmpty else { return then() }
        self.store.write {
            try $0.deleteOutbox(seqs)
        } then: { _ in
            then()
        }
    }

    // MARK: What is committed here

    /// An event of the room, in the order of the log.
    func committed(_ event: Event) {
        guard !self.isStopped else { return }
        guard self.isLoaded else { return self.early.append(event) }
        switch event.type {
        case .messageCreated: self.messageCommitted(event)
        case .signal: self.signalCommitted(event)
        case .callCreated: self.callCreated(event)
        case .callParticipant: self.participantCommitted(event)
        case .callEnded: self.callEnded(event)
        case .presenceChanged: self.presenceCommitted(event)
        case .memberJoined: self.memberCommitted(event, isMember: true)
        case .memberLeft: self.memberCommitted(event, isMember: false)
        default: break
        }
    }

    private func presenceCommitted(_ event: Event) {
        guard let change = try? JSON.decode(PresenceData.self, from: event.data) else { return }
        guard !self.isBridged(change.user) else { return }
        let isChange =
            change.online ? self.online.insert(change.user).inserted : self.online.remove(change.user) != nil
        if isChange { self.settle() }
    }

    private func memberCommitted(_ event: Event, isMember: Bool) {
        guard let member = try? JSON.decode(MemberData.self, from: event.data), !self.isBridged(member.user) else {
            return
        }
        if isMember, member.online { self.online.insert(member.user) }
        if !isMember { self.online.remove(member.user) }
        self.settle()
    }

    /// Somebody here types.
    func typed(_ user: UserID) {
        guard !self.isBridged(user) else { return }
        self.sessions[.user(user)]?.send(.typing)
    }

    func isBridged(_ user: UserID) -> Bool { self.bridgedIDs.contains(user) }

    func learn(_ user: BridgedUser) {
        self.bridgedUsers[user.remoteID] = user
        self.remoteIDs[user.device] = user.remoteID
        self.bridgedIDs.insert(user.user)
    }

    // MARK: Clock

    private func scheduleTick() {
        self.ticking = self.eventLoop.assumeIsolated().scheduleTask(in: .seconds(1)) { self.tick() }
    }

    private func tick() {
        guard !self.isStopped else { return }
        self.scheduleTick()
        self.waitingSignals.timePassed(at: self.now)
        self.settle()
        self.settlePresence()
        self.announce()
        self.publishStatus()
        if self.now.duration(since: self.keptHouseAt) >= self.context.settings.houseKeepingEvery { self.houseKeep() }
    }

    /// Tells the room how the bridge stands, when it has stood so for a moment.
    private func announce() {
        let state = self.status.state
        guard state != self.announced, self.now.duration(since: self.status.since) >= .seconds(1) else { return }
        self.announced = state
        let (name, now) = (self.bridge.name, self.now)
        self.store.write {
            try $0.changeBridgeState(of: name, to: state, now: now)
        } then: { result in
            if case .failure(let error) = result {
                self.announced = nil
                self.failed("the room cannot be told", error)
            }
        }
    }

    private func houseKeep() {
        self.keptHouseAt = self.now
        self.awaited = self.awaited.filter { self.sessions[$0.value]?.machine.holds($0.key) ?? false }
        let (name, now, ids) = (self.bridge.name, self.now, self.context.ids)
        // Strangers are none of this: whether they become known is for `settlePresence` to say.
        let people = self.present.values.filter { self.bridgedUsers[$0.id] != nil }
        let here = Set(people.compactMap { self.bridgedUsers[$0.id]?.user })
        self.store.write { store in
            for person in people { _ = try store.bridgedUserSeen(person, over: name, now: now, ids: ids) }
            try store.expireBridgedUsers(of: name, but: here, now: now, ids: ids, limit: 20)
            _ = try store.forgetOldBridgeRows(of: name, limit: 2000)
            return try store.bridgedUsers(of: name)
        } then: { result in
            guard case .success(let users) = result else { return }
            (self.bridgedUsers, self.remoteIDs, self.bridgedIDs) = ([:], [:], [])
            for user in users { self.learn(user) }
        }
        guard self.ownIDs.count > 2 * Limits.bridgeSessionIDsKept else { return }
        self.store.read {
            try $0.bridgeSessions(of: name)
        } then: { result in
            guard case .success(let sessions) = result else { return }
            self.ownIDs = sessions.mapValues { $0.map { .user($0) } ?? .bridge }
        }
    }

    // MARK: Status

    func publishStatus() {
        let isLive = self.sessions.values.contains { $0.machine.isLive }
        let state: BridgeState = isLive ? .live : .down
        if state != self.status.state {
            (self.status.state, self.status.since) = (state, self.now)
            let error = isLive ? "" : self.status.lastError?.message ?? ""
            self.logger.log(
                level: isLive ? .info : .warning, "bridge stands otherwise",
                metadata: ["state": "\(state.rawValue)", "error": "\(error)"])
        }
        self.status.sessions = self.sessions.values.count { $0.machine.isLive }
        self.status.users = self.present.keys.count { self.ownIDs[$0] == nil }
        self.context.statuses[self.bridge.name] = self.status
    }

    /// Something went wrong; its text is seen by admins.
    ///
    /// - parameter level: attempts that fail are many while the remote room is away; the change of state is logged.
    func failed(_ text: String, _ error: (any Error)? = nil, level: Logger.Level = .debug) {
        let message = error.map { "\(text): \(DialFailure.words(for: $0))" } ?? text
        self.status.lastError = BridgeStatus.Failure(message, at: self.now)
        self.logger.log(
            level: level, "bridge has trouble",
            metadata: ["trouble": "\(message)", "error": "\(error.map { "\($0)" } ?? "")"])
    }
}

/// What of an event's data is looked at.
private struct PresenceData: Decodable {
    let user: UserID
    let online: Bool
}

private struct MemberData: Decodable {
    let user: UserID
    let online: Bool
}
