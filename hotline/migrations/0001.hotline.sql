-- The people who answer, and the calls they answer.

CREATE SCHEMA hotline;

CREATE TABLE hotline.agent (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    login         text NOT NULL UNIQUE,
    name          text NOT NULL,
    -- What the telephone system calls this agent: an extension or a full name.
    extension     text NOT NULL DEFAULT '',
    role          text NOT NULL CHECK (role IN ('level1', 'level2', 'supervisor', 'veille', 'dsi', 'rollout_manager', 'administrator')),
    language      text NOT NULL DEFAULT 'fr' CHECK (language IN ('fr', 'en')),
    password_hash text NOT NULL,
    active        boolean NOT NULL DEFAULT true
);

CREATE TABLE hotline.session (
    -- SHA-256 of the cookie's token: a copy of this table opens no door.
    token_digest  bytea PRIMARY KEY,
    agent_id      bigint NOT NULL REFERENCES hotline.agent ON DELETE CASCADE,
    csrf          text NOT NULL,
    created_at    timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL
);

CREATE TABLE hotline.token (
    digest        bytea PRIMARY KEY,
    name          text NOT NULL,
    purpose       text NOT NULL CHECK (purpose IN ('api', 'cti')),
    role          text NOT NULL,
    created_at    timestamptz NOT NULL
);

CREATE TABLE hotline.call (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    call_id       text NOT NULL UNIQUE,
    direction     text NOT NULL CHECK (direction IN ('in', 'out')),
    state         text NOT NULL CHECK (state IN ('ringing', 'answered', 'ended')),
    -- E.164 where the number could be read; else as it came; empty when withheld.
    from_number   text NOT NULL DEFAULT '',
    to_number     text NOT NULL DEFAULT '',
    rang_at       timestamptz NOT NULL,
    answered_at   timestamptz,
    ended_at      timestamptz,
    cause         text NOT NULL DEFAULT '',
    agents        text[] NOT NULL DEFAULT '{}',
    answered_by   bigint REFERENCES hotline.agent
);
CREATE INDEX call_from ON hotline.call (from_number, rang_at DESC);
CREATE INDEX call_rang ON hotline.call (rang_at DESC);

CREATE TABLE hotline.call_point_of_sale (
    call          bigint NOT NULL REFERENCES hotline.call ON DELETE CASCADE,
    point_of_sale text NOT NULL,
    PRIMARY KEY (call, point_of_sale)
);
CREATE INDEX call_point_of_sale_shop ON hotline.call_point_of_sale (point_of_sale);

CREATE TABLE hotline.call_event (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    call          bigint NOT NULL REFERENCES hotline.call ON DELETE CASCADE,
    received_at   timestamptz NOT NULL,
    event         text NOT NULL,
    applied       boolean NOT NULL,
    reason        text NOT NULL
);
CREATE INDEX call_event_call ON hotline.call_event (call);
