-- The people who answer, and the calls they answer.

CREATE SCHEMA hotline;

CREATE TABLE hotline.agent (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    login         text NOT NULL UNIQUE CHECK (login = lower(login) AND login <> ''),
    name          text NOT NULL,
    -- What the telephone system calls this agent besides the name and the login: the extension.
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
CREATE INDEX session_agent ON hotline.session (agent_id);

-- Failed sign-ins of the last minutes: too many, by login or by address, and the next is refused unheard.
CREATE TABLE hotline.sign_in_failure (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    login         text NOT NULL,
    address       text NOT NULL,
    at            timestamptz NOT NULL
);
CREATE INDEX sign_in_failure_at ON hotline.sign_in_failure (at);

CREATE TABLE hotline.token (
    digest        bytea PRIMARY KEY,
    name          text NOT NULL UNIQUE,
    purpose       text NOT NULL CHECK (purpose IN ('api', 'cti')),
    role          text NOT NULL CHECK (role IN ('level1', 'level2', 'supervisor', 'veille', 'dsi', 'rollout_manager', 'administrator')),
    created_at    timestamptz NOT NULL
);

CREATE TABLE hotline.call (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The telephone system's id of the call.
    call_id       text NOT NULL UNIQUE,
    -- Grows with every change: a screen never goes back to an older state.
    version       integer NOT NULL DEFAULT 1,
    -- NULL until an event tells it; counts as a call that comes in.
    direction     text CHECK (direction IN ('in', 'out')),
    state         text NOT NULL CHECK (state IN ('ringing', 'answered', 'ended')),
    -- E.164 where the number could be read; else as it came; empty when withheld.
    from_number   text NOT NULL DEFAULT '',
    to_number     text NOT NULL DEFAULT '',
    queue         text NOT NULL DEFAULT '',
    rang_at       timestamptz NOT NULL,
    answered_at   timestamptz,
    ended_at      timestamptz,
    cause         text NOT NULL DEFAULT '',
    -- Whom it rings and who took it, in the telephone system's words, and which of our agents they are.
    users         text[] NOT NULL DEFAULT '{}',
    answered_as   text NOT NULL DEFAULT '',
    called        bigint[] NOT NULL DEFAULT '{}',
    answered_by   bigint REFERENCES hotline.agent,
    -- The shop, once it is known which of the matching ones rings.
    point_of_sale text
);
CREATE INDEX call_from ON hotline.call (from_number, rang_at DESC);
CREATE INDEX call_rang ON hotline.call (rang_at DESC);
CREATE INDEX call_live ON hotline.call (rang_at) WHERE state <> 'ended';

-- The shops the caller's number belongs to.
CREATE TABLE hotline.call_point_of_sale (
    call          bigint NOT NULL REFERENCES hotline.call ON DELETE CASCADE,
    point_of_sale text NOT NULL,
    PRIMARY KEY (call, point_of_sale)
);
CREATE INDEX call_point_of_sale_shop ON hotline.call_point_of_sale (point_of_sale);

-- Every event the telephone system sent, with what became of it.
CREATE TABLE hotline.call_event (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    call_id       text NOT NULL,
    received_at   timestamptz NOT NULL,
    event         text NOT NULL,
    applied       boolean NOT NULL,
    reason        text NOT NULL
);
CREATE INDEX call_event_call ON hotline.call_event (call_id);
