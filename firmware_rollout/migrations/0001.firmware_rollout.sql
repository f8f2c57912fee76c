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
    seed         bigint NOT NULL,
    created_at   timestamptz NOT NULL
);

CREATE TABLE firmware_rollout.wave (
    campaign_id  bigint NOT NULL REFERENCES firmware_rollout.campaign,
    number       integer NOT NULL CHECK (number >= 1),
    planned_at   timestamptz NOT NULL,
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
