import Core
import Foundation
import Hub
import Logging
import NIOCore
import WebSocketWire

// Which sessions there are over there, and how each is dialled, fed and cut.

extension BridgedRoom {
    /// Sees to it that everybody has a session who needs one, and that nobody else keeps theirs.
    func settle() {
        guard !self.isStopped else { return }
        let wanted = self.wanted()
        for owner in wanted where self.sessions[owner] == nil {
            let session = BridgeSession(owner: owner, settings: self.context.settings.session)
            self.sessions[owner] = session
            self.run(session.machine.becameWanted(at: self.now), session)
        }
        // Nobody goes before somebody else listens.
        let isHeard = self.sessions.contains { wanted.contains($0.key) && $0.value.machine.isLive }
        for (owner, session) in self.sessions where !wanted.contains(owner) && (isHeard || !session.machine.isLive) {
            self.run(session.machine.becameUnwanted(), session)
            session.alarm?.task.cancel()
            self.sessions[owner] = nil
        }
        self.publishStatus()
    }

    /// Those who have something to say first, then those who are in a call, then those who are there or have spoken a
    /// moment ago. The bridge's own session listens when there is none of these.
    private func wanted() -> Set<SessionOwner> {
        let talking = self.sessions.values.filter { !$0.machine.isDrained }.compactMap(\.owner.user)
        let calling = self.joined.values.filter { $0.contains { self.isBridged($0) } }
            .flatMap { $0.filter { !self.isBridged($0) } }
        let horizon = self.now.advanced(by: .zero - self.context.settings.lingers)
        self.spokeAt = self.spokeAt.filter { $0.value > horizon }
        for user in self.online {
            switch self.context.hub.registry.isRelayed(user) {
            case true?: self.relayed.insert(user)
            case false?: self.relayed.remove(user)
            case nil: break
            }
        }
        self.relayed.formIntersection(self.online)
        let users = BridgeRoster.users(
            speaking: Array(self.writers) + self.waitingSignals.senders + talking, calling: calling,
            reading: self.online.subtracting(self.relayed).union(self.spokeAt.keys))
        return users.isEmpty ? [.bridge] : Set(users.map { SessionOwner.user($0) })
    }

    // MARK: Carrying out

    /// Carries out what a session's machine says.
    func run(_ actions: [BridgeStateMachine.Action], _ session: BridgeSession) {
        for action in actions {
            switch action {
            case .connect: self.dial(session)
            case .disconnect: session.hangUp(WebSocketClose(.normal, "goodbye"))
            case .send(let messages):
                for message in messages {
                    self.awaited[message.mark] = session.owner
                    session.send(.message(content: message.content, metadata: message.metadata))
                }
                self.status.messagesSent += messages.count
            case .complete(let seqs): self.done(seqs)
            case .giveUp(let seqs):
                self.status.messagesRefused += seqs.count
                self.failed("the remote room does not take a message", level: .warning)
                self.done(seqs)
            case .load(let after): self.loadOutbox(of: session, after: after)
            }
        }
        if let user = session.owner.user, session.machine.isDrained { self.writers.remove(user) }
        self.setAlarm(session)
    }

    private func setAlarm(_ session: BridgeSession) {
        let deadline = session.machine.deadline
        guard deadline != session.alarm?.deadline else { return }
        session.alarm?.task.cancel()
        session.alarm = deadline.map { deadline in
            let wait = max(deadline.duration(since: self.now).milliseconds, 0) + 1
            let task = self.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(wait)) {
                session.alarm = nil
                guard self.sessions[session.owner] === session else { return }
                let before = session.machine.state
                self.run(session.machine.deadlineReached(jitter: .random(in: 0...1), at: self.now), session)
                self.explain(before, session.machine.state)
                self.settle()
            }
            return (deadline, task)
        }
    }

    /// What a deadline that ended a connection was for.
    private func explain(_ before: BridgeStateMachine.State, _ after: BridgeStateMachine.State) {
        guard case .waiting = after else { return }
        self.status.disconnects += 1
        switch before {
        case .connecting: self.failed("cannot connect: no welcome in time")
        case .live: self.failed("a message was not echoed; dialling anew")
        case .idle, .waiting: break
        }
    }

    // MARK: Dialling

    private func dial(_ session: BridgeSession) {
        session.dialling += 1
        let dialling = session.dialling
        guard let user = session.owner.user else {
            let visitor = BridgeVisitor(
                userID: "comblang-\(self.instance)", username: self.bridge.name.text, color: "#888888")
            return self.dial(session, as: visitor, dialling)
        }
        self.store.read {
            try $0.user(user)
        } then: { result in
            guard session.dialling == dialling, !self.isStopped else { return }
            guard case .success(let user?) = result else {
                return self.disconnected(session, dialling, "the user cannot be read", nil)
            }
            let visitor = BridgeVisitor(userID: user.id.text, username: user.displayName, color: user.color)
            self.dial(session, as: visitor, dialling)
        }
    }

    private func dial(_ session: BridgeSession, as visitor: BridgeVisitor, _ dialling: Int) {
        let target = self.bridge.target
        guard let url = target.address(for: visitor, resumeToken: session.resumeToken),
            case .success(let tls) = self.tls
        else {
            if case .failure(let error) = self.tls {
                return self.disconnected(session, dialling, "TLS cannot be set up", error)
            }
            return self.disconnected(session, dialling, "the URL is not valid", nil)
        }
        let timeout = self.context.settings.session.connectTimeout
        let headers = target.headers.merging([BridgeDialer.bridgeHeader: self.instance]) { own, _ in own }
        let bound = NIOLoopBound((self, session), eventLoop: self.eventLoop)
        let eventLoop = self.eventLoop
        var configuration = WebSocketConfiguration(role: .client, incoming: .messages)
        configuration.messageBytesMax = self.context.settings.frameBytesMax
        configuration.pingInterval = self.context.settings.pingInterval
        configuration.pongTimeout = self.context.settings.pongTimeout
        let webSocket = configuration
        BridgeDialer(url: url, headers: headers, tls: tls, timeout: timeout).dial(on: eventLoop) {
            let (room, session) = bound.value
            return WebSocketHandler(
                webSocket, on: eventLoop,
                onText: { if session.dialling == dialling { room.received($0, on: session) } },
                onEnded: { room.disconnected(session, dialling, DialFailure.words(for: $0), nil) })
        } onChannel: { channel in
            let (_, session) = bound.value
            if session.dialling == dialling { session.channel = channel } else { channel.close(promise: nil) }
        }
        .whenComplete { result in
            let (room, session) = bound.value
            switch result {
            case .success(let connection):
                let handler = connection.handler.value
                guard session.dialling == dialling else { return handler.close(WebSocketClose(.normal)) }
                room.remoteInstance = connection.instance
                session.handler = handler
                handler.start()
                if room.isIntakePaused { handler.pauseReading() }
            case .failure(let error): room.disconnected(session, dialling, "cannot connect", error)
            }
        }
    }

    func disconnected(_ session: BridgeSession, _ dialling: Int, _ reason: String, _ error: (any Error)?) {
        guard session.dialling == dialling, self.sessions[session.owner] === session, !self.isStopped else { return }
        self.status.disconnects += 1
        self.failed(reason, error)
        if !session.machine.isLive, Self.mayBeOfTheToken(error) { session.resumeToken = nil }
        session.hangUp(WebSocketClose(.normal))
        self.run(session.machine.disconnected(jitter: .random(in: 0...1), at: self.now), session)
        self.publishStatus()
        self.settlePresence()
    }

    /// Whether it may be the resume token that was refused; that a remote is away says nothing of it.
    ///
    /// - parameter error: `nil` for a connection that was closed before its welcome.
    private static func mayBeOfTheToken(_ error: (any Error)?) -> Bool {
        guard let error else { return true }
        guard let status = (error as? DialFailure)?.status else { return false }
        return (400..<500).contains(status) && status != 429
    }

    // MARK: The outbox

    func messageCommitted(_ event: Event) {
        guard let data = try? JSON.decode(MessageData.self, from: event.data), data.origin != .bridge,
            let message = data.outgoing(from: self.instance)
        else { return }
        guard !self.wasThere(message) else { return self.done([message.seq]) }
        self.writers.insert(data.user)
        self.spokeAt[data.user] = self.now
        guard let session = self.sessions[.user(data.user)] else { return self.settle() }
        self.run(session.machine.queued(message, at: self.now), session)
    }

    /// Whether the message came here by way of the server at the other end.
    private func wasThere(_ message: OutgoingMessage) -> Bool {
        guard let remoteInstance, let mark = BridgeMark(in: message.metadata) else { return false }
        return mark.via.contains(remoteInstance)
    }

    private func loadOutbox(of session: BridgeSession, after seq: Int64) {
        guard let user = session.owner.user else {
            return self.run(session.machine.loaded([], isAll: true, at: self.now), session)
        }
        let (name, instance, limit) = (self.bridge.name, self.instance, self.context.settings.session.queueMax)
        self.store.read { store in
            let entries = try store.outbox(of: name, user: user, after: seq, limit: limit)
            let messages = try entries.map { entry in
                (entry.seq, try store.message(entry.message)?.outgoing(from: instance))
            }
            return (messages, isAll: entries.count < limit)
        } then: { result in
            guard self.sessions[session.owner] === session, !self.isStopped else { return }
            switch result {
            case .success(let (messages, isAll)):
                // Deleted since, gone too far, or there already.
                self.done(messages.filter { $0.1.map { self.wasThere($0) } ?? true }.map(\.0))
                let waiting = messages.compactMap(\.1).filter { !self.wasThere($0) }
                self.run(session.machine.loaded(waiting, isAll: isAll, at: self.now), session)
            case .failure(let error):
                self.failed("the outbox cannot be read", error)
                self.eventLoop.assumeIsolated().scheduleTask(in: .seconds(1)) {
                    guard self.sessions[session.owner] === session else { return }
                    self.loadOutbox(of: session, after: seq)
                }
            }
        }
    }

    /// Takes entries from the outbox, soon and many at once: each write is synced to disk.
    private func done(_ seqs: [Int64]) {
        guard !seqs.isEmpty else { return }
        self.doneSeqs += seqs
        self.flush(after: self.context.settings.outboxFlushEvery)
    }

    private func flush(after wait: Duration) {
        guard !self.isFlushing else { return }
        self.isFlushing = true
        self.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(wait)) {
            let seqs = self.doneSeqs
            self.doneSeqs = []
            self.isFlushing = false
            guard !seqs.isEmpty else { return }
            self.store.write {
                try $0.deleteOutbox(seqs)
            } then: { result in
                guard case .failure(let error) = result, !self.isStopped else { return }
                self.failed("the outbox cannot be written", error)
                self.doneSeqs += seqs
                self.flush(after: .seconds(1))
            }
        }
    }
}

/// What of a `message.created` is passed on.
private struct MessageData: Decodable {
    let seq: Int64
    let id: MessageID
    let user: UserID
    let content: String
    let metadata: JSONValue?
    let origin: MessageOrigin

    func outgoing(from instance: String) -> OutgoingMessage? {
        OutgoingMessage(
            seq: self.seq, id: self.id, content: self.content, metadata: self.metadata, from: instance)
    }
}

extension Message {
    /// `nil` for one that was deleted, or that has gone too far already.
    fileprivate func outgoing(from instance: String) -> OutgoingMessage? {
        guard self.deletedAt == nil else { return nil }
        let metadata = self.metadata.flatMap { try? JSON.decode(JSONValue.self, from: $0) }
        return OutgoingMessage(seq: self.seq, id: self.id, content: self.content, metadata: metadata, from: instance)
    }
}

extension OutgoingMessage {
    fileprivate init?(seq: Int64, id: MessageID, content: String, metadata: JSONValue?, from instance: String) {
        let mark = BridgeMark(in: metadata) ?? BridgeMark(id: id.text, via: [])
        guard !mark.isSpent else { return nil }
        self.init(seq: seq, mark: mark.id, content: content, metadata: metadata.marked(mark.passing(instance)))
    }
}
