import Core

extension Call {
    /// `deadlineAt` repeats ``CallRows/deadline``, so that what is due is found by index.
    static let table = Table(
        "call", key: ["id"],
        [
            "room", "initiator", "state", "endReason", "endedBy", "audio", "video", "ringTimeoutSeconds", "createdAt",
            "ringingAt", "offeredAt", "answeredAt", "connectedAt", "endedAt", "isInferred", "deadlineAt",
        ])

    init(_ row: inout Columns) throws {
        self.init(
            id: row.id(), room: row.id(), initiator: row.id(), state: try row.value(),
            endReason: try row.optionalValue(), endedBy: row.optionalID(),
            media: CallMedia(audio: row.flag(), video: row.flag()), ringTimeoutSeconds: Int(row.integer()),
            createdAt: row.time(), ringingAt: row.optionalTime(), offeredAt: row.optionalTime(),
            answeredAt: row.optionalTime(), connectedAt: row.optionalTime(), endedAt: row.optionalTime(),
            isInferred: row.flag())
    }

    func values(deadline: Timestamp?) -> [SQLValue] {
        [
            self.id.text, self.room.text, self.initiator.text, self.state.rawValue, self.endReason?.rawValue,
            self.endedBy?.text, self.media.audio, self.media.video, self.ringTimeoutSeconds,
            self.createdAt.milliseconds, self.ringingAt?.milliseconds, self.offeredAt?.milliseconds,
            self.answeredAt?.milliseconds, self.connectedAt?.milliseconds, self.endedAt?.milliseconds, self.isInferred,
            deadline?.milliseconds,
        ]
    }
}

extension Participant {
    /// `isLive` is the call's: see `migrations/0001_initial.sql`.
    static let table = Table(
        "participant", key: ["call", "user"],
        [
            "device", "leg", "state", "invitedAt", "joinedAt", "leftAt", "audio", "video", "screen", "connection",
            "connectionAt", "transport", "isBusy", "leaseCheckAt", "iceRefreshAt", "leaveTokenHash",
            "holdsCandidates", "readsFrames", "isLive",
        ])

    init(_ row: inout Columns) throws {
        self.init(
            call: row.id(), user: row.id(), device: row.optionalText().map(DeviceID.init(known:)),
            leg: row.optionalID(), state: try row.value(), invitedAt: row.optionalTime(),
            joinedAt: row.optionalTime(), leftAt: row.optionalTime(),
            media: ParticipantMedia(audio: row.flag(), video: row.flag(), screen: row.flag()),
            connection: try row.optionalValue(), connectionAt: row.optionalTime(),
            transport: try row.optionalValue(), isBusy: row.flag(), leaseCheckAt: row.optionalTime(),
            iceRefreshAt: row.optionalTime(), leaveTokenHash: row.optionalText(), holdsCandidates: row.flag(),
            readsFrames: row.flag())
    }

    func values(isLive: Bool) -> [SQLValue] {
        [
            self.call.text, self.user.text, self.device?.text, self.leg?.text, self.state.rawValue,
            self.invitedAt?.milliseconds, self.joinedAt?.milliseconds, self.leftAt?.milliseconds, self.media.audio,
            self.media.video, self.media.screen, self.connection?.rawValue, self.connectionAt?.milliseconds,
            self.transport?.rawValue, self.isBusy, self.leaseCheckAt?.milliseconds,
            self.iceRefreshAt?.milliseconds, self.leaveTokenHash, self.holdsCandidates, self.readsFrames, isLive,
        ]
    }
}

extension Leg {
    static let table = Table(
        "leg", key: ["id"],
        [
            "call", "user", "device", "transport", "joinedAt", "offeredAt", "leftAt", "endReason", "candidateTypes",
        ])

    init(_ row: inout Columns) throws {
        self.init(
            id: row.id(), call: row.id(), user: row.id(), device: DeviceID(known: row.text()),
            transport: try row.optionalValue(), joinedAt: row.time(), offeredAt: row.optionalTime(),
            leftAt: row.optionalTime(), endReason: try row.optionalValue(),
            candidateTypes: CandidateTypes(rawValue: Int(row.integer())))
    }

    var values: [SQLValue] {
        [
            self.id.text, self.call.text, self.user.text, self.device.text, self.transport?.rawValue,
            self.joinedAt.milliseconds, self.offeredAt?.milliseconds, self.leftAt?.milliseconds,
            self.endReason?.rawValue, self.candidateTypes.rawValue,
        ]
    }
}

extension Description {
    static let table = Table(
        "description", key: ["signal"],
        [
            "call", "kind", "state", "sender", "senderLeg", "addressee", "addresseeLeg", "ufrags", "isInitial",
            "createdAt",
        ])

    init(_ row: inout Columns) throws {
        self.init(
            signal: row.id(), call: row.id(), kind: try row.value(), state: try row.value(), from: row.id(),
            fromLeg: row.id(), to: row.id(), toLeg: row.id(), ufrags: try JSON.decode(from: row.text()),
            isInitial: row.flag(), createdAt: row.time())
    }

    func values() throws -> [SQLValue] {
        [
            self.signal.text, self.call.text, self.kind.rawValue, self.state.rawValue, self.from.text,
            self.fromLeg.text, self.to.text, self.toLeg.text, try JSON.text(self.ufrags), self.isInitial,
            self.createdAt.milliseconds,
        ]
    }
}

extension HeldCandidates {
    static let table = Table(
        "heldCandidates", key: ["signal"],
        [
            "call", "sender", "senderLeg", "addressee", "addresseeLeg", "ufrags", "count", "payload", "createdAt",
        ])

    init(_ row: inout Columns) throws {
        self.init(
            signal: row.id(), call: row.id(), from: row.id(), fromLeg: row.id(), to: row.id(), toLeg: row.id(),
            ufrags: try JSON.decode(from: row.text()), count: Int(row.integer()), payload: row.text(),
            createdAt: row.time())
    }

    func values() throws -> [SQLValue] {
        [
            self.signal.text, self.call.text, self.from.text, self.fromLeg.text, self.to.text, self.toLeg.text,
            try JSON.text(self.ufrags), self.count, self.payload, self.createdAt.milliseconds,
        ]
    }
}

extension CandidateCount {
    static let table = Table(
        "candidateCount", key: ["call", "sender", "addressee", "generation"], ["count", "dropped"])

    /// - parameter row: begins behind the column `call`.
    init(_ row: inout Columns) {
        self.init(
            from: row.id(), to: row.id(), generation: row.text(), count: Int(row.integer()),
            dropped: Int(row.integer()))
    }

    func values(call: CallID) -> [SQLValue] {
        [call.text, self.from.text, self.to.text, self.generation, self.count, self.dropped]
    }
}

extension TimelineEntry {
    static let table = Table("timelineEntry", key: ["call"], ["at", "kind", "user", "data"])

    /// - parameter row: begins behind the column `call`.
    init(_ row: inout Columns) {
        self.init(at: row.time(), kind: row.text(), user: row.optionalID(), data: row.text())
    }

    func values(call: CallID) -> [SQLValue] {
        [call.text, self.at.milliseconds, self.kind, self.user?.text, self.data]
    }
}

extension CallQuality {
    /// `metrics` as JSON: what is measured grows without a migration.
    static let table = Table(
        "callQuality", key: ["leg", "peer"],
        [
            "call", "user", "firstAt", "lastAt", "reportCount", "localCandidateType", "remoteCandidateType",
            "candidateProtocol", "relayProtocol", "metrics",
        ])

    /// A peer that was not named is `NULL`, and no `NULL` conflicts with another.
    static let upsert = Self.table.upsert.replacing("CONFLICT (leg, peer)", with: "CONFLICT (leg, ifnull(peer, ''))")

    init(_ row: inout Columns) throws {
        let (leg, peer): (LegID, UserID?) = (row.id(), row.optionalID())
        self.init(
            call: row.id(), user: row.id(), leg: leg, peer: peer, firstAt: row.time(), lastAt: row.time(),
            reportCount: Int(row.integer()), localCandidateType: try row.optionalValue(),
            remoteCandidateType: try row.optionalValue(), candidateProtocol: try row.optionalValue(),
            relayProtocol: try row.optionalValue(), metrics: try JSON.decode(from: row.text()))
    }

    func values() throws -> [SQLValue] {
        [
            self.leg.text, self.peer?.text, self.call.text, self.user.text, self.firstAt.milliseconds,
            self.lastAt.milliseconds, self.reportCount, self.localCandidateType?.rawValue,
            self.remoteCandidateType?.rawValue, self.candidateProtocol?.rawValue, self.relayProtocol?.rawValue,
            try JSON.text(self.metrics),
        ]
    }
}

extension PendingSignal {
    static let table = Table("pendingSignal", key: ["seq"], ["signal", "call", "room", "sender", "expiresAt"])

    init(_ row: inout Columns) {
        self.init(
            seq: row.integer(), signal: row.id(), call: row.id(), room: row.id(),
            sender: row.optionalText().map(DeviceID.init(known:)), expiresAt: row.time())
    }

    var values: [SQLValue] {
        [
            self.seq, self.signal.text, self.call.text, self.room.text, self.sender?.text,
            self.expiresAt.milliseconds,
        ]
    }
}
