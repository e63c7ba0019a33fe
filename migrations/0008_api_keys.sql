-- A key has a session of its own, which is its device: revoking that ends its streams as it does any other's. A deleted
-- key leaves no row but the session's. `scopes` are words separated by spaces.
CREATE TABLE apiKey (
    id TEXT PRIMARY KEY NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    user TEXT NOT NULL REFERENCES user (id),
    session TEXT NOT NULL UNIQUE REFERENCES session (id),
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    createdAt INTEGER NOT NULL,
    expiresAt INTEGER
) STRICT;
CREATE INDEX apiKeyByUser ON apiKey (user, id);

-- Codes of admins that let people sign up.
CREATE TABLE invite (
    id TEXT PRIMARY KEY NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    note TEXT,
    createdBy TEXT NOT NULL REFERENCES user (id),
    createdAt INTEGER NOT NULL,
    expiresAt INTEGER NOT NULL,
    usesMax INTEGER NOT NULL,
    uses INTEGER NOT NULL
) STRICT;
CREATE INDEX inviteByExpiry ON invite (expiresAt);
