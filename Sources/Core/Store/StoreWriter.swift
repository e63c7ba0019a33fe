/// One write in its own savepoint: what it did is committed whole, or, when its closure throws, not at all.
///
/// Reads see the write's own changes and all writes before it. Rows go in as given; decisions are the operations'
/// (`Operations/`), uniqueness and references are also held by the database.
package protocol StoreWriter: StoreReader {
    /// The seq that the next appended event gets.
    var nextSeq: Int64 { get }
    /// The seq of the last event that this write appended; `nil` for none.
    var lastAppendedSeq: Int64? { get }

    /// Appends to the log; readers see it after the commit, in seq order. Returns its seq.
    @discardableResult
    func append(_ event: EventDraft) throws -> Int64
    /// Replaces the data of the message's logged events with seq below `seq` by `data`: earlier versions are not kept.
    /// The message was inserted, with the seq of its `message.created`.
    func redactEvents(of message: MessageID, before seq: Int64, data: String) throws
    /// Deletes a signal's events from the log; they are never replayed.
    func deleteEvents(of signals: [SignalID]) throws
    /// Deletes the signal events of a whole call from the log.
    func deleteSignalEvents(of call: CallID) throws
    /// Deletes the call's signal events whose data names this leg as `leg` (sender's) or `toLeg` (addressee's): signals
    /// of a leg that was replaced are not delivered.
    func deleteSignalEvents(of call: CallID, leg: LegID) throws
    /// Deletes events up to `seq` and remembers the bound; at most `limit` in one write. Returns how many.
    func trimEvents(through seq: Int64, limit: Int) throws -> Int
    /// The seq up to which retention may delete: events older than `time`, or beyond the newest `countMax`.
    func trimBound(olderThan time: Timestamp, countMax: Int) throws -> Int64

    // MARK: Identity

    func insert(_ user: User) throws
    func update(_ user: User) throws
    func insert(_ session: Session) throws
    func update(_ session: Session) throws
    /// Sessions of the user that are not revoked.
    func sessions(of user: UserID) throws -> [Session]
    func insert(_ token: RefreshToken) throws
    /// Forgets the tokens of a session below `generation` (one generation of spent tokens is kept to notice theft).
    func deleteRefreshTokens(of session: SessionID, below generation: Int) throws
    func insert(_ ticket: StreamTicket) throws
    func update(_ ticket: StreamTicket) throws
    func insert(_ key: APIKey) throws
    func delete(_ key: APIKey) throws
    func insert(_ invite: Invite) throws
    func update(_ invite: Invite) throws
    func delete(_ invite: Invite) throws
    func deleteInvites(expiredBy time: Timestamp) throws

    // MARK: Rooms and chat

    func insert(_ room: Room) throws
    func update(_ room: Room) throws
    func insert(_ member: Member) throws
    func update(_ member: Member) throws
    func delete(_ member: Member) throws
    /// Also makes it searchable.
    func insert(_ message: Message) throws
    /// Also updates the search index; a deleted message is not found any more.
    func update(_ message: Message) throws

    // MARK: Calls

    /// Inserts or updates what differs from `old` (`nil`: a new call). Descriptions, held candidates and counts that
    /// are gone in `new` are deleted; participants and legs are never.
    /// The call's record follows: ``CallRecord`` says what of it.
    func save(_ new: CallRows, replacing old: CallRows?) throws
    func insert(_ entry: TimelineEntry, of call: CallID) throws
    /// Inserts, or replaces that of the same leg and peer.
    func save(_ quality: CallQuality) throws
    /// Adds to the counts of the call's record.
    func count(_ counts: CallCounts, of call: CallID) throws
    /// Never goes back.
    func setCallsSeen(by user: UserID, until: Timestamp) throws
    /// Stores another deadline than the one that was saved with the rows.
    func setDeadline(of call: CallID, to time: Timestamp?) throws
    /// The device holds its place until then; nothing if the leg is not the participant's current one any more.
    ///
    /// - parameter transport: how the device reads at this moment, for the record; `nil` leaves what is there.
    func renew(_ lease: DueLease, checkAt: Timestamp, transport: Transport?) throws
    /// When to tell the participant's device again; nothing if it has not joined any more.
    func setICERefresh(of due: DueICERefresh, to time: Timestamp?) throws
    func insert(_ signal: PendingSignal) throws
    /// By the seqs of their events; unknown ones are no error.
    func deletePendingSignals(_ seqs: [Int64]) throws
    /// Makes pending signals of the call due whose events were deleted from the log.
    func expireDeletedSignals(of call: CallID, at time: Timestamp) throws

    // MARK: Bridges

    func insert(_ bridge: Bridge) throws
    func update(_ bridge: Bridge) throws
    /// Also deletes its outbox and what is known of its sessions; its users and receipts stay.
    func delete(_ bridge: Bridge) throws
    func insert(_ user: BridgedUser) throws
    func update(_ user: BridgedUser) throws
    func delete(_ user: BridgedUser) throws
    /// Remembers an id of a session of ours; one that is known is as new again.
    func insertBridgeSession(_ remoteID: String, user: UserID?, of bridge: BridgeName) throws
    func insert(_ entry: OutboxEntry) throws
    /// Unknown ones are no error.
    func deleteOutbox(_ seqs: [Int64]) throws
    func insert(_ receipt: BridgeReceipt) throws
    /// Forgets the oldest sessions and receipts beyond ``Limits/bridgeSessionIDsKept`` and
    /// ``Limits/bridgeReceiptsKept``; at most `limit` of each. Returns how many.
    func forgetOldBridgeRows(of bridge: BridgeName, limit: Int) throws -> Int

    // MARK: Admin

    func insert(_ backup: Backup) throws
    func update(_ backup: Backup) throws
    func delete(_ backup: Backup) throws
    func insert(_ entry: AuditEntry) throws
    /// Deletes the oldest entries: those from before `time`, and those beyond the newest `countMax`; at most `limit`.
    /// Returns how many.
    func deleteAuditEntries(before time: Timestamp, countMax: Int, limit: Int) throws -> Int

    // MARK: Webhooks

    func insert(_ webhook: Webhook) throws
    func update(_ webhook: Webhook) throws
    /// With its attempts.
    func delete(_ webhook: Webhook) throws
    func insert(_ attempt: WebhookAttempt, of webhook: WebhookID) throws
    /// Deletes all but the newest `countMax`.
    func deleteWebhookAttempts(of webhook: WebhookID, keeping countMax: Int) throws

    // MARK: Idempotency and housekeeping

    /// Replaces one of the same name.
    func insert(_ answer: IdempotentAnswer) throws
    /// Deletes idempotent answers, tickets and refresh tokens made before the given times; at most `limit` of each.
    func deleteExpired(
        answersBefore: Timestamp, ticketsBefore: Timestamp, sessionsUnusedBefore: Timestamp, limit: Int) throws
}
