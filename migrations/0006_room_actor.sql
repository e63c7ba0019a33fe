-- Participants whose device speaks the room protocol's frames: they hear nothing of a call but its signals.
ALTER TABLE participant ADD COLUMN readsFrames INTEGER NOT NULL DEFAULT 0 CHECK (readsFrames IN (0, 1));
