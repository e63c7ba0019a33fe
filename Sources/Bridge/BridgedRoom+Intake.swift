import Core
import Hub
import Logging
import NIOCore
import WebSocketWire

// What a remote room says. Each session hears all that is broadcast; whatever is heard first counts, so that nothing is
// missed when one of them is cut. The id says that it was heard before, or the same text with the same time in it; of
// what has neither, one session tells.

extension BridgedRoom {
    func received(_ text: String, on session: BridgeSession) {
        guard !self.isStopped, !self.recentTexts.contains(text), let members = try? FrameMembers(text),
            let frame = try? RoomFrame(members)
        else {
            return  // Frames of other kinds are the remote room's own affair.
        }
        if case .welcome(let welcome) = frame { return self.welcomed(welcome, members, session) }
        guard session.machine.isLive else { return }
        switch frame {
        case .welcome, .pong: break
        case .message(let message):
            if message.id != nil || message.timestamp != nil { _ = self.recentTexts.insert(text) }
            self.received(message, on: session)
        case .signal(let person, let content, _): self.received(content, from: person, on: session)
        case .join(let person, _):
            let remote = RemotePerson(person)
            guard self.present.count < Self.presentMax,
                self.present.updateValue(remote, forKey: remote.id) != remote
            else { return }
            self.settlePresence()
        case .leave(let person, _):
            // Another session of theirs may be there under the same id; the next welcome tells.
            self.left(person.userID)
            if self.present.removeValue(forKey: person.userID) != nil { self.settlePresence() }
        case .typing(let person, _): self.typing(person, on: session)
        case .error(let code, _): self.failed("the remote room says \(code.prefix(64))")
        }
    }

    /// More are in the remote room than can be known here; they are heard all the same.
    private static let presentMax = 10_000

    private func welcomed(_ welcome: RoomFrame.Welcome, _ members: FrameMembers, _ session: BridgeSession) {
        guard !session.machine.isLive else { return }
        session.remoteID = members.identifier(self.bridge.target.userIDMember) ?? welcome.person?.userID
        if let id = session.remoteID { self.ownIDs[id] = session.owner }
        let (name, id, user, now) = (self.bridge.name, session.remoteID, session.owner.user, self.now)
        self.store.write {
            try $0.bridgeWelcomed(name, remoteID: id, user: user, now: now)
        } then: { result in
            if case .failure(let error) = result { self.failed("the welcome cannot be written", error) }
        }
        session.resumeToken = welcome.resumeToken
        let marks = Set(welcome.history.flatMap { $0.marks })
        self.run(session.machine.welcomed(showing: marks, at: self.now), session)
        self.logger.debug("session welcomed", metadata: ["history": "\(welcome.history.count)"])
        // What was said before the bridge began is the remote room's past, not ours.
        // What nothing tells from what was heard before is left there.
        for message in welcome.history where !message.marks.isEmpty { self.takeIn(message, isPast: !self.hasBegun) }
        self.hasBegun = true
        let before = self.present.keys
        self.present = Dictionary(
            welcome.users.prefix(Self.presentMax).map { ($0.userID, RemotePerson($0)) }, uniquingKeysWith: { $1 })
        for id in before where self.present[id] == nil { self.left(id) }
        self.sendWaitingSignals(of: session)
        self.settle()
        self.settlePresence()
    }

    // MARK: Messages

    private func received(_ message: RoomFrame.Message, on session: BridgeSession) {
        for mark in message.marks {
            guard let owner = self.awaited.removeValue(forKey: mark), let session = self.sessions[owner] else {
                continue
            }
            self.run(session.machine.echoed(mark, at: self.now), session)
        }
        let mark = BridgeMark(in: message.metadata)
        if let mark, mark.via.contains(self.instance) { return }
        if mark == nil, let owner = self.ownIDs[message.person.userID] {
            guard let session = self.sessions[owner], session.remoteID == message.person.userID else { return }
            return self.run(session.machine.echoedUnmarked(message.content, at: self.now), session)
        }
        guard !message.marks.isEmpty || message.timestamp != nil || self.isFirst(session) else { return }
        self.takeIn(message, isPast: false)
    }

    /// Whether this is the session that tells what all of them hear and nothing tells apart.
    private func isFirst(_ session: BridgeSession) -> Bool {
        self.sessions.values.filter(\.machine.isLive).min { $0.dialledBefore($1) } === session
    }

    /// - parameter isPast: remember it as known, and no more.
    private func takeIn(_ message: RoomFrame.Message, isPast: Bool) {
        let mark = BridgeMark(in: message.metadata)
        if let mark, mark.via.contains(self.instance) { return }
        if mark == nil, self.ownIDs[message.person.userID] != nil { return }
        if let id = message.id, !self.recentIDs.insert(id) { return }
        let remote = RemoteMessage(
            id: message.id, author: RemotePerson(message.person), content: message.content, metadata: message.metadata)
        let (name, now, ids) = (self.bridge.name, self.now, self.context.ids)
        let joinedMax = self.context.settings.joinedParticipantsMax
        self.beginIntake()
        self.store.write { store in
            if isPast { return try store.passOver(remote, over: name) }
            return try store.takeIn(remote, over: name, joinedMax: joinedMax, now: now, ids: ids)
        } then: { result in
            self.endIntake()
            if case .failure(let error) = result, !(error is Problem) {
                // It is in the remote room's history: dialling anew brings it again.
                if let id = message.id { self.recentIDs.remove(id) }
                self.failed("a message cannot be written", error)
                return self.redial()
            }
            if case .success(.taken) = result { self.status.messagesReceived += 1 }
            if case .failure(let error as Problem) = result {
                self.failed("a message is not taken in here: \(error.kind.rawValue)")
            }
            self.took(result)
        }
    }

    /// Hears of who stands for whom here.
    func took(_ result: Result<BridgeIntake, any Error>) {
        switch result {
        case .success(.taken(let user)):
            guard self.bridgedUsers[user.remoteID] != user else { return }
            self.learn(user)
            self.settlePresence()
        case .success(.known), .success(.refused): break
        case .failure(let error):
            // A race, or a remote client that does what nobody may: its sender cannot be told over there.
            self.logger.debug("not taken in", metadata: ["error": "\((error as? Problem)?.kind.rawValue ?? "?")"])
        }
    }

    private func redial() {
        for session in self.sessions.values where session.machine.isLive {
            self.disconnected(session, session.dialling, "dialling anew", nil)
        }
    }

    func beginIntake() {
        self.intakeCount += 1
        guard self.intakeCount == self.context.settings.intakeMax else { return }
        self.isIntakePaused = true
        for session in self.sessions.values { session.handler?.pauseReading() }
    }

    func endIntake() {
        self.intakeCount -= 1
        guard self.isIntakePaused, self.intakeCount <= self.context.settings.intakeMax / 2 else { return }
        self.isIntakePaused = false
        for session in self.sessions.values { session.handler?.resumeReading() }
    }

    // MARK: Presence

    private func typing(_ person: RoomFrame.Person, on session: BridgeSession) {
        guard self.isFirst(session), self.ownIDs[person.userID] == nil, let user = self.bridgedUsers[person.userID]
        else { return }
        let room = self.bridge.room
        self.store.read { store in
            try store.user(user.user).map { try store.typing(in: .id(room), as: $0) }
        } then: { result in
            guard case .success(let payload?) = result, let data = try? JSON.text(payload) else { return }
            self.context.hub.publishEphemeral(
                Event(
                    seq: 0, type: .typing, audiences: [.room(room)], room: room, call: nil, actor: user.user,
                    at: self.now, data: data))
        }
    }

    /// Makes users of those who came, and tells the hub who is there.
    func settlePresence() {
        guard !self.isStopped else { return }
        // While one of ours is on its way in, a stranger may turn out to be it.
        let isDialling = self.sessions.values.contains { session in
            if case .connecting = session.machine.state { session.channel != nil } else { false }
        }
        let isLive = self.sessions.values.contains { $0.machine.isLive }
        let strangers = self.present.filter { self.ownIDs[$0.key] == nil }
        // In a ring of Comblangs each would introduce those whom another one had introduced, for ever: there people are
        // known from their first word on.
        if isLive, !isDialling, self.remoteInstance == nil {
            let unknown = strangers.values.filter { self.bridgedUsers[$0.id] == nil }
            let places = Limits.bridgedUsersMax - (strangers.count - unknown.count) - self.arriving.count
            for person in unknown.lazy.filter({ !self.arriving.contains($0.id) }).prefix(max(places, 0)) {
                self.arrived(person)
            }
        }
        let devices = strangers.keys.compactMap { self.bridgedUsers[$0] }.map { ($0.device, $0.user) }
        self.context.hub.registry.setBridged(
            isLive ? Dictionary(devices, uniquingKeysWith: { $1 }) : [:], by: self.bridge.name)
    }

    private func arrived(_ person: RemotePerson) {
        self.arriving.insert(person.id)
        let (name, now, ids) = (self.bridge.name, self.now, self.context.ids)
        self.store.write {
            try $0.bridgedUserSeen(person, over: name, now: now, ids: ids)
        } then: { result in
            self.arriving.remove(person.id)
            self.took(result)
        }
    }
}

extension BridgeSession {
    fileprivate func dialledBefore(_ other: BridgeSession) -> Bool {
        guard case .live(let mine) = self.machine.state, case .live(let theirs) = other.machine.state else {
            return self.machine.isLive
        }
        return mine == theirs ? (self.remoteID ?? "") < (other.remoteID ?? "") : mine < theirs
    }
}

extension RoomFrame.Message {
    /// By any of these it is known what it is: the message of a Comblang has its own id for a mark.
    fileprivate var marks: [String] { [BridgeMark(in: self.metadata)?.id, self.id].compactMap { $0 } }
}

extension RemotePerson {
    init(_ person: RoomFrame.Person) {
        self.init(id: person.userID, username: person.username, color: person.color)
    }
}
