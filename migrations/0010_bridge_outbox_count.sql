-- How many messages wait for each remote room, kept by triggers in the transaction of each change: every message to a
-- bridged room asks, and counting the rows would take the longer the longer the remote room is away.
CREATE TABLE bridgeOutboxCount (
    bridge TEXT PRIMARY KEY NOT NULL,
    count INTEGER NOT NULL CHECK (count >= 0)
) STRICT, WITHOUT ROWID;
INSERT INTO bridgeOutboxCount (bridge, count) SELECT bridge, count(*) FROM bridgeOutbox GROUP BY bridge;

CREATE TRIGGER bridgeOutboxGrew AFTER INSERT ON bridgeOutbox BEGIN
    INSERT INTO bridgeOutboxCount (bridge, count) VALUES (new.bridge, 1)
        ON CONFLICT (bridge) DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER bridgeOutboxShrank AFTER DELETE ON bridgeOutbox BEGIN
    UPDATE bridgeOutboxCount SET count = count - 1 WHERE bridge = old.bridge;
END;
