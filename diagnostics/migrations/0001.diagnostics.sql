-- What is wrong: the health of each terminal, every change of it, and incidents.

CREATE SCHEMA diagnostics;

-- How far `vigie watch` has read the committed batches of fleet.ingest_batch.
CREATE TABLE diagnostics.watermark (
    reader       text PRIMARY KEY,
    batch_id     bigint NOT NULL,
    ticked_at    timestamptz NOT NULL
);

CREATE TABLE diagnostics.health (
    terminal_id  text PRIMARY KEY,
    state        text NOT NULL CHECK (state IN ('ok', 'degraded', 'down', 'closed', 'unknown')),
    since        timestamptz NOT NULL,
    judged_at    timestamptz NOT NULL,
    -- [{"code": "paper_low", "since": "…", "value": 4.0}], worst first
    reasons      jsonb NOT NULL
);
CREATE INDEX health_state ON diagnostics.health (state);

CREATE TABLE diagnostics.health_change (
    terminal_id  text NOT NULL,
    at           timestamptz NOT NULL,
    state        text NOT NULL,
    reasons      jsonb NOT NULL,
    PRIMARY KEY (terminal_id, at)
);

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
CREATE INDEX incident_state ON diagnostics.incident (state);

CREATE TABLE diagnostics.incident_event (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    incident_id  bigint NOT NULL REFERENCES diagnostics.incident,
    at           timestamptz NOT NULL,
    kind         text NOT NULL,
    actor        text NOT NULL,
    detail       text NOT NULL DEFAULT ''
);
CREATE INDEX incident_event_incident ON diagnostics.incident_event (incident_id);

CREATE TABLE diagnostics.incident_terminal (
    incident_id  bigint NOT NULL REFERENCES diagnostics.incident,
    terminal_id  text NOT NULL,
    PRIMARY KEY (incident_id, terminal_id)
);
CREATE INDEX incident_terminal_terminal ON diagnostics.incident_terminal (terminal_id);
