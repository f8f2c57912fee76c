-- What the IT department is told of incidents, and what became of it.

-- Where notices go, as the watch's settings have it. Whoever records an event of an incident reads it here, so that a program
-- that does not send needs neither addresses nor secrets; a name holds none.
CREATE TABLE diagnostics.notice_channel (
    name         text PRIMARY KEY,
    kind         text NOT NULL CHECK (kind IN ('webhook', 'mail', 'mqtt')),
    -- Incidents that never had so many terminals are not told here.
    minimum      integer NOT NULL
);

-- One row per channel and per change worth telling, put there with the change, in its transaction.
CREATE TABLE diagnostics.notice (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- What the receiver knows it by: the same at every attempt.
    uid          uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    channel      text NOT NULL,
    -- Null: a test.
    incident_id  bigint REFERENCES diagnostics.incident,
    event_id     bigint REFERENCES diagnostics.incident_event,
    kind         text NOT NULL,
    reason       text NOT NULL,
    made_at      timestamptz NOT NULL,
    -- Put there while the watch caught up: if it is over before it was sent, nobody needs to hear of it.
    replayed     boolean NOT NULL,
    body         jsonb NOT NULL,
    -- waiting -> sent | dead (given up: a person must look) | dropped (over before it was sent)
    state        text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'dead', 'dropped')),
    due_at       timestamptz NOT NULL,
    -- Since when attempts count: a retry by hand begins anew.
    tried_since  timestamptz NOT NULL,
    attempts     integer NOT NULL DEFAULT 0,
    settled_at   timestamptz,
    error        text NOT NULL DEFAULT '',
    UNIQUE (channel, event_id)
);
CREATE INDEX notice_waiting ON diagnostics.notice (channel, due_at) WHERE state = 'waiting';
CREATE INDEX notice_dead ON diagnostics.notice (id) WHERE state = 'dead';
CREATE INDEX notice_incident ON diagnostics.notice (incident_id, channel, id);
