/// One input to a call, on its way from a decision to rows and events.
struct CallInput {
    /// The call before; `nil` for a new one.
    let old: CallRows?
    /// Who caused it; `nil` for the server.
    let actor: UserID?
    let now: Timestamp
    let ids: IDSource
    /// By which device the actor asks, and how it reads at this moment; `nil` if that is not known.
    var reading: (device: DeviceID, transport: Transport)?
}

/// What carrying out a decision came to.
struct CallOutcome {
    /// As stored.
    let rows: CallRows
    let payload: CallPayload
    /// The logged events of signals that were delivered.
    var delivered: [SignalID: Event] = [:]
    /// What the request is answered with instead, once what was done is committed.
    var refusal: Problem?
}

extension StoreWriter {
    /// Feeds one input to a call, stores its rows and carries out what follows.
    ///
    /// - throws: the machine's ``Problem``; a 409 gets the current call as `call`.
    func decide(
        _ input: CallInput, joinedMax: Int = Limits.joinedParticipantsMax,
        _ decision: (inout CallStateMachine) throws(Problem) -> [CallAction]
    ) throws -> CallOutcome {
        guard let old = input.old else { throw Problem.notFound }
        var machine = CallStateMachine(old, joinedMax: joinedMax)
        // A short call is over before its leases are looked at.
        if let actor = input.actor, let (device, transport) = input.reading {
            machine.readerSeen(actor, device: device, transport: transport)
        }
        let actions: [CallAction]
        do throws(Problem) {
            actions = try decision(&machine)
        } catch {
            throw try self.adding(old, to: error)
        }
        let outcome = try self.carryOut(actions, rows: machine.rows, input)
        try self.endWaiting(for: outcome.rows.usersGone(since: old), input)
        return outcome
    }

    /// Stores the rows, then does what the actions say, in their order.
    func carryOut(_ actions: [CallAction], rows: CallRows, _ input: CallInput) throws -> CallOutcome {
        if rows != input.old { try self.save(rows, replacing: input.old) }
        var outcome = CallOutcome(rows: rows, payload: try self.payload(of: rows))
        let callText = try actions.isEmpty ? "" : JSON.text(outcome.payload)
        let call = rows.call
        let log = { (type: EventType, audience: Audience, data: String) throws in
            _ = try self.append(
                EventDraft(
                    type, to: [audience], room: call.room, call: call.id, actor: input.actor, at: input.now, data: data)
            )
        }
        for action in actions {
            switch action {
            case .announceCreated: try log(.callCreated, .room(call.room), callText)
            case .announceUpdated: try log(.callUpdated, .room(call.room), callText)
            case .announceEnded: try log(.callEnded, .room(call.room), callText)
            case .ring(let user): try log(.callRinging, .user(user), callText)
            case .announceParticipant(let user):
                guard let participant = outcome.payload.participants.first(where: { $0.participant.user == user })
                else { continue }
                let payload = CallParticipantPayload(call: call.id, participant: participant)
                try log(.callParticipant, .room(call.room), JSON.text(payload))
            case .tellAnsweredElsewhere(let user, let device):
                let payload = AnsweredElsewherePayload(call: call.id, device: device)
                try log(.callAnsweredElsewhere, .user(user), JSON.text(payload))
            case .deliver(let delivery):
                outcome.delivered[delivery.id] = try self.deliver(delivery, of: outcome.payload, input)
            case .tellSuperseded(let offer, let route):
                let notice = SignalDelivery(
                    id: input.ids.next(at: input.now), type: .superseded, route: route, createdAt: input.now,
                    payload: JSONObjectText.adding("offer", offer, to: "{}"))
                try self.deliver(notice, of: outcome.payload, input, isNotice: true)
            case .tellTimedOut(let offer, let route):
                let notice = SignalDelivery(
                    id: input.ids.next(at: input.now), type: .reject, route: route, createdAt: input.now,
                    payload: JSONObjectText.adding("offer", offer, to: #"{"reason":"timeout"}"#))
                try self.deliver(notice, of: outcome.payload, input, isNotice: true)
            case .tellDeclined(let user, let reason, let caller):
                guard let caller = rows.participants.first(where: { $0.user == caller }), let leg = caller.leg,
                    let device = caller.device
                else { continue }
                // Who never joined has no leg or device: the caller's stand for theirs.
                let route = SignalRoute(
                    from: user, fromLeg: leg, fromDevice: device, to: caller.user, toLeg: leg, toDevice: device)
                let notice = SignalDelivery(
                    id: input.ids.next(at: input.now), type: .reject, route: route, createdAt: input.now,
                    payload: try JSON.text(reason.map { ["reason": $0] } ?? [:]))
                try self.deliver(notice, of: outcome.payload, input, isNotice: true)
            case .tellLeft(let route):
                let notice = SignalDelivery(
                    id: input.ids.next(at: input.now), type: .custom, route: route, createdAt: input.now,
                    payload: #"{"payload":{"type":"leave"}}"#)
                try self.deliver(notice, of: outcome.payload, input, isNotice: true)
            case .tellExpired(let signal, let device):
                try self.count(CallCounts(expired: 1), of: call.id)
                try self.logExpiry(of: signal, call: call.id, room: call.room, to: device, now: input.now)
            case .forgetSignals(let leg):
                try self.deleteSignalEvents(of: call.id, leg: leg)
                try self.expireDeletedSignals(of: call.id, at: input.now)
            case .forgetAllSignals:
                try self.deleteSignalEvents(of: call.id)
                try self.expireDeletedSignals(of: call.id, at: input.now)
            case .record(let entry): try self.record(entry, of: call.id, at: input.now)
            case .countDropped(let count): try self.count(CallCounts(dropped: count), of: call.id)
            case .refuse(let problem): outcome.refusal = try self.adding(rows, to: problem)
            }
        }
        return outcome
    }

    /// Logs a signal for the addressee's device alone.
    ///
    /// - parameter isNotice: the server says it, so nobody needs to hear that it did not get through.
    @discardableResult
    private func deliver(
        _ signal: SignalDelivery, of payload: CallPayload, _ input: CallInput, isNotice: Bool = false
    ) throws -> Event {
        let (route, call) = (signal.route, payload.call)
        let sender = payload.participants.first { $0.participant.user == route.from }?.user
        let members =
            "\"id\":\"\(signal.id)\",\"call\":\"\(call.id)\",\"from\":\"\(route.from)\","
            + "\"displayName\":\(try JSON.text(sender?.displayName)),\"color\":\(try JSON.text(sender?.color)),"
            + "\"leg\":\"\(route.fromLeg)\","
            + "\"to\":\"\(route.to)\",\"toLeg\":\"\(route.toLeg)\",\"type\":\"\(signal.type.rawValue)\","
            + "\"createdAt\":\"\(signal.createdAt)\""
        let draft = EventDraft(
            .signal, to: [.device(route.toDevice)], room: call.room, call: call.id, actor: input.actor, at: input.now,
            data: JSONObjectText.joining(members, signal.payload), signal: signal.id)
        let event = draft.event(seq: try self.append(draft))
        try self.insert(
            PendingSignal(
                seq: event.seq, signal: signal.id, call: call.id, room: call.room,
                sender: isNotice ? nil : route.fromDevice,
                expiresAt: input.now.advanced(by: Limits.signalLifetime)))
        return event
    }
}
