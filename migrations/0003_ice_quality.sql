-- What participants report of their connections, and when they need new TURN credentials.

-- One row for each leg and peer, however often it reports. `metrics` is a JSON object by metric, each {last, worst, mean,
-- count}; the types are as last reported.
CREATE TABLE callQuality (
    position INTEGER PRIMARY KEY,
    leg TEXT NOT NULL REFERENCES leg (id),
    peer TEXT REFERENCES user (id),
    call TEXT NOT NULL REFERENCES call (id),
    user TEXT NOT NULL REFERENCES user (id),
    firstAt INTEGER NOT NULL,
    lastAt INTEGER NOT NULL,
    reportCount INTEGER NOT NULL,
    localCandidateType TEXT CHECK (localCandidateType IN ('host', 'srflx', 'prflx', 'relay')),
    remoteCandidateType TEXT CHECK (remoteCandidateType IN ('host', 'srflx', 'prflx', 'relay')),
    candidateProtocol TEXT CHECK (candidateProtocol IN ('udp', 'tcp')),
    relayProtocol TEXT CHECK (relayProtocol IN ('udp', 'tcp', 'tls')),
    metrics TEXT NOT NULL
) STRICT;
CREATE INDEX callQualityByCall ON callQuality (call);
CREATE UNIQUE INDEX callQualityByLeg ON callQuality (leg, ifnull(peer, ''));

-- While joined with credentials, when to tell the device to get others: half of their life after they were given.
ALTER TABLE participant ADD COLUMN iceRefreshAt INTEGER;
CREATE INDEX participantByIceRefresh ON participant (iceRefreshAt) WHERE iceRefreshAt IS NOT NULL;
