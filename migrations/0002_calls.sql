-- The clocks of a call, as columns: what is due is found by index, and a restart forgets nothing.

-- When the machine has something to do next; NULL once the call has ended. Live calls of before are looked at once.
ALTER TABLE call ADD COLUMN deadlineAt INTEGER;
UPDATE call SET deadlineAt = createdAt WHERE state <> 'ended';
CREATE INDEX callByDeadline ON call (deadlineAt, id) WHERE deadlineAt IS NOT NULL;

-- `leaseCheckAt`: while joined, when to look again whether the device still holds its place.
ALTER TABLE participant ADD COLUMN connectionAt INTEGER;
ALTER TABLE participant ADD COLUMN isBusy INTEGER NOT NULL DEFAULT 0 CHECK (isBusy IN (0, 1));
ALTER TABLE participant ADD COLUMN leaseCheckAt INTEGER;
UPDATE participant SET leaseCheckAt = joinedAt WHERE isLive = 1 AND state = 'joined';
CREATE INDEX participantByLease ON participant (leaseCheckAt) WHERE leaseCheckAt IS NOT NULL;

-- Logged signals that nobody knows to be delivered, by the seq of their event. `sender` is the device that is told.
-- No references: a row outlives its event until the sender was told.
CREATE TABLE pendingSignal (
    seq INTEGER PRIMARY KEY,
    signal TEXT NOT NULL,
    call TEXT NOT NULL,
    room TEXT NOT NULL,
    sender TEXT,
    expiresAt INTEGER NOT NULL
) STRICT;
CREATE INDEX pendingSignalByExpiry ON pendingSignal (expiresAt, seq);
CREATE INDEX pendingSignalByCall ON pendingSignal (call);
-- Of those of before nobody knows; they are too old to be of use by the time anybody asks.
INSERT INTO pendingSignal (seq, signal, call, room, sender, expiresAt)
    SELECT seq, signal, call, room, NULL, at + 75000 FROM event
    WHERE signal IS NOT NULL AND call IS NOT NULL AND room IS NOT NULL;
