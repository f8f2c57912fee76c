-- What the detector learnt, what it found, and how an incident lives.

-- What a well terminal shows, as learnt; a newer version replaces an older one, the last few stay. `layout` names the form of
-- `state`: another form is not loaded. `learnt_until` is the time up to which the feed was learnt.
CREATE TABLE diagnostics.baseline (
    version       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    made_at       timestamptz NOT NULL,
    learnt_until  timestamptz NOT NULL,
    layout        text NOT NULL,
    terminals     integer NOT NULL,
    state         bytea NOT NULL
);
ALTER TABLE diagnostics.baseline ALTER COLUMN state SET STORAGE EXTERNAL;  -- compressed by us

-- Thresholds, as a replay of quiet history found them; without a row those delivered with this release hold.
CREATE TABLE diagnostics.calibration (
    version       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    made_at       timestamptz NOT NULL,
    source        text NOT NULL,
    thresholds    jsonb NOT NULL
);

-- Announced work: what happens in this scope meanwhile is recorded, and told to nobody until it ends.
CREATE TABLE diagnostics.maintenance (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope         jsonb NOT NULL,
    starts_at     timestamptz NOT NULL,
    ends_at       timestamptz NOT NULL,
    note          text NOT NULL,
    actor         text NOT NULL,
    announced_at  timestamptz NOT NULL,
    cancelled_at  timestamptz,
    cancelled_by  text,
    CHECK (ends_at > starts_at)
);
CREATE INDEX maintenance_ends ON diagnostics.maintenance (ends_at);

-- An anomaly of one terminal, from its first sign to its end.
CREATE TABLE diagnostics.symptom (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    terminal_id   text NOT NULL,
    trouble       text NOT NULL,
    began_at      timestamptz NOT NULL,
    found_at      timestamptz NOT NULL,
    ended_at      timestamptz,
    -- The figure that was told when it was found, in the trouble's own unit.
    value         real,
    p             real NOT NULL,
    CHECK (ended_at >= found_at)
);
CREATE UNIQUE INDEX symptom_open ON diagnostics.symptom (terminal_id, trouble) WHERE ended_at IS NULL;
CREATE INDEX symptom_terminal ON diagnostics.symptom (terminal_id, found_at);
CREATE INDEX symptom_found ON diagnostics.symptom (found_at);

ALTER TABLE diagnostics.incident
    DROP CONSTRAINT incident_state_check,
    ADD CONSTRAINT incident_state_check CHECK (state IN ('open', 'acknowledged', 'clearing', 'closed')),
    -- What the diagnosis knows it by, and what is wrong; null where a person declared it.
    ADD COLUMN key           bigint UNIQUE,
    ADD COLUMN trouble       text,
    ADD COLUMN began_at      timestamptz,
    ADD COLUMN clearing_at   timestamptz,
    ADD COLUMN acknowledged_at timestamptz,
    ADD COLUMN acknowledged_by text,
    ADD COLUMN score         real,
    -- Terminals that showed it at the last look, and at the worst.
    ADD COLUMN hits          integer NOT NULL DEFAULT 0,
    ADD COLUMN worst_hits    integer NOT NULL DEFAULT 0,
    ADD COLUMN reopened      integer NOT NULL DEFAULT 0,
    -- It opens and clears over and over: told once, kept open until it stays away.
    ADD COLUMN latched       boolean NOT NULL DEFAULT false,
    -- Under announced maintenance: recorded, told to nobody.
    ADD COLUMN muted         boolean NOT NULL DEFAULT false,
    ADD COLUMN parent_id     bigint REFERENCES diagnostics.incident,
    -- Why: rates inside and outside, contrast per dimension, leading metrics (diagnostics.scan.why.Evidence).
    ADD COLUMN evidence      jsonb NOT NULL DEFAULT '{}',
    -- What only the tracker reads again after a restart: counts last told, times of its returns.
    ADD COLUMN memory        jsonb NOT NULL DEFAULT '{}';
UPDATE diagnostics.incident SET began_at = opened_at;
ALTER TABLE diagnostics.incident ALTER COLUMN began_at SET NOT NULL;
CREATE INDEX incident_closed ON diagnostics.incident (closed_at) WHERE state = 'closed';

ALTER TABLE diagnostics.incident_event
    DROP CONSTRAINT incident_event_kind_check,
    ADD CONSTRAINT incident_event_kind_check CHECK (kind IN (
        'declared', 'opened', 'grew', 'scope', 'acknowledged', 'commented', 'clearing', 'flapping', 'closed', 'resolved',
        'reopened', 'joined', 'merged', 'parent', 'apart', 'muted', 'unmuted')),
    -- What the kind tells in figures and names, for whoever words it; `detail` is what a person said.
    ADD COLUMN data jsonb NOT NULL DEFAULT '{}',
    -- Stored long after `at`, while the watch caught up: what was over by then is nobody's news.
    ADD COLUMN replayed boolean NOT NULL DEFAULT false;

-- When this terminal first showed it; null where it is only in scope.
ALTER TABLE diagnostics.incident_terminal ADD COLUMN hit_at timestamptz;

-- What an incident's plots show: each minute, half an hour from before its beginning until it closes.
CREATE TABLE diagnostics.incident_minute (
    incident_id   bigint NOT NULL REFERENCES diagnostics.incident,
    at            timestamptz NOT NULL,
    inside_hit    real NOT NULL,
    inside        real NOT NULL,
    outside_hit   real NOT NULL,
    outside       real NOT NULL,
    -- Mean z of each leading metric, inside and outside: {"rtt_ms": [4.1, 0.1]}
    z             jsonb NOT NULL,
    PRIMARY KEY (incident_id, at)
);
