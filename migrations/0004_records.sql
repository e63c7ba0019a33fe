-- The record of a call: what its rows did not keep yet, and one narrow row for each call that lists, export and
-- statistics read. docs/records.md tells what each index is for.

ALTER TABLE call ADD COLUMN offeredAt INTEGER;
ALTER TABLE call ADD COLUMN isInferred INTEGER NOT NULL DEFAULT 0 CHECK (isInferred IN (0, 1));

-- `candidateTypes`: 1 host, 2 srflx, 4 prflx, 8 relay, 16 encrypted. Never the candidates themselves.
ALTER TABLE leg ADD COLUMN offeredAt INTEGER;
ALTER TABLE leg ADD COLUMN endReason TEXT CHECK (endReason IN (
    'replaced', 'taken-over', 'left', 'rejected', 'timeout', 'lost', 'removed', 'ended'));
ALTER TABLE leg ADD COLUMN candidateTypes INTEGER NOT NULL DEFAULT 0;
-- Of those of before nobody knows whether they offered; they are not to be ended for it.
UPDATE leg SET offeredAt = joinedAt WHERE leftAt IS NULL;

-- `position` is createdAt * 1024 and a number within the millisecond: the order of calls, and a range of time, without
-- an index. `transports`: 1 sse, 2 ndjson, 4 poll, 8 websocket, 16 bridge. Numbers come first, so that statistics read
-- the front of each row only.
CREATE TABLE callRecord (
    position INTEGER PRIMARY KEY,
    createdAt INTEGER NOT NULL,
    offeredAt INTEGER,
    answeredAt INTEGER,
    connectedAt INTEGER,
    durationSeconds INTEGER,
    transports INTEGER NOT NULL,
    isRelayed INTEGER CHECK (isRelayed IN (0, 1)),
    endReason TEXT CHECK (endReason IN (
        'completed', 'rejected', 'missed', 'cancelled', 'busy', 'failed', 'lost', 'ended-by-admin', 'too-long')),
    room TEXT NOT NULL,
    initiator TEXT NOT NULL,
    call TEXT NOT NULL UNIQUE REFERENCES call (id),
    state TEXT NOT NULL CHECK (state IN ('ringing', 'connecting', 'active', 'ended')),
    endedBy TEXT,
    isInferred INTEGER NOT NULL CHECK (isInferred IN (0, 1)),
    audio INTEGER NOT NULL CHECK (audio IN (0, 1)),
    video INTEGER NOT NULL CHECK (video IN (0, 1)),
    ringTimeoutSeconds INTEGER NOT NULL,
    ringingAt INTEGER,
    endedAt INTEGER,
    candidateTypes INTEGER NOT NULL,
    participantCount INTEGER NOT NULL,
    legCount INTEGER NOT NULL,
    deliveredCount INTEGER NOT NULL DEFAULT 0,
    expiredCount INTEGER NOT NULL DEFAULT 0,
    droppedCount INTEGER NOT NULL DEFAULT 0,
    retriedCount INTEGER NOT NULL DEFAULT 0,
    omittedCount INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Who took part or was rung, with what their calls are filtered by. `missedAt`: when they missed it.
CREATE TABLE callRecordParticipant (
    user TEXT NOT NULL,
    position INTEGER NOT NULL,
    room TEXT NOT NULL,
    endReason TEXT,
    transports INTEGER NOT NULL,
    durationSeconds INTEGER,
    missedAt INTEGER,
    PRIMARY KEY (user, position)
) STRICT, WITHOUT ROWID;

INSERT INTO callRecord (
    position, createdAt, offeredAt, answeredAt, connectedAt, durationSeconds, transports, isRelayed, endReason, room,
    initiator, call, state, endedBy, isInferred, audio, video, ringTimeoutSeconds, ringingAt, endedAt, candidateTypes,
    participantCount, legCount)
SELECT
    createdAt * 1024 + row_number() OVER (PARTITION BY createdAt ORDER BY id) - 1,
    createdAt, NULL, answeredAt, connectedAt, (endedAt - answeredAt + 500) / 1000,
    (SELECT coalesce(sum(DISTINCT CASE leg.transport WHEN 'sse' THEN 1 WHEN 'ndjson' THEN 2 WHEN 'poll' THEN 4
        WHEN 'websocket' THEN 8 WHEN 'bridge' THEN 16 ELSE 0 END), 0) FROM leg WHERE leg.call = call.id),
    NULL, endReason, room, initiator, id, state, endedBy, 0, audio, video, ringTimeoutSeconds, ringingAt, endedAt, 0,
    (SELECT count(*) FROM participant WHERE participant.call = call.id),
    (SELECT count(*) FROM leg WHERE leg.call = call.id)
FROM call;

INSERT INTO callRecordParticipant (user, position, room, endReason, transports, durationSeconds, missedAt)
SELECT participant.user, callRecord.position, callRecord.room, callRecord.endReason, callRecord.transports,
    callRecord.durationSeconds,
    CASE
        WHEN participant.invitedAt IS NULL OR participant.joinedAt >= participant.invitedAt THEN NULL
        WHEN participant.state = 'invited' THEN callRecord.endedAt
        WHEN participant.state IN ('left', 'lost') THEN participant.leftAt
    END
FROM callRecord JOIN participant ON participant.call = callRecord.call;

-- Each ends with what else is asked for, so that rows are read for hits only.
CREATE INDEX callRecordByRoom ON callRecord (room, position, endReason, transports, durationSeconds);
CREATE INDEX callRecordLive ON callRecord (state, position) WHERE state <> 'ended';
CREATE INDEX callRecordByEndReason ON callRecord (endReason, position, room, transports, durationSeconds)
    WHERE endReason IS NOT NULL;
CREATE INDEX callRecordSSE ON callRecord (position, endReason, durationSeconds) WHERE transports & 1;
CREATE INDEX callRecordNDJSON ON callRecord (position, endReason, durationSeconds) WHERE transports & 2;
CREATE INDEX callRecordPoll ON callRecord (position, endReason, durationSeconds) WHERE transports & 4;
CREATE INDEX callRecordWebSocket ON callRecord (position, endReason, durationSeconds) WHERE transports & 8;
CREATE INDEX callRecordBridge ON callRecord (position, endReason, durationSeconds) WHERE transports & 16;
CREATE INDEX callRecordMinute ON callRecord (position, durationSeconds, endReason, transports)
    WHERE durationSeconds >= 60;
CREATE INDEX callRecordTenMinutes ON callRecord (position, durationSeconds, endReason, transports)
    WHERE durationSeconds >= 600;
CREATE INDEX callRecordHour ON callRecord (position, durationSeconds, endReason, transports)
    WHERE durationSeconds >= 3600;
CREATE INDEX callRecordMissed ON callRecordParticipant (user, missedAt, room) WHERE missedAt IS NOT NULL;

-- Up to when each user has seen the calls that they missed.
CREATE TABLE callsSeen (
    user TEXT PRIMARY KEY NOT NULL REFERENCES user (id),
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
