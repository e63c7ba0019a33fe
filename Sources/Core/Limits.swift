/// Every bound of the contract, with its unit and what passing it gets. `docs/limits.md` is the table for users.
package enum Limits {
    // MARK: Requests

    /// A JSON body; over it 413 `body-too-large`. An offer of 64 KiB fits even if every byte is escaped as `\n`.
    package static let bodyBytesMax = 256 * 1024
    /// Page size of lists; above 422.
    package static let pageItemsMax = 200
    package static let pageItemsDefault = 50
    package static let idempotencyKeyCharactersMax = 255
    package static let idempotencyKept = Duration.seconds(24 * 3600)

    // MARK: Values

    package static let deviceLabelCharactersMax = 64
    package static let displayNameCharactersMax = 64
    package static let passwordCharactersMin = 8
    package static let passwordCharactersMax = 256
    package static let roomTitleCharactersMax = 200
    package static let messageCharactersMax = 32_000
    package static let metadataBytesMax = 8 * 1024
    /// How deep JSON may be nested that comes from outside: what a level costs to read grows with its depth.
    package static let jsonDepthMax = 64
    package static let searchCharactersMax = 200
    package static let reasonCharactersMax = 200

    // MARK: Identity

    package static let accessTokenLifetime = Duration.seconds(15 * 60)
    package static let refreshRepeatWindow = Duration.seconds(30)
    /// A refresh token that was not used for so long is void.
    package static let refreshTokenLifetime = Duration.seconds(30 * 24 * 3600)
    /// Spent refresh tokens of a session that are remembered, so that the use of a copy revokes the family; an older
    /// copy is merely unknown. Ten days of refreshing every 15 minutes; about 100 bytes each.
    package static let spentRefreshTokensKept = 1000
    /// `lastUsedAt` is written at most so often.
    package static let lastUsedPrecision = Duration.seconds(3600)
    /// The token in the data directory; whoever can read it can also read the database.
    package static let adminTokenLifetime = Duration.seconds(10 * 365 * 24 * 3600)
    package static let guestLifetime = Duration.seconds(24 * 3600)
    /// API keys of one user; above 409 `limit-reached`. One for each script, with room.
    package static let apiKeysPerUserMax = 50
    package static let apiKeyNameCharactersMax = 64
    /// How far ahead a key may expire; never is further.
    package static let apiKeyLifetimeMax = Duration.seconds(10 * 366 * 24 * 3600)
    package static let ticketOpensWithin = Duration.seconds(60)
    package static let ticketLifetime = Duration.seconds(12 * 3600)
    package static let roomsPerUserMax = 1000
    package static let membersPerRoomMax = 100_000

    // MARK: Admin

    /// Entries of the audit log that are kept: so many and so long, about 400 MB. The oldest go first.
    package static let auditEntriesMax = 1_000_000
    package static let auditKept = Duration.seconds(366 * 24 * 3600)
    /// Backups that are done, and as many that failed, which are kept at most; the setting is lower.
    package static let backupsKeptMax = 100
    /// All that can be there, one under way included.
    package static let backupsListedMax = 2 * Self.backupsKeptMax + 2
    /// A parameter's text in an entry of the audit log; the rest is cut off.
    package static let auditTextCharactersMax = 200

    /// Invites that have not expired; above 409 `limit-reached`.
    package static let invitesMax = 1000
    /// People who sign up with one invite: a school.
    package static let inviteUsesMax = 10_000
    package static let inviteNoteCharactersMax = 200
    package static let inviteLifetimeDefault = Duration.seconds(7 * 24 * 3600)
    package static let inviteLifetimeMax = Duration.seconds(90 * 24 * 3600)

    // MARK: Webhooks

    /// Each may hold the log back; above 409 `limit-reached`.
    package static let webhooksMax = 100
    package static let webhookURLBytesMax = 2048
    package static let webhookDescriptionCharactersMax = 200
    /// A receiver to which nothing got through for so long gets nothing any more.
    package static let webhookFailingMax = Duration.seconds(24 * 3600)
    /// Events for which the log waits until a webhook has them, beyond what it keeps anyway; about 1 GB.
    package static let webhookBacklogMax: Int64 = 1_000_000
    /// A former secret signs for so long.
    package static let webhookFormerSecretKept = Duration.seconds(24 * 3600)
    /// Attempts of one webhook that are shown.
    package static let webhookAttemptsKept = 1000

    // MARK: Streams

    package static let streamsPerDeviceMax = 8
    package static let streamsPerUserMax = 32
    package static let pollWaitSecondsMax = 60
    package static let pollWaitSecondsDefault = 25
    package static let pollEventsMax = 1000
    package static let pollEventsDefault = 100
    /// An answer stops here with `more: true`; one event alone may exceed it.
    package static let pollAnswerBytesMax = 1024 * 1024
    package static let roomFiltersMax = 50
    package static let typePatternsMax = 50
    /// `pad=1`: what is sent first for proxies that hold small chunks back.
    package static let paddingBytes = 2048

    // MARK: The room protocol

    /// The `content` of a `signal` frame; above `validation-failed`. An SDP of 64 KiB fits though each of its bytes
    /// be escaped as two.
    package static let roomSignalBytesMax = 160 * 1024
    /// What a `welcome` frame tells of what was said before; the rest is `GET /v1/rooms/{room}/messages`.
    package static let roomHistoryMax = 50
    /// How many of those who are there a `welcome` frame names.
    package static let roomUsersMax = 200
    /// How long a `resumeToken` stays good after its last use.
    package static let roomResumeMax = Self.ticketLifetime

    // MARK: Calls

    package static let ringTimeoutSecondsMin = 10
    package static let ringTimeoutSecondsMax = 300
    package static let ringTimeoutSecondsDefault = 60
    package static let joinedParticipantsMax = 8
    package static let invitedUsersMax = 50
    /// Calls that one user started and that have not ended; above 409 `limit-reached`. Each may ring 50 people.
    package static let liveCallsPerInitiatorMax = 10
    /// Distinct users over a call's life, joined or not; above 409 `limit-reached`. Every event of a call lists them
    /// all.
    package static let participantsPerCallMax = 100
    /// Joinings by one participant of one call; above 409 `limit-reached`. A page that reloads in a loop ends here.
    package static let legsPerParticipantMax = 100
    package static let sdpBytesMax = 64 * 1024
    package static let customPayloadBytesMax = 16 * 1024
    /// Per ordered pair and ICE generation, as in the seed (`MAX_ICE_QUEUE_SIZE`).
    package static let heldCandidatesMax = 50
    package static let candidatesPerGenerationMax = 200
    package static let candidateBytesMax = 2048
    /// RFC 8839, 5.4: an `ice-ufrag` has at most 256 characters.
    package static let ufragBytesMax = 256
    /// An encrypted offer or answer, as JSON: 64 KiB of SDP in base64 with room for a nonce and a tag. Other encrypted
    /// payloads are bounded as `custom` is.
    package static let encryptedDescriptionBytesMax = 96 * 1024
    /// Connections of one call (a leg and a peer each) whose quality is kept, some 500 bytes each; above 409
    /// `limit-reached`. A mesh of 64, the largest that can be configured, has 4 032.
    package static let qualityRowsPerCallMax = 5000
    /// A leg that is over may report so long: the last report is made when all is said.
    package static let qualityAfterLeaving = Duration.seconds(60)
    /// Recent descriptions remembered for each ordered pair, to match late candidates with.
    package static let descriptionsPerPairMax = 8

    // MARK: Records

    /// Lines of a call's timeline; later ones are counted as omitted, but for the end. A call of two has about ten,
    /// one of eight about fifty; about 150 bytes each.
    package static let timelineEntriesMax = 500
    /// As above, for what may flap: connection reports, drops, expiries. What counts has a place left.
    package static let timelineDetailsMax = 300
    /// A list of one's own calls counts what was missed and not seen up to here.
    package static let unseenCallsCountMax = 1000
    /// Buckets of one answer of statistics: 31 days of hours, or two years of days.
    package static let statisticsBucketsMax = 744
    /// Rooms or initiators that statistics list by themselves, those with the most calls; the rest are one group.
    package static let statisticsGroupsMax = 50
    /// Rooms or initiators that statistics tell apart while they count; calls of further ones go to the rest. Each
    /// takes about 1 KiB meanwhile.
    package static let statisticsGroupsCountedMax = 10_000
    /// An export whose reader takes nothing for so long is cut off.
    package static let exportStallMax = Duration.seconds(30)

    // MARK: The clocks of a call

    /// An open invitation that nobody took up ends as `cancelled`.
    package static let openInvitationMax = Duration.seconds(3600)
    /// A pair's first offer that is not answered counts as rejected: whoever should answer may be asking their user.
    package static let offerTimeout = Duration.seconds(60)
    /// A later offer of a pair that is not answered lapses; no user is asked about it.
    package static let renegotiationTimeout = Duration.seconds(30)
    /// All joined report `failed` for so long: the call ends. An ICE restart takes some seconds.
    package static let failedMax = Duration.seconds(30)
    /// From its creation a call ends as `too-long`; nothing goes on for ever.
    package static let callMax = Duration.seconds(12 * 3600)
    /// A signal that was not delivered within this is deleted, and its sender told. As long as a device may be away
    /// after its last request: one that comes back in time finds its signals.
    package static let signalLifetime = Duration.seconds(75)
    /// A joined device without an open stream holds its place for so long after a request.
    package static let leaseHeld = Duration.seconds(45)
    /// From then on it has so long to come back.
    package static let leaseGrace = Duration.seconds(30)
    /// The SSE and NDJSON streams of a joined device rotate after so long without another request of it: a proxy may
    /// keep a dead peer's stream open.
    package static let streamSilenceMax = Duration.seconds(60)

    // MARK: Bridges

    package static let bridgesMax = 100
    package static let bridgeURLBytesMax = 2048
    package static let bridgeRemoteRoomCharactersMax = 200
    /// Ids and names that a remote room gives count, and are kept, by so many characters: what a frame may hold is far
    /// more, and is remembered for thousands.
    package static let remoteNameCharactersMax = 200
    package static let bridgeHeadersMax = 16
    package static let bridgeHeaderBytesMax = 4096
    package static let bridgeCertificateBytesMax = 64 * 1024
    /// Servers that a message went through; one with more is not passed on: no honest ring is so long.
    package static let bridgeStationsMax = 16
    /// Messages that wait for a remote room. What is said while so many wait stays here: a remote that is gone for good
    /// must not keep people here from talking.
    package static let bridgeOutboxMax = 20_000
    /// Signals of one sender that wait for their session in a remote room; a call's candidates are fewer.
    package static let bridgeWaitingSignalsMax = 512
    /// The same of all senders of one bridge: fifty offers of the longest, or thousands of candidates.
    package static let bridgeWaitingSignalBytesMax = 8 * 1024 * 1024
    /// Sessions that one bridge holds over there. Users beyond it get one when they have something to say and another
    /// one is idle.
    package static let bridgeSessionsMax = 200
    /// Users of one remote room that are known here; the one that was away for longest makes room for the next.
    package static let bridgedUsersMax = 2000
    /// A bridged user that was not seen for so long is deleted, as a guest is.
    package static let bridgedUserLifetime = Duration.seconds(24 * 3600)
    /// Messages of a remote room whose ids are remembered: more than any history that a welcome shows.
    package static let bridgeReceiptsKept = 20_000
    /// Ids by which a remote room has known sessions of ours, so that nobody meets themselves as a stranger.
    package static let bridgeSessionIDsKept = 5000
}
