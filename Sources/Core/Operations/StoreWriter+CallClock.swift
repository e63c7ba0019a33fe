// What clocks feed to calls: each an input of its own, in a write of its own.

extension StoreWriter {
    /// Does what has become due in a call. Nothing is due any more: its rows stay as they are.
    ///
    /// - throws: the store's error.
    package func callTimePassed(_ id: CallID, now: Timestamp, ids: IDSource) throws {
        guard let rows = try self.callRows(id) else { return }
        let input = CallInput(old: rows, actor: nil, now: now, ids: ids)
        let outcome = try self.decide(input) { machine throws(Problem) in machine.timePassed(at: now) }
        // What was stored may have been another version's idea of it, or a migration's "look at once".
        if outcome.rows == rows { try self.setDeadline(of: id, to: rows.deadline) }
    }

    /// Ends all calls that were going on when a backup was taken: whoever was in them has gone on elsewhere, or hung up
    /// long ago.
    ///
    /// - parameter time: when the backup was taken, which is as long as they are known to have lasted.
    /// - throws: the store's error.
    package func endCallsOfBackup(at time: Timestamp, ids: IDSource) throws {
        var page: [CallID]
        repeat {
            page = try self.callsDue(by: Timestamp(milliseconds: .max), limit: Limits.pageItemsMax)
            for id in page {
                guard let rows = try self.callRows(id) else { continue }
                let end = max(time, rows.call.answeredAt ?? rows.call.createdAt)
                _ = try self.decide(CallInput(old: rows, actor: nil, now: end, ids: ids)) { machine throws(Problem) in
                    machine.restored(at: end)
                }
            }
        } while page.count == Limits.pageItemsMax
    }

    /// A participant's device did not hold its place.
    ///
    /// - throws: the store's error.
    package func callLeaseLapsed(_ lease: DueLease, now: Timestamp, ids: IDSource) throws {
        let input = CallInput(old: try self.callRows(lease.call), actor: nil, now: now, ids: ids)
        _ = try self.decide(input) { machine throws(Problem) in
            machine.leaseLapsed(lease.user, leg: lease.leg, at: now)
        }
    }

    /// Takes a device out of the calls that it has joined: it said goodbye, or has gone on to another call.
    ///
    /// - parameters:
    ///   - call: the one that it stays in.
    ///   - reason: for the record.
    /// - throws: the store's error.
    package func leaveCalls(
        of user: UserID, on device: DeviceID, but call: CallID? = nil, reason: String, now: Timestamp, ids: IDSource
    ) throws {
        for id in try self.liveCalls(of: user, in: nil) where id != call {
            let input = CallInput(old: try self.callRows(id), actor: user, now: now, ids: ids)
            _ = try self.decide(input) { machine throws(Problem) in
                guard machine.participant(user)?.device == device else { return [] }
                return try machine.left(user, device: device, reason: reason, isInferred: true, at: now)
            }
        }
    }

    /// Forgets the signals that were delivered, then deletes from the log those whose time is over, and tells their
    /// senders.
    ///
    /// - parameters:
    ///   - delivered: seqs of events, in any order; unknown ones are no error.
    ///   - limit: how many expire at most in this write.
    /// - returns: how many expired.
    /// - throws: the store's error.
    package func expireSignals(delivered: [Int64], now: Timestamp, limit: Int) throws -> Int {
        try self.countDelivered(delivered)
        try self.deletePendingSignals(delivered)
        let due = try self.signalsDue(by: now, limit: limit)
        guard !due.isEmpty else { return 0 }
        try self.deleteEvents(of: due.map(\.signal))
        try self.deletePendingSignals(due.map(\.seq))
        for signal in due {
            try self.recordExpiry(of: signal, at: now)
            guard let sender = signal.sender else { continue }
            try self.logExpiry(of: signal.signal, call: signal.call, room: signal.room, to: sender, now: now)
        }
        return due.count
    }

    private func countDelivered(_ seqs: [Int64]) throws {
        var counts: [CallID: Int] = [:]
        for seq in seqs {
            // What is not pending is no signal, or was counted before; the server's own signals have no sender.
            guard let signal = try self.pendingSignal(seq), signal.sender != nil else { continue }
            counts[signal.call, default: 0] += 1
        }
        for (call, count) in counts { try self.count(CallCounts(delivered: count), of: call) }
    }

    /// Tells devices to get other ICE servers, as half of the time is over for which their TURN credentials hold.
    ///
    /// - parameter lifetime: of the credentials that they get now; `nil`: there are no TURN servers any more, so nobody
    ///   is told, now or later.
    /// - throws: the store's error.
    package func refreshICEServers(_ due: [DueICERefresh], lifetime: Duration?, now: Timestamp) throws {
        for refresh in due {
            let next = lifetime.map { ICERefresh.time(after: now, lifetime: $0) }
            try self.setICERefresh(of: refresh, to: next)
            guard next != nil else { continue }
            try self.append(
                EventDraft(
                    .iceServersRefresh, to: [.device(refresh.device)], room: refresh.room, call: refresh.call, at: now,
                    data: "{}"))
        }
    }

    /// `signal.expired` to the device that sent it.
    func logExpiry(of signal: SignalID, call: CallID, room: RoomID, to device: DeviceID, now: Timestamp) throws {
        // Identifiers need no escaping.
        try self.append(
            EventDraft(
                .signalExpired, to: [.device(device)], room: room, call: call, at: now,
                data: #"{"call":"\#(call)","signal":"\#(signal)"}"#))
    }
}
