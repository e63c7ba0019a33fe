-- Bridges: rooms here that are joined to rooms of remote WebSocket room actors.

-- This server among those that messages go through; a restored copy is the same one. See `_comblang.via`.
CREATE TABLE instance (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    name TEXT NOT NULL
) STRICT;
INSERT INTO instance (id, name) VALUES (1, lower(hex(randomblob(8))));

-- `target` is a JSON object: URL template, headers and what else it takes to be let in. It holds secrets.
CREATE TABLE bridge (
    name TEXT PRIMARY KEY NOT NULL,
    room TEXT NOT NULL UNIQUE REFERENCES room (id),
    target TEXT NOT NULL,
    isPaused INTEGER NOT NULL CHECK (isPaused IN (0, 1)),
    isFromFile INTEGER NOT NULL CHECK (isFromFile IN (0, 1)),
    createdAt INTEGER NOT NULL,
    begunAt INTEGER
) STRICT, WITHOUT ROWID;
-- As last logged by `room.updated`.
ALTER TABLE room ADD COLUMN bridgeState TEXT CHECK (bridgeState IN ('live', 'down', 'paused'));

-- Users of remote rooms. No reference to the bridge: one that is made again by the same name knows them again.
CREATE TABLE bridgedUser (
    bridge TEXT NOT NULL,
    remoteID TEXT NOT NULL,
    user TEXT NOT NULL UNIQUE REFERENCES user (id),
    session TEXT NOT NULL UNIQUE REFERENCES session (id),
    lastSeenAt INTEGER NOT NULL,
    PRIMARY KEY (bridge, remoteID)
) STRICT, WITHOUT ROWID;
CREATE INDEX bridgedUserByLastSight ON bridgedUser (bridge, lastSeenAt);

-- The ids by which remote rooms have known sessions of ours; `user` is NULL for the bridge's own.
CREATE TABLE bridgeSession (
    position INTEGER PRIMARY KEY,
    bridge TEXT NOT NULL,
    remoteID TEXT NOT NULL,
    user TEXT REFERENCES user (id),
    UNIQUE (bridge, remoteID)
) STRICT;
CREATE INDEX bridgeSessionByAge ON bridgeSession (bridge, position);

-- Messages that a remote room has not shown to have, in the order in which they were written: `seq` is the message's.
CREATE TABLE bridgeOutbox (
    seq INTEGER PRIMARY KEY,
    bridge TEXT NOT NULL,
    user TEXT NOT NULL REFERENCES user (id),
    message TEXT NOT NULL REFERENCES message (id)
) STRICT;
CREATE INDEX bridgeOutboxByUser ON bridgeOutbox (bridge, user, seq);

-- Messages that came over a bridge, by their ids there and by `_comblang.id`; through the room actor: `bridge` is empty.
CREATE TABLE bridgeReceipt (
    position INTEGER PRIMARY KEY,
    bridge TEXT NOT NULL,
    remoteID TEXT NOT NULL,
    mark TEXT NOT NULL,
    message TEXT REFERENCES message (id),
    UNIQUE (bridge, remoteID)
) STRICT;
CREATE INDEX bridgeReceiptByAge ON bridgeReceipt (bridge, position);
CREATE INDEX bridgeReceiptByMark ON bridgeReceipt (mark);
