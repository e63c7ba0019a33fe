extension StoreReader {
    /// A call whose room the user may see, for one permission.
    ///
    /// - throws: ``Problem`` `not-found` for a call that does not exist or whose room is private to others,
    ///   `not-a-member`, `forbidden`.
    func callRows(_ id: CallID, as user: User, to permission: Permission) throws -> (rows: CallRows, access: RoomAccess)
    {
        guard let rows = try self.callRows(id) else { throw Problem.notFound }
        return (rows, try self.access(.id(rows.call.room), as: user, to: permission))
    }

    /// A call as its room's members see it, also after its end.
    ///
    /// - throws: ``Problem`` `not-found`, `not-a-member`.
    package func call(_ id: CallID, as user: User) throws -> CallPayload {
        try self.payload(of: try self.callRows(id, as: user, to: .readCalls).rows)
    }

    /// That the user has joined a call from this device.
    ///
    /// - throws: ``Problem`` `not-found`, `not-a-member`, `call-ended`, `not-joined`, `joined-elsewhere`; a 409 gets
    ///   the current call as `call`.
    package func requireJoined(_ id: CallID, as user: User, on device: DeviceID) throws {
        let rows = try self.callRows(id, as: user, to: .readCalls).rows
        do throws(Problem) {
            _ = try CallStateMachine(rows).requireJoined(user.id, on: device)
        } catch {
            throw try self.adding(rows, to: error)
        }
    }

    /// A room's calls, newest first.
    ///
    /// - parameter before: a call of the room, exclusive.
    /// - throws: ``Problem`` `not-found`, `not-a-member`.
    package func calls(
        in room: RoomReference, state: CallState?, before: CallID?, limit: Int, as user: User
    ) throws -> [CallPayload] {
        let room = try self.access(room, as: user, to: .readCalls).room
        return try self.calls(in: room.id, state: state, before: before, limit: limit).compactMap { id in
            try self.callRows(id).map { try self.payload(of: $0) }
        }
    }

    /// The call with its participants' names.
    func payload(of rows: CallRows) throws -> CallPayload {
        CallPayload(
            rows.call, participants: try rows.participants.map { ParticipantPayload($0, try self.user($0.user)) })
    }
}
