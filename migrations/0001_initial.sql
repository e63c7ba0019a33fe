-- The first schema. Times are milliseconds since 1970-01-01T00:00:00Z, identifiers their whole text, booleans 0 or 1.

-- One row: what belongs to the log as a whole. Inserted when the database is first opened.
CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch TEXT NOT NULL CHECK (length(epoch) BETWEEN 1 AND 16),
    trimmedThrough INTEGER NOT NULL DEFAULT 0,
    -- The highest seq ever given. Kept here, once for each transaction, as AUTOINCREMENT would for each event: a seq is
    -- never given twice, even when the newest events are deleted.
    tail INTEGER NOT NULL DEFAULT 0
) STRICT;

-- MARK: Identity

CREATE TABLE user (
    id TEXT PRIMARY KEY NOT NULL,
    username TEXT,
    displayName TEXT NOT NULL,
    color TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('user', 'admin')),
    kind TEXT NOT NULL CHECK (kind IN ('account', 'guest', 'bridged')),
    isSuspended INTEGER NOT NULL CHECK (isSuspended IN (0, 1)),
    isOnline INTEGER NOT NULL CHECK (isOnline IN (0, 1)),
    createdAt INTEGER NOT NULL,
    lastUsedAt INTEGER NOT NULL,
    deletedAt INTEGER,
    passwordHash TEXT,
    -- The name of a deleted user is free again.
    CHECK (deletedAt IS NULL OR username IS NULL)
) STRICT;
CREATE UNIQUE INDEX userByUsername ON user (username) WHERE username IS NOT NULL;
CREATE INDEX guestByLastUse ON user (lastUsedAt, id) WHERE kind = 'guest' AND deletedAt IS NULL;
CREATE INDEX userOnline ON user (id) WHERE isOnline = 1;

CREATE TABLE session (
    id TEXT PRIMARY KEY NOT NULL,
    user TEXT NOT NULL REFERENCES user (id),
    createdAt INTEGER NOT NULL,
    lastUsedAt INTEGER NOT NULL,
    revokedAt INTEGER,
    generation INTEGER NOT NULL,
    rotatedAt INTEGER
) STRICT;
CREATE INDEX sessionByUser ON session (user, id) WHERE revokedAt IS NULL;
CREATE INDEX sessionByLastUse ON session (lastUsedAt);

CREATE TABLE refreshToken (
    hash TEXT PRIMARY KEY NOT NULL,
    session TEXT NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    generation INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX refreshTokenBySession ON refreshToken (session, generation);

CREATE TABLE streamTicket (
    hash TEXT PRIMARY KEY NOT NULL,
    user TEXT NOT NULL REFERENCES user (id),
    device TEXT NOT NULL,
    createdAt INTEGER NOT NULL,
    openedAt INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX streamTicketByCreation ON streamTicket (createdAt);

-- MARK: Rooms and chat

CREATE TABLE room (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT,
    title TEXT NOT NULL,
    visibility TEXT NOT NULL CHECK (visibility IN ('public', 'private')),
    createdBy TEXT NOT NULL REFERENCES user (id),
    createdAt INTEGER NOT NULL,
    isArchived INTEGER NOT NULL CHECK (isArchived IN (0, 1)),
    bridge TEXT
) STRICT;
CREATE UNIQUE INDEX roomByName ON room (name) WHERE name IS NOT NULL;
CREATE INDEX roomListed ON room (id) WHERE visibility = 'public' AND isArchived = 0;

CREATE TABLE member (
    room TEXT NOT NULL REFERENCES room (id),
    user TEXT NOT NULL REFERENCES user (id),
    role TEXT NOT NULL CHECK (role IN ('owner', 'moderator', 'member')),
    joinedAt INTEGER NOT NULL,
    joinedSeq INTEGER NOT NULL,
    readSeq INTEGER NOT NULL,
    PRIMARY KEY (room, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX memberByUser ON member (user, room);
CREATE INDEX ownerByRoom ON member (room) WHERE role = 'owner';

-- `seq` is that of the `message.created` event, so unique in the whole log.
CREATE TABLE message (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    room TEXT NOT NULL REFERENCES room (id),
    user TEXT NOT NULL REFERENCES user (id),
    content TEXT NOT NULL,
    metadata TEXT,
    createdAt INTEGER NOT NULL,
    editedAt INTEGER,
    deletedAt INTEGER,
    origin TEXT NOT NULL CHECK (origin IN ('rest', 'websocket', 'bridge'))
) STRICT;
-- History, and the count of unread messages without a look at the rows.
CREATE INDEX messageByRoom ON message (room, seq, user, deletedAt);
CREATE INDEX messageByAuthor ON message (room, user, seq);

-- Written by the store at the end of each transaction: rows one by one would cost twice as much.
-- The room is indexed so that a search in a small room does not walk all matches of the large ones. No sizes, as
-- nothing is ranked.
CREATE VIRTUAL TABLE messageFts USING fts5 (
    room, content, content = 'message', content_rowid = 'seq', columnsize = 0,
    tokenize = 'unicode61 remove_diacritics 2'
);

-- MARK: Calls

CREATE TABLE call (
    id TEXT PRIMARY KEY NOT NULL,
    room TEXT NOT NULL REFERENCES room (id),
    initiator TEXT NOT NULL REFERENCES user (id),
    state TEXT NOT NULL CHECK (state IN ('ringing', 'connecting', 'active', 'ended')),
    endReason TEXT CHECK (endReason IN (
        'completed', 'rejected', 'missed', 'cancelled', 'busy', 'failed', 'lost', 'ended-by-admin', 'too-long')),
    endedBy TEXT REFERENCES user (id),
    audio INTEGER NOT NULL CHECK (audio IN (0, 1)),
    video INTEGER NOT NULL CHECK (video IN (0, 1)),
    ringTimeoutSeconds INTEGER NOT NULL,
    createdAt INTEGER NOT NULL,
    ringingAt INTEGER,
    answeredAt INTEGER,
    connectedAt INTEGER,
    endedAt INTEGER
) STRICT;
CREATE INDEX callByRoom ON call (room, id);
CREATE INDEX callByState ON call (room, state, id);

-- `position` keeps the order of first appearance. `isLive` repeats that the call has not ended, so that a user's live
-- calls are found without a walk through all that they ever missed.
CREATE TABLE participant (
    position INTEGER PRIMARY KEY,
    call TEXT NOT NULL REFERENCES call (id),
    user TEXT NOT NULL REFERENCES user (id),
    device TEXT,
    leg TEXT,
    state TEXT NOT NULL CHECK (state IN ('invited', 'joined', 'rejected', 'left', 'lost')),
    invitedAt INTEGER,
    joinedAt INTEGER,
    leftAt INTEGER,
    audio INTEGER NOT NULL CHECK (audio IN (0, 1)),
    video INTEGER NOT NULL CHECK (video IN (0, 1)),
    screen INTEGER NOT NULL CHECK (screen IN (0, 1)),
    connection TEXT CHECK (connection IN ('connected', 'disconnected', 'failed')),
    transport TEXT CHECK (transport IN ('sse', 'ndjson', 'poll', 'websocket', 'bridge')),
    leaveTokenHash TEXT,
    holdsCandidates INTEGER NOT NULL CHECK (holdsCandidates IN (0, 1)),
    isLive INTEGER NOT NULL CHECK (isLive IN (0, 1)),
    UNIQUE (call, user)
) STRICT;
CREATE INDEX participantLive ON participant (user, state, call) WHERE isLive = 1;

CREATE TABLE leg (
    position INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    call TEXT NOT NULL REFERENCES call (id),
    user TEXT NOT NULL REFERENCES user (id),
    device TEXT NOT NULL,
    transport TEXT CHECK (transport IN ('sse', 'ndjson', 'poll', 'websocket', 'bridge')),
    joinedAt INTEGER NOT NULL,
    leftAt INTEGER
) STRICT;
CREATE INDEX legByCall ON leg (call);

-- Never SDP: only its ufrags, as a JSON array of texts.
CREATE TABLE description (
    position INTEGER PRIMARY KEY,
    signal TEXT NOT NULL UNIQUE,
    call TEXT NOT NULL REFERENCES call (id),
    kind TEXT NOT NULL CHECK (kind IN ('offer', 'answer')),
    state TEXT NOT NULL CHECK (state IN ('pending', 'settled', 'void')),
    sender TEXT NOT NULL REFERENCES user (id),
    senderLeg TEXT NOT NULL,
    addressee TEXT NOT NULL REFERENCES user (id),
    addresseeLeg TEXT NOT NULL,
    ufrags TEXT NOT NULL,
    isInitial INTEGER NOT NULL CHECK (isInitial IN (0, 1)),
    createdAt INTEGER NOT NULL
) STRICT;
CREATE INDEX descriptionByCall ON description (call);

CREATE TABLE heldCandidates (
    position INTEGER PRIMARY KEY,
    signal TEXT NOT NULL UNIQUE,
    call TEXT NOT NULL REFERENCES call (id),
    sender TEXT NOT NULL REFERENCES user (id),
    senderLeg TEXT NOT NULL,
    addressee TEXT NOT NULL REFERENCES user (id),
    addresseeLeg TEXT NOT NULL,
    ufrags TEXT NOT NULL,
    count INTEGER NOT NULL,
    payload TEXT NOT NULL,
    createdAt INTEGER NOT NULL
) STRICT;
CREATE INDEX heldCandidatesByCall ON heldCandidates (call);

CREATE TABLE candidateCount (
    position INTEGER PRIMARY KEY,
    call TEXT NOT NULL REFERENCES call (id),
    sender TEXT NOT NULL REFERENCES user (id),
    addressee TEXT NOT NULL REFERENCES user (id),
    generation TEXT NOT NULL,
    count INTEGER NOT NULL,
    dropped INTEGER NOT NULL,
    UNIQUE (call, sender, addressee, generation)
) STRICT;

CREATE TABLE timelineEntry (
    position INTEGER PRIMARY KEY,
    call TEXT NOT NULL REFERENCES call (id),
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    user TEXT REFERENCES user (id),
    data TEXT NOT NULL
) STRICT;
CREATE INDEX timelineEntryByCall ON timelineEntry (call, position);

-- MARK: The log

-- No references to records: the log is trimmed apart from them. `audiences` are the keys of `eventAudience`, separated
-- by spaces.
CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    type TEXT NOT NULL,
    audiences TEXT NOT NULL,
    room TEXT,
    call TEXT,
    actor TEXT,
    at INTEGER NOT NULL,
    data TEXT NOT NULL,
    message TEXT,
    signal TEXT
) STRICT;
-- The `message.created` of a message has the message's own seq.
CREATE INDEX eventByMessage ON event (message) WHERE message IS NOT NULL AND type <> 'message.created';
CREATE INDEX eventBySignal ON event (signal) WHERE signal IS NOT NULL;
CREATE INDEX eventByCall ON event (call) WHERE call IS NOT NULL;

-- The events of an audience, but for the `message.created` of a room: those are where `messageByRoom` has their seqs,
-- which saves each post a page of its own.
CREATE TABLE eventAudience (
    audience TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (audience, seq)
) STRICT, WITHOUT ROWID;

-- MARK: Idempotency

CREATE TABLE idempotentAnswer (
    position INTEGER PRIMARY KEY,
    user TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    key TEXT NOT NULL,
    bodyHash TEXT NOT NULL,
    status INTEGER NOT NULL,
    headers TEXT NOT NULL,
    createdAt INTEGER NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (user, method, path, key)
) STRICT;
CREATE INDEX idempotentAnswerByCreation ON idempotentAnswer (createdAt);
