-- An author's messages in all rooms, newest first; with the room, for the search in one. A post changes a page of its
-- author's here, where it was one of the author in the room.
DROP INDEX messageByAuthor;
CREATE INDEX messageByAuthor ON message (user, seq, room);

-- The few among many that admins look for.
CREATE INDEX userAdmin ON user (id) WHERE role = 'admin';
CREATE INDEX userSuspended ON user (id) WHERE isSuspended = 1;

-- Copies of the database in `backups/`. The copy that a row tells of holds the row as it was meanwhile.
CREATE TABLE backup (
    id TEXT PRIMARY KEY NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed')),
    file TEXT NOT NULL,
    createdBy TEXT NOT NULL REFERENCES user (id),
    createdAt INTEGER NOT NULL,
    finishedAt INTEGER,
    bytes INTEGER,
    pagesDone INTEGER NOT NULL,
    pagesTotal INTEGER NOT NULL,
    failure TEXT
) STRICT;

-- What admins do: who, what, to what, when, from where. `id` begins with the time, so that its order is that of `at`;
-- `position` counts what is kept.
CREATE TABLE auditEntry (
    position INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    admin TEXT NOT NULL REFERENCES user (id),
    action TEXT NOT NULL,
    resource TEXT,
    parameters TEXT NOT NULL,
    at INTEGER NOT NULL,
    requestID TEXT NOT NULL,
    remoteAddress TEXT
) STRICT;
CREATE INDEX auditEntryByAdmin ON auditEntry (admin, id);
CREATE INDEX auditEntryByAction ON auditEntry (action, id);
CREATE INDEX auditEntryByResource ON auditEntry (resource, id) WHERE resource IS NOT NULL;
