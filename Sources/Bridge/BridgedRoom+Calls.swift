import Core
import Hub
import NIOCore
import WebSocketWire

// Calls across the bridge: the record is here, the remote room only carries the seed's signals.

extension BridgedRoom {
    // MARK: From over there

    /// A signal for one of ours, on their session.
    func received(_ content: String, from person: RoomFrame.Person, on session: BridgeSession) {
        guard let user = session.owner.user, self.ownIDs[person.userID] == nil,
            let signal = try? RoomSignal(content: content)
        else { return }
        let (name, now, ids) = (self.bridge.name, self.now, self.context.ids)
        let joinedMax = self.context.settings.joinedParticipantsMax
        let (registry, room) = (self.context.hub.registry, self.bridge.room)
        let remote = RemotePerson(person)
        self.status.signalsReceived += 1
        self.beginIntake()
        self.store.write { store in
            // Asked inside the write: whoever came or went before it is known.
            let recipient = FrameRecipient(
                user: user, seat: registry.seat(of: user, in: room),
                isPresent: registry.isPresent(user, grace: Presence.grace))
            return try store.takeIn(
                signal: signal, from: remote, to: recipient, over: name, joinedMax: joinedMax, now: now, ids: ids)
        } then: { result in
            self.endIntake()
            self.took(result)
        }
    }

    /// Somebody left the remote room. Unless they come back at once, they have left their calls: the seed's clients say
    /// no more than that.
    func left(_ remoteID: String) {
        guard let user = self.bridgedUsers[remoteID], self.joined.values.contains(where: { $0.contains(user.user) }),
            self.leaving.insert(remoteID).inserted
        else { return }
        self.eventLoop.assumeIsolated().scheduleTask(in: Self.returnTime) {
            self.leaving.remove(remoteID)
            guard !self.isStopped, self.present[user.remoteID] == nil,
                self.sessions.values.contains(where: { $0.machine.isLive })
            else { return }
            let (now, ids) = (self.now, self.context.ids)
            self.store.write { store in
                try store.leaveCalls(
                    of: user.user, on: user.device, reason: "inferred: left the remote room", now: now, ids: ids)
            } then: { result in
                if case .failure(let error) = result { self.failed("a call cannot be left", error) }
            }
        }
    }

    /// A page that is loaded again, or a network that blinks.
    private static let returnTime = TimeAmount.seconds(10)

    // MARK: From here

    /// A signal for somebody of the remote room: it goes over the session of whoever sends it, now or once that is
    /// welcomed. Until then it is not delivered, and expires as everywhere.
    func signalCommitted(_ event: Event) {
        guard case .device(let device)? = event.audiences.first, let remoteID = self.remoteIDs[device],
            let data = try? JSON.decode(RoomSignalData.self, from: event.data), let sender = UserID(data.from),
            !self.isBridged(sender)
        else { return }
        self.spokeAt[sender] = self.now
        let contents = data.contents.filter { $0 != Self.superseded }
        let signal = OutgoingSignal(event: event, remoteID: remoteID, contents: contents)
        // A session that is live has been sent what waited for it.
        if let session = self.sessions[.user(sender)], session.machine.isLive {
            return self.send(signal, on: session)
        }
        let bytes = contents.reduce(event.data.utf8.count) { $0 + $1.utf8.count }
        self.waitingSignals.add(signal, from: sender, call: event.call, bytes: bytes, at: event.at)
        self.settle()
    }

    /// An offer of its own follows, which takes the other one's place by itself over there.
    private static let superseded = #"{"type":"superseded"}"#

    /// The session of somebody is welcomed.
    func sendWaitingSignals(of session: BridgeSession) {
        guard let user = session.owner.user else { return }
        self.waitingSignals.timePassed(at: self.now)
        for signal in self.waitingSignals.take(from: user) { self.send(signal, on: session) }
    }

    private func send(_ signal: OutgoingSignal, on session: BridgeSession) {
        for content in signal.contents { session.send(.signal(to: signal.remoteID, content: content)) }
        self.status.signalsSent += signal.contents.count
        self.context.hub.deliveries.note([signal.event])
    }

    /// Its initiator has joined it from the beginning.
    func callCreated(_ event: Event) {
        guard let call = event.call, let data = try? JSON.decode(CallData.self, from: event.data) else { return }
        self.joined[call] = Set(data.participants.filter { $0.state == .joined }.map(\.user))
        self.settle()
    }

    /// Somebody joined a call, or went out of it. That they did is a signal, as to everybody who reads frames; their
    /// session stays to say it.
    func participantCommitted(_ event: Event) {
        guard let change = try? JSON.decode(ParticipantData.self, from: event.data) else { return }
        let isJoined = change.state == .joined
        let wasJoined = self.joined[change.call]?.contains(change.user) == true
        guard isJoined != wasJoined else { return }
        if isJoined {
            self.joined[change.call, default: []].insert(change.user)
        } else {
            self.joined[change.call]?.remove(change.user)
            self.hungUp(change.user)
        }
        self.settle()
    }

    func callEnded(_ event: Event) {
        guard let call = event.call else { return }
        self.waitingSignals.callEnded(call)
        guard let joined = self.joined.removeValue(forKey: call) else { return }
        for user in joined { self.hungUp(user) }
        self.settle()
    }

    /// Another Comblang has a call of its own, which may be one that nobody there has joined: it hears that this user
    /// is in none any more. Whom they negotiated with hears it by a signal, as everywhere.
    private func hungUp(_ user: UserID) {
        self.spokeAt[user] = self.now
        guard self.remoteInstance != nil, !self.joined.values.contains(where: { $0.contains(user) }),
            let session = self.sessions[.user(user)], let remoteID = session.remoteID
        else { return }
        session.send(.signal(to: remoteID, content: Self.leave))
    }

    private static let leave = #"{"type":"leave"}"#
}

/// What of a `call.created` is looked at.
private struct CallData: Decodable {
    struct Participant: Decodable {
        let user: UserID
        let state: ParticipantState
    }

    let participants: [Participant]
}

/// What of a `call.participant` is looked at.
private struct ParticipantData: Decodable {
    let call: CallID
    let user: UserID
    let state: ParticipantState
}
