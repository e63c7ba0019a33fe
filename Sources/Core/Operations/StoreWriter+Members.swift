/// A member as they are after a request, and whether it made them one.
package struct MemberChange: Sendable {
    package let member: Member
    package let user: User
    package let hasJoined: Bool
}

extension StoreWriter {
    /// Joins a room, invites somebody into it or changes a member's role, whatever it takes to make `reference` a
    /// member of `role`. What is so already causes no event.
    ///
    /// - parameter role: `nil` for no wish: `member` when joining. Ignored when joining oneself.
    /// - throws: ``Problem`` `not-found` (room or user), `not-a-member`, `forbidden`, `last-owner`, `room-archived`,
    ///   `limit-reached`.
    package func putMember(
        _ reference: UserReference, of room: RoomReference, role: MemberRole?, as acting: Acting
    ) throws -> MemberChange {
        let access = try self.access(room, as: acting.user)
        let user = try self.user(reference, as: acting.user)
        if let member = try self.member(user.id, of: access.room.id) {
            let changed = try self.changeRole(of: member, user, to: role ?? member.role, access: access, as: acting)
            return MemberChange(member: changed, user: user, hasJoined: false)
        }
        let isSelf = user.id == acting.user.id
        try access.require(isSelf ? .joinRoom : .inviteMember)
        let role = isSelf ? .member : role ?? .member
        // Whom moderators invite begins as a member.
        if role != .member { try access.require(role == .owner ? .makeOwner : .changeRole) }
        guard !access.room.isArchived else { throw Problem(.roomArchived) }
        let member = try self.add(user, to: access.room, role: role, as: acting)
        if access.takesAdmin(isSelf ? .joinRoom : .inviteMember) { try self.auditRole(of: member, as: acting) }
        return MemberChange(member: member, user: user, hasJoined: true)
    }

    /// Leaves a room, or removes somebody from it; their calls in it end for them.
    ///
    /// - throws: ``Problem`` `not-found` (room, user or membership), `not-a-member`, `forbidden`, `last-owner`.
    package func removeMember(_ reference: UserReference, of room: RoomReference, as acting: Acting) throws {
        let access = try self.access(room, as: acting.user)
        let user = try self.user(reference, as: acting.user)
        let isSelf = user.id == acting.user.id
        try access.require(isSelf ? .leaveRoom : .removeMember)
        guard let member = try self.member(user.id, of: access.room.id) else { throw Problem.notFound }
        // Moderators remove members, not one another and not owners.
        if !isSelf, member.role != .member { try access.require(.changeRole) }
        if member.role == .owner {
            try self.requireAnotherOwner(in: access.room.id)
        }
        try self.remove(
            member, user, reason: isSelf ? .left : .removed, by: acting.user.id, now: acting.now, ids: acting.ids)
        if !isSelf, access.takesAdmin(.removeMember) || (member.role != .member && access.takesAdmin(.changeRole)) {
            let record = AuditRecord(.memberRemoved, of: access.room.id.text, ["user": .string(user.id.text)])
            try self.audit(record, as: acting)
        }
    }

    /// Makes somebody a member who is none, from their own `member.joined` event on.
    ///
    /// - throws: ``Problem`` `limit-reached`.
    @discardableResult
    func add(_ user: User, to room: Room, role: MemberRole, as acting: Acting) throws -> Member {
        guard try self.memberCount(of: room.id) < Limits.membersPerRoomMax else {
            throw Problem(.limitReached, "The room has \(Limits.membersPerRoomMax) members")
        }
        guard try self.memberships(of: user.id).count < Limits.roomsPerUserMax else {
            throw Problem(.limitReached, "The user is in \(Limits.roomsPerUserMax) rooms")
        }
        let seq = self.nextSeq
        let member = Member(
            room: room.id, user: user.id, role: role, joinedAt: acting.now, joinedSeq: seq, readSeq: seq)
        try self.insert(member)
        try self.append(
            EventDraft(
                .memberJoined, to: [.room(room.id), .user(user.id)], room: room.id, actor: acting.user.id,
                at: acting.now, data: JSON.text(MemberPayload(member, user))))
        return member
    }

    /// Ends a membership; whether it may end is decided. The one who is gone still sees their own `member.left`.
    ///
    /// - parameter user: as the event shows them.
    func remove(
        _ member: Member, _ user: User, reason: MemberLeftPayload.Reason, by actor: UserID?, now: Timestamp,
        ids: IDSource
    ) throws {
        try self.removeFromCalls(of: user.id, in: member.room, by: actor, now: now, ids: ids)
        try self.delete(member)
        let payload = MemberLeftPayload(member: MemberPayload(member, user), reason: reason)
        try self.append(
            EventDraft(
                .memberLeft, to: [.room(member.room), .user(user.id)], room: member.room, actor: actor, at: now,
                data: JSON.text(payload)))
    }

    /// Sees to a room that a deleted user left: without an owner, its longest-standing moderator, else member, becomes
    /// owner (of the first page by id, so that the work is bounded); without members it is archived.
    func passOn(_ room: RoomID, now: Timestamp) throws {
        guard try self.ownerCount(of: room) == 0, var room = try self.room(room) else { return }
        let members = try self.members(of: room.id, after: nil, limit: Limits.pageItemsMax)
        let heir = members.min { left, right in
            let (isLeftLower, isRightLower) = (left.member.role == .member, right.member.role == .member)
            return isLeftLower == isRightLower ? left.member.joinedSeq < right.member.joinedSeq : isRightLower
        }
        if let (member, user) = heir {
            try self.setRole(.owner, of: member, user, by: nil, now: now)
        } else if !room.isArchived {
            room.isArchived = true
            try self.update(room)
            try self.append(
                EventDraft(
                    .roomArchived, to: [.room(room.id)], room: room.id, at: now, data: JSON.text(RoomPayload(room))))
        }
    }

    private func changeRole(
        of member: Member, _ user: User, to role: MemberRole, access: RoomAccess, as acting: Acting
    ) throws -> Member {
        guard role != member.role else { return member }
        // A repeated joining is still a joining, and its role is still ignored.
        if member.user == acting.user.id, !access.granted.contains(.changeRole) { return member }
        let permission = role == .owner ? Permission.makeOwner : .changeRole
        try access.require(permission)
        guard !access.room.isArchived else { throw Problem(.roomArchived) }
        if member.role == .owner { try self.requireAnotherOwner(in: member.room) }
        let changed = try self.setRole(role, of: member, user, by: acting.user.id, now: acting.now)
        if access.takesAdmin(permission) { try self.auditRole(of: changed, as: acting) }
        return changed
    }

    private func auditRole(of member: Member, as acting: Acting) throws {
        let parameters: [String: JSONValue] = [
            "user": .string(member.user.text), "role": .string(member.role.rawValue),
        ]
        try self.audit(AuditRecord(.memberChanged, of: member.room.text, parameters), as: acting)
    }

    @discardableResult
    private func setRole(
        _ role: MemberRole, of member: Member, _ user: User, by actor: UserID?, now: Timestamp
    ) throws -> Member {
        var member = member
        member.role = role
        try self.update(member)
        try self.append(
            EventDraft(
                .memberUpdated, to: [.room(member.room)], room: member.room, actor: actor, at: now,
                data: JSON.text(MemberPayload(member, user))))
        return member
    }

    /// - throws: ``Problem`` `last-owner`.
    private func requireAnotherOwner(in room: RoomID) throws {
        guard try self.ownerCount(of: room) > 1 else { throw Problem(.lastOwner) }
    }
}
