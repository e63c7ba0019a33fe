/// One snapshot of the database, for the duration of a closure: rows in, rows out, no decisions.
///
/// Valid only inside the closure that received it, on that closure's thread. Every list is ordered as stated and
/// cut at its `limit`; the caller asks for one more than a page to learn whether there is a next one.
/// Any method throws the implementation's own error when the database fails; the gateway answers 500 or 503.
package protocol StoreReader {
    /// What the log holds in this snapshot.
    func logBounds() throws -> LogBounds

    // MARK: Identity

    func user(_ id: UserID) throws -> User?
    func user(username: String) throws -> User?
    /// Those of them that there are, in any order.
    func users(_ ids: Set<UserID>) throws -> [User]
    /// Users that share a room with `user`, or all when `user` is `nil`; deleted ones never. Ascending by id.
    func users(sharingRoomWith user: UserID?, after: UserID?, limit: Int) throws -> [User]
    /// Whether the two are members of a common room.
    func shareRoom(_ user: UserID, _ other: UserID) throws -> Bool
    /// Guests last used before `time` and not deleted; ascending by id.
    func guests(lastUsedBefore time: Timestamp, limit: Int) throws -> [UserID]
    func usersOnline() throws -> [UserID]
    /// Members of a room who are online; ascending by id.
    func usersOnline(in room: RoomID, limit: Int) throws -> [User]
    func session(_ id: SessionID) throws -> Session?
    func refreshToken(hash: String) throws -> RefreshToken?
    func streamTicket(hash: String) throws -> StreamTicket?
    func apiKey(hash: String) throws -> APIKey?
    /// The key whose device this session is; `nil` for somebody's who signed in.
    func apiKey(of session: SessionID) throws -> APIKey?
    /// Ascending by id, expired ones too.
    func apiKeys(of user: UserID) throws -> [APIKey]
    func invite(_ id: InviteID) throws -> Invite?
    func invite(hash: String) throws -> Invite?
    /// Ascending by id, expired ones too.
    func invites(after: InviteID?, limit: Int) throws -> [Invite]

    // MARK: Rooms and chat

    func room(_ id: RoomID) throws -> Room?
    /// Archived rooms keep their name.
    func room(name: String) throws -> Room?
    func roomView(_ id: RoomID, for user: UserID) throws -> RoomView?
    /// Rooms the user is in, and public ones that are not archived; ascending by id.
    func roomViews(visibleTo user: UserID, after: RoomID?, limit: Int) throws -> [RoomView]
    func member(_ user: UserID, of room: RoomID) throws -> Member?
    /// A room and the user's membership of it, if any: what every access to a room begins with, hence in one.
    func roomAndMember(_ reference: RoomReference, user: UserID) throws -> (room: Room, member: Member?)?
    /// Members with their users, ascending by user id.
    func members(of room: RoomID, after: UserID?, limit: Int) throws -> [(member: Member, user: User)]
    func memberCount(of room: RoomID) throws -> Int
    func ownerCount(of room: RoomID) throws -> Int
    /// All memberships of a user, ascending by room id; what ``Visibility`` is made of.
    func memberships(of user: UserID) throws -> [Member]
    func message(_ id: MessageID) throws -> Message?
    /// Messages with their authors, newest first (descending by seq), or oldest first when only `after` is given.
    func messages(_ query: MessageQuery) throws -> [(message: Message, user: User)]

    // MARK: Calls

    func callRows(_ id: CallID) throws -> CallRows?
    /// Calls of one room, newest first; each with its participants and their users.
    func calls(in room: RoomID, state: CallState?, before: CallID?, limit: Int) throws -> [CallID]
    /// Calls that have not ended in which the user is invited or joined; ascending by id.
    func liveCalls(of user: UserID, in room: RoomID?) throws -> [CallID]
    /// In the order in which it was written.
    func timeline(of call: CallID) throws -> [TimelineEntry]
    /// What the call's legs reported of their connections, in the order of their first reports.
    func qualities(of call: CallID) throws -> [CallQuality]
    /// What one leg reported of its connection to `peer`; `nil` for nothing yet.
    func quality(of leg: LegID, peer: UserID?) throws -> CallQuality?
    /// How many ``qualities(of:)`` there are.
    func qualityCount(of call: CallID) throws -> Int
    func timelineCount(of call: CallID) throws -> Int
    /// The line of the timeline that tells of this offer or answer; `nil` if none does.
    func description(_ signal: SignalID, of call: CallID) throws -> TimelineEntry?
    /// Calls whose stored ``CallRows/deadline`` has come; those due first come first.
    func callsDue(by time: Timestamp, limit: Int) throws -> [CallID]
    /// Joined participants whose ``Participant/leaseCheckAt`` has come; those due first come first.
    func leasesDue(by time: Timestamp, limit: Int) throws -> [DueLease]
    /// Joined participants whose ``Participant/iceRefreshAt`` has come; those due first come first.
    func iceRefreshesDue(by time: Timestamp, limit: Int) throws -> [DueICERefresh]
    /// Signals not known to be delivered whose time is over; those due first come first.
    func signalsDue(by time: Timestamp, limit: Int) throws -> [PendingSignal]
    /// By the seq of its event.
    func pendingSignal(_ seq: Int64) throws -> PendingSignal?

    // MARK: Records of calls

    func callRecord(_ id: CallID) throws -> CallRecord?
    func callRecords(_ query: CallQuery, _ stretch: CallStretch) throws -> [CallRecord]
    /// What statistics need of each call, oldest first, from behind a position on; `last` is the position of the last
    /// one, `nil` if there are no more behind it.
    func callFigures(
        _ query: CallQuery, by grouping: CallGrouping?, after: Int64, limit: Int
    ) throws -> (figures: [CallFigures], last: Int64?)
    /// In order of first appearance.
    func participants(of call: CallID) throws -> [(participant: Participant, user: User)]
    func ownCalls(_ query: OwnCallQuery, _ stretch: CallStretch) throws -> [OwnCall]
    /// How many calls ``ownCalls(_:_:)`` would find that were missed after `time`; counted up to `max`.
    func missedCallCount(of user: UserID, after time: Timestamp, max: Int) throws -> Int
    /// Up to when the user has seen what they missed; `nil` before the first time.
    func callsSeen(by user: UserID) throws -> Timestamp?

    // MARK: Bridges

    /// This server's name among those that a message goes through; stays with the data.
    func instance() throws -> String
    func bridge(_ name: BridgeName) throws -> Bridge?
    /// Ascending by name.
    func bridges(after: BridgeName?, limit: Int) throws -> [Bridge]
    func bridgedUser(_ remoteID: String, of bridge: BridgeName) throws -> BridgedUser?
    /// All users of a remote room, those seen longest ago first.
    func bridgedUsers(of bridge: BridgeName) throws -> [BridgedUser]
    func bridgedUserCount(of bridge: BridgeName) throws -> Int
    /// Of those who are offline, the one seen longest ago.
    func bridgedUserAway(of bridge: BridgeName) throws -> BridgedUser?
    /// Ids by which the remote room has known sessions of ours, with whose they were; `nil` for the bridge's own.
    func bridgeSessions(of bridge: BridgeName) throws -> [String: UserID?]
    /// Entries of one author behind `seq`, in order.
    func outbox(of bridge: BridgeName, user: UserID, after seq: Int64, limit: Int) throws -> [OutboxEntry]
    /// Everybody of whom the outbox has a message, ascending by id.
    func outboxUsers(of bridge: BridgeName) throws -> [UserID]
    /// How many messages wait; costs the same however many there are.
    func outboxCount(of bridge: BridgeName) throws -> Int
    /// Whether a message of the remote room was taken in already.
    func hasReceipt(_ remoteID: String, of bridge: BridgeName) throws -> Bool
    /// The first message with this mark that came to this room, over a bridge or from another server's.
    func receipt(mark: String, in room: RoomID) throws -> BridgeReceipt?
    /// Logged signals for this device that nobody knows to be delivered, in order.
    func pendingSignalEvents(to device: DeviceID) throws -> [Event]

    // MARK: Admin

    func users(_ query: UserQuery) throws -> [UserOverview]
    /// Admins who are neither suspended nor deleted.
    func actingAdminCount() throws -> Int
    func rooms(_ query: RoomQuery) throws -> [RoomOverview]
    func backup(_ id: BackupID) throws -> Backup?
    /// Newest first (descending by id).
    func backups(before: BackupID?, limit: Int) throws -> [Backup]
    /// Newest first (descending by id), or oldest first when only `after` is given.
    func auditEntries(_ query: AuditQuery) throws -> [AuditEntry]

    // MARK: Webhooks

    func webhook(_ id: WebhookID) throws -> Webhook?
    /// Ascending by id.
    func webhooks() throws -> [Webhook]
    /// Newest first.
    func webhookAttempts(
        of webhook: WebhookID, before: Int64?, limit: Int
    ) throws -> [(id: Int64, attempt: WebhookAttempt)]
    /// The log as it is, internal events and everybody's signals too; ascending by seq.
    func loggedEvents(after seq: Int64, limit: Int) throws -> [Event]

    // MARK: The log

    /// Events in `(after, through]` that `visibility` sees and `filter` lets through in `scope`, ascending by seq, at
    /// most `limit` and at most about `bytesMax` of data (but at least one).
    ///
    /// `considered` is the seq up to which nothing was left out: `through` unless a limit cut the answer.
    func events(
        after: Int64, through: Int64, visibility: Visibility, scope: EventScope, filter: EventFilter, limit: Int,
        bytesMax: Int
    ) throws -> (events: [Event], considered: Int64)

    // MARK: Idempotency

    func idempotentAnswer(_ name: String) throws -> IdempotentAnswer?
}

/// One page of a room's history, or of all rooms'.
package struct MessageQuery: Hashable, Sendable {
    /// `nil`: in all rooms.
    package var room: RoomID?
    /// Exclusive bounds by seq.
    package var beforeSeq: Int64?
    package var afterSeq: Int64?
    /// Full-text: all words must occur (a trailing `*` makes the last a prefix); already checked for length. Any text
    /// is a valid search.
    package var search: String?
    package var user: UserID?
    package var limit: Int

    package init(
        room: RoomID?, beforeSeq: Int64? = nil, afterSeq: Int64? = nil, search: String? = nil, user: UserID? = nil,
        limit: Int
    ) {
        self.room = room
        self.beforeSeq = beforeSeq
        self.afterSeq = afterSeq
        self.search = search
        self.user = user
        self.limit = limit
    }
}

/// The 2xx answer to a POST with an `Idempotency-Key`, sealed by that key, which only its client has: neither the
/// database nor a backup of it tells what was answered, or to what.
package struct IdempotentAnswer: Hashable, Sendable {
    /// Made of the user, the method, the path and the key, none of which it tells.
    package var name: String
    package var sealed: [UInt8]
    /// Of the write's last event; `nil` if it logged none.
    package var seq: Int64?
    package var createdAt: Timestamp

    package init(name: String, sealed: [UInt8], seq: Int64?, createdAt: Timestamp) {
        self.name = name
        self.sealed = sealed
        self.seq = seq
        self.createdAt = createdAt
    }
}
