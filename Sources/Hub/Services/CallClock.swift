package import Core

/// What clocks do to calls: the one service behind rings, offers, leases, TURN credentials, signals that nobody takes.
///
/// It holds nothing but when it was started: what is due stands in the rows, so a restart forgets no deadline. Each
/// decision is a write of its own; those of one turn share a transaction.
package struct CallClock: Sendable {
    /// How much one turn takes up of each kind before it looks again.
    private static let batchMax = 200

    private let hub: Hub
    private let ids: IDSource
    private let startedAt: Timestamp
    private let credentialsLifetime: Duration?

    /// - parameters:
    ///   - startedAt: when this process began to hear of devices; every lease starts whole then.
    ///   - credentialsLifetime: how long the TURN credentials hold that participants are given; `nil` for none.
    package init(hub: Hub, ids: IDSource, startedAt: Timestamp, credentialsLifetime: Duration? = nil) {
        self.hub = hub
        self.ids = ids
        self.startedAt = startedAt
        self.credentialsLifetime = credentialsLifetime
    }

    private struct Due: Sendable {
        let calls: [CallID]
        let leases: [DueLease]
        let refreshes: [DueICERefresh]
        let hasSignals: Bool
    }

    /// Does all that is due. A turn in which nothing is, and nothing was delivered, writes nothing.
    ///
    /// - throws: the store's error; one call's failure keeps no other one from its turn.
    package func sweep(_ store: any EventStore, now: Timestamp) async throws {
        var isComplete = false
        while !isComplete, !Task.isCancelled {
            let due = try await store.read { store in
                Due(
                    calls: try store.callsDue(by: now, limit: Self.batchMax),
                    leases: try store.leasesDue(by: now, limit: Self.batchMax),
                    refreshes: try store.iceRefreshesDue(by: now, limit: Self.batchMax),
                    hasSignals: try !store.signalsDue(by: now, limit: 1).isEmpty)
            }
            try await self.tell(due.calls, store, now: now)
            try await self.check(due.leases, store, now: now)
            // Behind those, so that nobody is told who was found to be lost in this turn.
            try await self.refresh(due.refreshes, store, now: now)
            let expired = try await self.expireSignals(due, store, now: now)
            isComplete =
                max(due.calls.count, due.leases.count, due.refreshes.count, expired) < Self.batchMax
        }
    }

    private func tell(_ calls: [CallID], _ store: any EventStore, now: Timestamp) async throws {
        let ids = self.ids
        try await Self.each(calls) { call in
            try await store.write { try $0.callTimePassed(call, now: now, ids: ids) }
        }
    }

    private func refresh(_ due: [DueICERefresh], _ store: any EventStore, now: Timestamp) async throws {
        guard !due.isEmpty else { return }
        let lifetime = self.credentialsLifetime
        try await store.write { store in
            // Who left since has no deadline any more.
            let still = Set(try store.iceRefreshesDue(by: now, limit: Self.batchMax))
            try store.refreshICEServers(due.filter(still.contains), lifetime: lifetime, now: now)
        }
    }

    private func expireSignals(_ due: Due, _ store: any EventStore, now: Timestamp) async throws -> Int {
        let delivered = self.hub.deliveries.take()
        guard due.hasSignals || !delivered.isEmpty else { return 0 }
        do {
            return try await store.write {
                try $0.expireSignals(delivered: delivered, now: now, limit: Self.batchMax)
            }
        } catch {
            self.hub.deliveries.putBack(delivered)
            throw error
        }
    }

    // MARK: Leases

    private func check(_ leases: [DueLease], _ store: any EventStore, now: Timestamp) async throws {
        var held: [(lease: DueLease, checkAt: Timestamp, transport: Transport?)] = []
        var lost: [DueLease] = []
        for lease in leases {
            let activity = self.hub.registry.activity(of: lease.device)
            let transport = self.hub.registry.transport(of: lease.device)
            switch Lease.outcome(activity, startedAt: self.startedAt, now: now) {
            case .held(let checkAt): held.append((lease, checkAt, transport))
            case .silent(let checkAt):
                self.hub.rotateOneWayStreams(of: lease.device)
                held.append((lease, checkAt, transport))
            case .lost: lost.append(lease)
            }
        }
        let (renewed, ids) = (held, self.ids)
        if !renewed.isEmpty {
            try await store.write { store in
                for (lease, checkAt, transport) in renewed {
                    try store.renew(lease, checkAt: checkAt, transport: transport)
                }
            }
        }
        try await Self.each(lost) { lease in
            try await store.write { try $0.callLeaseLapsed(lease, now: now, ids: ids) }
        }
    }

    /// Side by side, so that their writes share a transaction; the first error is thrown when all are through.
    private static func each<Element: Sendable>(
        _ elements: [Element], _ body: @escaping @Sendable (Element) async throws -> Void
    ) async throws {
        guard !elements.isEmpty else { return }
        let failure = await withTaskGroup { group in
            for element in elements {
                group.addTask { () -> (any Error)? in
                    do {
                        try await body(element)
                        return nil
                    } catch {
                        return error
                    }
                }
            }
            return await group.reduce(nil) { $0 ?? $1 }
        }
        if let failure { throw failure }
    }
}

extension Hub {
    /// Ends the device's SSE and NDJSON streams with `rotate`: a client that is there comes back at once.
    func rotateOneWayStreams(of device: DeviceID) {
        for wire in self.registry.wires(of: device) where wire.transport == .sse || wire.transport == .ndjson {
            self.end(wire.id, on: wire.loop, .rotate)
        }
    }
}
