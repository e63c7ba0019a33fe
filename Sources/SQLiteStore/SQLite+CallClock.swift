import Core

// What is due: each found by an index that holds live rows only, so that a turn costs nothing while nothing is.

extension SQLiteReading {
    func callsDue(by time: Timestamp, limit: Int) throws -> [CallID] {
        try self.db.identifiers(
            "SELECT id FROM call WHERE deadlineAt <= ?1 ORDER BY deadlineAt, id LIMIT ?2", [time.milliseconds, limit])
    }

    func leasesDue(by time: Timestamp, limit: Int) throws -> [DueLease] {
        try self.db.all(
            """
            SELECT call, user, device, leg FROM participant \
            WHERE leaseCheckAt <= ?1 ORDER BY leaseCheckAt, position LIMIT ?2
            """, [time.milliseconds, limit]
        ) { row in
            DueLease(call: row.id(), user: row.id(), device: DeviceID(known: row.text()), leg: row.id())
        }
    }

    func iceRefreshesDue(by time: Timestamp, limit: Int) throws -> [DueICERefresh] {
        try self.db.all(
            """
            SELECT participant.call, call.room, participant.user, participant.device \
            FROM participant CROSS JOIN call ON call.id = participant.call \
            WHERE participant.iceRefreshAt <= ?1 ORDER BY participant.iceRefreshAt, participant.position LIMIT ?2
            """, [time.milliseconds, limit]
        ) { row in
            DueICERefresh(call: row.id(), room: row.id(), user: row.id(), device: DeviceID(known: row.text()))
        }
    }

    func signalsDue(by time: Timestamp, limit: Int) throws -> [PendingSignal] {
        try self.db.all(
            """
            SELECT \(PendingSignal.table.selection) FROM pendingSignal \
            WHERE expiresAt <= ?1 ORDER BY expiresAt, seq LIMIT ?2
            """, [time.milliseconds, limit]
        ) { PendingSignal(&$0) }
    }

    func pendingSignal(_ seq: Int64) throws -> PendingSignal? {
        try self.db.first("SELECT \(PendingSignal.table.selection) FROM pendingSignal WHERE seq = ?1", [seq]) {
            PendingSignal(&$0)
        }
    }
}

extension SQLiteWriter {
    func setDeadline(of call: CallID, to time: Timestamp?) throws {
        try self.db.run("UPDATE call SET deadlineAt = ?2 WHERE id = ?1", [call.text, time?.milliseconds])
    }

    func renew(_ lease: DueLease, checkAt: Timestamp, transport: Transport?) throws {
        try self.db.run(
            """
            UPDATE participant SET leaseCheckAt = ?4, transport = ifnull(?5, transport) \
            WHERE call = ?1 AND user = ?2 AND leg = ?3 AND state = 'joined'
            """,
            [lease.call.text, lease.user.text, lease.leg.text, checkAt.milliseconds, transport?.rawValue])
        guard let transport,
            try self.db.exists(
                "SELECT 1 FROM leg WHERE id = ?1 AND transport IS NOT ?2", [lease.leg.text, transport.rawValue])
        else { return }
        try self.db.run("UPDATE leg SET transport = ?2 WHERE id = ?1", [lease.leg.text, transport.rawValue])
        try self.noteTransport(transport, of: lease.call)
    }

    func setICERefresh(of due: DueICERefresh, to time: Timestamp?) throws {
        try self.db.run(
            "UPDATE participant SET iceRefreshAt = ?3 WHERE call = ?1 AND user = ?2 AND state = 'joined'",
            [due.call.text, due.user.text, time?.milliseconds])
    }

    func insert(_ signal: PendingSignal) throws {
        try self.db.run(PendingSignal.table.insert, signal.values)
    }

    func deletePendingSignals(_ seqs: [Int64]) throws {
        for seq in seqs { try self.db.run("DELETE FROM pendingSignal WHERE seq = ?1", [seq]) }
    }

    func expireDeletedSignals(of call: CallID, at time: Timestamp) throws {
        try self.db.run(
            """
            UPDATE pendingSignal SET expiresAt = min(expiresAt, ?2) \
            WHERE call = ?1 AND NOT EXISTS (SELECT 1 FROM event WHERE event.seq = pendingSignal.seq)
            """, [call.text, time.milliseconds])
    }
}
