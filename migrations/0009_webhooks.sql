-- Where events are posted to. `position` is the seq up to which all was delivered: the log itself is the outbox, and
-- nothing behind the position of an active webhook is trimmed. `revision` counts changes by admins, so that a delivery
-- under way does not undo them. Secrets are kept as they are: they sign.
CREATE TABLE webhook (
    id TEXT PRIMARY KEY NOT NULL,
    url TEXT NOT NULL,
    description TEXT NOT NULL,
    room TEXT REFERENCES room (id),
    types TEXT NOT NULL,
    secret TEXT NOT NULL,
    formerSecret TEXT,
    formerSecretUntil INTEGER,
    createdBy TEXT NOT NULL REFERENCES user (id),
    createdAt INTEGER NOT NULL,
    position INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    disabledAt INTEGER,
    disabledReason TEXT CHECK (disabledReason IN ('admin', 'failing', 'gone', 'backlog')),
    failingSince INTEGER,
    attempts INTEGER NOT NULL,
    nextAttemptAt INTEGER,
    lastError TEXT
) STRICT;
CREATE INDEX webhookActive ON webhook (position) WHERE disabledAt IS NULL;

-- The last attempts, oldest first by `id`.
CREATE TABLE webhookAttempt (
    id INTEGER PRIMARY KEY,
    webhook TEXT NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    type TEXT NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    milliseconds INTEGER NOT NULL,
    status INTEGER,
    error TEXT
) STRICT;
CREATE INDEX webhookAttemptByWebhook ON webhookAttempt (webhook, id);
