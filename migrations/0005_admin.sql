-- The few among many that admins look for.
CREATE INDEX userAdmin ON user (id) WHERE role = 'admin';
CREATE INDEX userSuspended ON user (id) WHERE isSuspended = 1;

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
