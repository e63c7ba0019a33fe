import Core

extension MemoryReading {
    func callsDue(by time: Timestamp, limit: Int) throws -> [CallID] {
        let due = self.state.deadlines.filter { $0.value <= time }
        return Array(due.sorted { ($0.value, $0.key) < ($1.value, $1.key) }.prefix(limit).map(\.key))
    }

    func leasesDue(by time: Timestamp, limit: Int) throws -> [DueLease] {
        let due = self.state.calls.values.flatMap(\.participants).filter { participant in
            participant.leaseCheckAt.map { $0 <= time } ?? false
        }
        return due.sorted { ($0.leaseCheckAt ?? time, $0.call, $0.user) < ($1.leaseCheckAt ?? time, $1.call, $1.user) }
            .prefix(limit).compactMap { participant in
                guard let device = participant.device, let leg = participant.leg else { return nil }
                return DueLease(call: participant.call, user: participant.user, device: device, leg: leg)
            }
    }

    func iceRefreshesDue(by time: Timestamp, limit: Int) throws -> [DueICERefresh] {
        let due = self.state.calls.values.flatMap { rows in rows.participants.map { (rows.call.room, $0) } }
            .filter { $0.1.iceRefreshAt.map { $0 <= time } ?? false }
        return due.sorted { ($0.1.iceRefreshAt ?? time, $0.1.user) < ($1.1.iceRefreshAt ?? time, $1.1.user) }
            .prefix(limit).compactMap { room, participant in
                participant.device.map {
                    DueICERefresh(call: participant.call, room: room, user: participant.user, device: $0)
                }
            }
    }

    func signalsDue(by time: Timestamp, limit: Int) throws -> [PendingSignal] {
        let due = self.state.pendingSignals.filter { $0.expiresAt <= time }
        return Array(due.sorted { ($0.expiresAt, $0.seq) < ($1.expiresAt, $1.seq) }.prefix(limit))
    }

    func pendingSignal(_ seq: Int64) throws -> PendingSignal? { self.state.pendingSignals.first { $0.seq == seq } }
}

extension MemoryWriter {
    func setDeadline(of call: CallID, to time: Timestamp?) throws { self.state.deadlines[call] = time }

    func renew(_ lease: DueLease, checkAt: Timestamp, transport: Transport?) throws {
        guard var rows = self.state.calls[lease.call] else { return }
        for index in rows.participants.indices
        where rows.participants[index].user == lease.user && rows.participants[index].leg == lease.leg
            && rows.participants[index].state == .joined
        {
            rows.participants[index].leaseCheckAt = checkAt
            rows.participants[index].transport = transport ?? rows.participants[index].transport
        }
        for index in rows.legs.indices where rows.legs[index].id == lease.leg {
            rows.legs[index].transport = transport ?? rows.legs[index].transport
        }
        self.state.calls[lease.call] = rows
        self.saveRecord(of: rows)
    }

    func setICERefresh(of due: DueICERefresh, to time: Timestamp?) throws {
        guard var rows = self.state.calls[due.call] else { return }
        for index in rows.participants.indices
        where rows.participants[index].user == due.user && rows.participants[index].state == .joined {
            rows.participants[index].iceRefreshAt = time
        }
        self.state.calls[due.call] = rows
    }

    func insert(_ signal: PendingSignal) throws {
        try self.require(!self.state.pendingSignals.contains { $0.seq == signal.seq }, "pendingSignal.seq is unique")
        self.state.pendingSignals.append(signal)
    }

    func deletePendingSignals(_ seqs: [Int64]) throws {
        let gone = Set(seqs)
        self.state.pendingSignals.removeAll { gone.contains($0.seq) }
    }

    func expireDeletedSignals(of call: CallID, at time: Timestamp) throws {
        let logged = Set(self.state.events.map(\.event.seq))
        for index in self.state.pendingSignals.indices
        where self.state.pendingSignals[index].call == call && !logged.contains(self.state.pendingSignals[index].seq) {
            self.state.pendingSignals[index].expiresAt = min(self.state.pendingSignals[index].expiresAt, time)
        }
    }
}
