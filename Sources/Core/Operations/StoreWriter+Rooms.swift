/// A room to be made.
package struct NewRoom: Sendable {
    /// Public rooms only.
    package var name: String?
    /// `nil`: the name, or empty.
    package var title: String?
    /// `nil`: public if there is a name, else private.
    package var visibility: RoomVisibility?

    package init(name: String? = nil, title: String? = nil, visibility: RoomVisibility? = nil) {
        self.name = name
        self.title = title
        self.visibility = visibility
    }
}

/// What changes about a room; `nil` stays as it is.
package struct RoomChange: Sendable {
    package var name: String?
    package var title: String?
    package var isArchived: Bool?

    package init(name: String? = nil, title: String? = nil, isArchived: Bool? = nil) {
        self.name = name
        self.title = title
        self.isArchived = isArchived
    }
}

extension StoreWriter {
    /// Makes a room whose owner is the asker.
    ///
    /// - throws: ``Problem`` `validation-failed`, `name-taken`, `limit-reached`.
    package func createRoom(_ new: NewRoom, as acting: Acting) throws -> Room {
        let visibility = new.visibility ?? (new.name == nil ? .private : .public)
        if let title = new.title { try FieldRules.roomTitle(title) }
        if let name = new.name {
            guard visibility == .public else { throw Problem.privateRoomName }
            try self.checkFree(roomName: name)
        }
        let user = try self.presentUser(acting)
        let room = Room(
            id: acting.ids.next(at: acting.now), name: new.name, title: new.title ?? new.name ?? "",
            visibility: visibility, createdBy: user.id, createdAt: acting.now)
        try self.insert(room)
        try self.append(
            EventDraft(
                .roomCreated, to: [.room(room.id), .user(user.id)], room: room.id, actor: user.id, at: acting.now,
                data: JSON.text(RoomPayload(room))))
        try self.add(user, to: room, role: .owner, as: acting)
        return room
    }

    /// Renames, retitles, archives or unarchives a room; archiving ends its calls. What is as asked already causes no
    /// event.
    ///
    /// - throws: ``Problem`` `not-found`, `not-a-member`, `forbidden`, `validation-failed`, `name-taken`,
    ///   `room-archived` for a change of an archived room that leaves it archived.
    package func changeRoom(_ reference: RoomReference, _ change: RoomChange, as acting: Acting) throws -> Room {
        let access = try self.access(reference, as: acting.user)
        if change.isArchived != nil { try access.require(.archiveRoom) }
        if change.name != nil || change.title != nil || change.isArchived == nil { try access.require(.changeRoom) }
        var room = access.room
        if let title = change.title {
            try FieldRules.roomTitle(title)
            room.title = title
        }
        if let name = change.name, name != room.name {
            guard room.visibility == .public else { throw Problem.privateRoomName }
            try self.checkFree(roomName: name)
            room.name = name
        }
        room.isArchived = change.isArchived ?? room.isArchived
        guard room != access.room else { return room }
        guard !(access.room.isArchived && room.isArchived) else { throw Problem(.roomArchived) }
        try self.update(room)
        let isArchiving = room.isArchived && !access.room.isArchived
        if isArchiving { try self.endCalls(in: room.id, by: acting.user.id, now: acting.now, ids: acting.ids) }
        try self.append(
            EventDraft(
                isArchiving ? .roomArchived : .roomUpdated, to: [.room(room.id)], room: room.id, actor: acting.user.id,
                at: acting.now, data: JSON.text(RoomPayload(room))))
        try self.auditChange(of: access, to: room, as: acting)
        return room
    }

    private func auditChange(of access: RoomAccess, to room: Room, as acting: Acting) throws {
        var parameters: [String: JSONValue] = [:]
        if access.takesAdmin(.archiveRoom), room.isArchived != access.room.isArchived {
            parameters["archived"] = .bool(room.isArchived)
        }
        if access.takesAdmin(.changeRoom) {
            if room.title != access.room.title { parameters["title"] = .string(room.title) }
            if room.name != access.room.name { parameters["name"] = room.name.map { .string($0) } ?? .null }
        }
        guard !parameters.isEmpty else { return }
        try self.audit(AuditRecord(.roomChanged, of: room.id.text, parameters), as: acting)
    }

    /// - throws: ``Problem`` `validation-failed`, `name-taken`.
    private func checkFree(roomName name: String) throws {
        try FieldRules.roomName(name)
        guard try self.room(name: name) == nil else { throw Problem(.nameTaken) }
    }
}

extension Problem {
    fileprivate static let privateRoomName = Problem.invalid("name", "must not be given: a private room has none")
}
