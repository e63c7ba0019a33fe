/// A bridge to be made.
package struct NewBridge: Sendable {
    package var name: String
    package var room: RoomReference
    package var target: BridgeTarget
    package var isPaused: Bool
    package var isFromFile: Bool

    package init(
        name: String, room: RoomReference, target: BridgeTarget, isPaused: Bool = false, isFromFile: Bool = false
    ) {
        self.name = name
        self.room = room
        self.target = target
        self.isPaused = isPaused
        self.isFromFile = isFromFile
    }
}

extension StoreReader {
    /// - throws: ``Problem`` `not-found`, also for a text that names no bridge.
    package func bridge(named text: String) throws -> Bridge {
        guard let name = BridgeName(text), let bridge = try self.bridge(name) else { throw Problem.notFound }
        return bridge
    }
}

extension StoreWriter {
    /// Joins a room to a remote one. Whether the actor may is decided.
    ///
    /// - parameter actor: `nil` for the server.
    /// - throws: ``Problem`` `validation-failed`, `name-taken`, `limit-reached`.
    package func createBridge(_ new: NewBridge, by actor: UserID?, now: Timestamp) throws -> Bridge {
        try FieldRules.username(new.name, field: "name")
        try new.target.check()
        let name = BridgeName(known: new.name)
        guard try self.bridge(name) == nil else { throw Problem(.nameTaken) }
        guard try self.bridges(after: nil, limit: Limits.bridgesMax).count < Limits.bridgesMax else {
            throw Problem(.limitReached, "There are \(Limits.bridgesMax) bridges")
        }
        guard var room = try self.roomToBridge(new.room), !room.isArchived else {
            throw Problem.invalid("room", "must be a room that is not archived")
        }
        if let other = room.bridge { throw Problem.invalid("room", "is bridged by \(other) already") }
        let bridge = Bridge(
            name: name, room: room.id, target: new.target, isPaused: new.isPaused, isFromFile: new.isFromFile,
            createdAt: now)
        try self.insert(bridge)
        (room.bridge, room.bridgeState) = (name, new.isPaused ? .paused : .down)
        try self.updateBridged(room, by: actor, now: now)
        try self.appendBridgeChanged(name, at: now)
        return bridge
    }

    /// Lets a bridge rest, or wakes it; what is as asked already causes no event. Remote users leave their calls when
    /// it rests, as nothing of them comes any more.
    package func pauseBridge(
        _ bridge: Bridge, _ isPaused: Bool, by actor: UserID?, now: Timestamp, ids: IDSource
    ) throws -> Bridge {
        guard bridge.isPaused != isPaused else { return bridge }
        var bridge = bridge
        bridge.isPaused = isPaused
        try self.update(bridge)
        if isPaused {
            for user in try self.bridgedUsers(of: bridge.name) {
                try self.leaveCalls(
                    of: user.user, on: user.device, reason: "inferred: the bridge was paused", now: now, ids: ids)
            }
        }
        try self.changeBridgeState(of: bridge.name, to: isPaused ? .paused : .down, now: now)
        try self.appendBridgeChanged(bridge.name, at: now)
        return bridge
    }

    /// Leads a bridge elsewhere; the same target again causes no event. What waits goes to the new one.
    ///
    /// - throws: ``Problem`` `validation-failed`.
    package func retargetBridge(_ bridge: Bridge, to target: BridgeTarget, now: Timestamp) throws {
        try target.check()
        guard bridge.target != target || !bridge.isFromFile else { return }
        var bridge = bridge
        (bridge.target, bridge.isFromFile) = (target, true)
        try self.update(bridge)
        try self.appendBridgeChanged(bridge.name, at: now)
    }

    /// Takes a bridge away: its users leave the room, what waited is dropped, messages stay.
    package func deleteBridge(_ bridge: Bridge, by actor: UserID?, now: Timestamp, ids: IDSource) throws {
        for user in try self.bridgedUsers(of: bridge.name) {
            try self.retire(user, by: actor, now: now, ids: ids)
        }
        try self.delete(bridge)
        if var room = try self.room(bridge.room) {
            (room.bridge, room.bridgeState) = (nil, nil)
            try self.updateBridged(room, by: actor, now: now)
        }
        try self.appendBridgeChanged(bridge.name, at: now)
    }

    /// Tells the room how its bridge stands; what it was told already causes no event. A bridge that was told to rest
    /// is paused, whatever it did a moment ago.
    package func changeBridgeState(of name: BridgeName, to state: BridgeState, now: Timestamp) throws {
        guard let bridge = try self.bridge(name), !bridge.isPaused || state == .paused,
            var room = try self.room(bridge.room), room.bridgeState != state
        else { return }
        room.bridgeState = state
        try self.updateBridged(room, by: nil, now: now)
    }

    /// Makes the bridges of the configuration file be as it says: new ones are made, changed ones led elsewhere, and
    /// those that came from the file and are not in it any more go.
    ///
    /// - throws: ``Problem`` as ``createBridge(_:by:now:)``; its detail names the bridge.
    package func applyBridgeFile(_ wanted: [NewBridge], now: Timestamp, ids: IDSource) throws {
        // All that go, before any comes: two may have changed places.
        for bridge in try self.bridges(after: nil, limit: Limits.bridgesMax) {
            let isGone =
                if let new = wanted.first(where: { $0.name == bridge.name.text }) {
                    try self.roomToBridge(new.room)?.id != bridge.room
                } else {
                    bridge.isFromFile
                }
            if isGone { try self.deleteBridge(bridge, by: nil, now: now, ids: ids) }
        }
        for new in wanted {
            if let name = BridgeName(new.name), let bridge = try self.bridge(name) {
                try self.retargetBridge(bridge, to: new.target, now: now)
            } else {
                _ = try self.createBridge(new, by: nil, now: now)
            }
        }
    }

    private func roomToBridge(_ reference: RoomReference) throws -> Room? {
        switch reference {
        case .id(let id): try self.room(id)
        case .name(let name): try self.room(name: name)
        }
    }

    private func updateBridged(_ room: Room, by actor: UserID?, now: Timestamp) throws {
        try self.update(room)
        try self.append(
            EventDraft(
                .roomUpdated, to: [.room(room.id)], room: room.id, actor: actor, at: now,
                data: JSON.text(RoomPayload(room))))
    }

    private func appendBridgeChanged(_ name: BridgeName, at now: Timestamp) throws {
        try self.append(
            EventDraft(.bridgeChanged, to: [], at: now, data: JSON.text(BridgeChangedPayload(bridge: name))))
    }

    // MARK: What goes out

    /// Puts a message that was just written into the outbox of its room's bridge; it stays here if it came over that
    /// bridge, has gone too far already, or too many wait.
    ///
    /// - returns: whether it waits now.
    @discardableResult
    func enqueue(_ message: Message, for bridge: BridgeName) throws -> Bool {
        let metadata = try message.metadata.map { try JSON.decode(JSONValue.self, from: $0) }
        guard message.origin != .bridge, BridgeMark(in: metadata)?.isSpent != true,
            try self.outboxCount(of: bridge) < Limits.bridgeOutboxMax
        else { return false }
        try self.insert(OutboxEntry(seq: message.seq, bridge: bridge, user: message.user, message: message.id))
        return true
    }

    /// A session of ours was welcomed over there.
    ///
    /// - parameter remoteID: by which the remote room knows it; `nil` if it does not say.
    package func bridgeWelcomed(
        _ name: BridgeName, remoteID: String?, user: UserID?, now: Timestamp
    ) throws {
        guard var bridge = try self.bridge(name) else { return }
        if let remoteID { try self.insertBridgeSession(remoteID, user: user, of: name) }
        guard bridge.begunAt == nil else { return }
        bridge.begunAt = now
        try self.update(bridge)
    }
}
