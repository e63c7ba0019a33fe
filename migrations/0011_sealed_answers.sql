-- Answers that are kept for `Idempotency-Key` are sealed by that key. Those from before hold texts and secrets in clear:
-- they go, and their pages are overwritten. A request from before this migration that comes again happens again.
PRAGMA secure_delete = ON;
DROP TABLE idempotentAnswer;
PRAGMA secure_delete = FAST;

CREATE TABLE idempotentAnswer (
    position INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    seq INTEGER,
    createdAt INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT;
CREATE INDEX idempotentAnswerByCreation ON idempotentAnswer (createdAt);
