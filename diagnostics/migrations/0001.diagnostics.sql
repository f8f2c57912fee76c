-- What is wrong: the health of each terminal, every change of it, and incidents.

CREATE SCHEMA diagnostics;

-- How far `vigie watch` has read the committed batches of fleet.ingest_batch, and when it last judged.
CREATE TABLE diagnostics.watermark (
    reader       text PRIMARY KEY,
    batch_id     bigint NOT NULL,
    ticked_at    timestamptz NOT NULL
);

-- Rewritten only when something changed: that a row still holds is said by watermark.ticked_at.
CREATE TABLE diagnostics.health (
    terminal_id  text PRIMARY KEY,
    state        text NOT NULL CHECK (state IN ('ok', 'degraded', 'down', 'closed', 'unknown')),
    since        timestamptz NOT NULL,
    -- [{"code": "paper_low", "since": "2026-11-23T10:00:00.000Z", "value": 2.5}], worst first
    reasons      jsonb NOT NULL
) WITH (fillfactor = 60);  -- room on the page for the next version of a row: no index to touch

-- Every flip: a changed state, or a changed set of reasons.
CREATE TABLE diagnostics.health_change (
    terminal_id  text NOT NULL,
    at           timestamptz NOT NULL,
    state        text NOT NULL,
    reasons      jsonb NOT NULL,
    PRIMARY KEY (terminal_id, at)
);
DO $$ BEGIN PERFORM create_hypertable('diagnostics.health_change', 'at', chunk_time_interval => interval '1 day', create_default_indexes => false); END $$;

CREATE TABLE diagnostics.incident (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    state        text NOT NULL CHECK (state IN ('open', 'acknowledged', 'closed')),
    -- {"carrier": "beta", "region": "84"}; an empty object is the whole fleet
    scope        jsonb NOT NULL,
    title        text NOT NULL,
    advice       text NOT NULL DEFAULT '',
    opened_at    timestamptz NOT NULL,
    closed_at    timestamptz
);
CREATE INDEX incident_open ON diagnostics.incident (id) WHERE state <> 'closed';

CREATE TABLE diagnostics.incident_event (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    incident_id  bigint NOT NULL REFERENCES diagnostics.incident,
    at           timestamptz NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('declared', 'acknowledged', 'resolved', 'joined')),
    actor        text NOT NULL,
    detail       text NOT NULL DEFAULT ''
);
CREATE INDEX incident_event_incident ON diagnostics.incident_event (incident_id);

-- A terminal that was hit once stays listed, even when it no longer meets the scope.
CREATE TABLE diagnostics.incident_terminal (
    incident_id  bigint NOT NULL REFERENCES diagnostics.incident,
    terminal_id  text NOT NULL,
    joined_at    timestamptz NOT NULL,
    PRIMARY KEY (incident_id, terminal_id)
);
CREATE INDEX incident_terminal_terminal ON diagnostics.incident_terminal (terminal_id);
