-- Which firmware each terminal should run, when, and how far it is.

CREATE SCHEMA firmware_rollout;

CREATE TABLE firmware_rollout.release (
    version      text PRIMARY KEY,
    models       text[] NOT NULL,
    notes        text NOT NULL DEFAULT '',
    added_at     timestamptz NOT NULL
);

CREATE TABLE firmware_rollout.campaign (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text NOT NULL UNIQUE,
    release      text NOT NULL REFERENCES firmware_rollout.release,
    -- {"model": "B"}: the registry dimensions it aims at
    target       jsonb NOT NULL,
    -- What the shops were drawn with: the same seed over the same shops gives the same waves.
    seed         bigint NOT NULL,
    -- An update that takes longer has failed.
    deadline_s   integer NOT NULL CHECK (deadline_s > 0),
    created_at   timestamptz NOT NULL
);

CREATE TABLE firmware_rollout.wave (
    campaign_id  bigint NOT NULL REFERENCES firmware_rollout.campaign,
    number       integer NOT NULL CHECK (number >= 1),
    planned_at   timestamptz NOT NULL,
    -- Of the target's shops, how many percent this wave and those before it reach.
    share_pct    real NOT NULL CHECK (share_pct > 0 AND share_pct <= 100),
    PRIMARY KEY (campaign_id, number)
);

CREATE TABLE firmware_rollout.assignment (
    campaign_id  bigint NOT NULL,
    terminal_id  text NOT NULL,
    wave         integer NOT NULL,
    state        text NOT NULL CHECK (state IN ('planned', 'updating', 'done', 'failed', 'rolled_back')),
    since        timestamptz NOT NULL,
    PRIMARY KEY (campaign_id, terminal_id),
    FOREIGN KEY (campaign_id, wave) REFERENCES firmware_rollout.wave
);
CREATE INDEX assignment_terminal ON firmware_rollout.assignment (terminal_id);

-- Every step of an assignment, with its reason.
CREATE TABLE firmware_rollout.assignment_change (
    campaign_id  bigint NOT NULL,
    terminal_id  text NOT NULL,
    at           timestamptz NOT NULL,
    state        text NOT NULL,
    reason       text NOT NULL,
    PRIMARY KEY (campaign_id, terminal_id, at),
    FOREIGN KEY (campaign_id, terminal_id) REFERENCES firmware_rollout.assignment
);
