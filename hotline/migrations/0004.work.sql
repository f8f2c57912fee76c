-- What agents do with a call: what it was about and how it ended, and whom to call back.

CREATE TABLE hotline.qualification (
    call            bigint PRIMARY KEY REFERENCES hotline.call ON DELETE CASCADE,
    -- Grows with every save: who saves must have seen the newest.
    version         integer NOT NULL DEFAULT 1,
    subject         text NOT NULL CHECK (subject IN ('technical', 'administrative', 'commercial')),
    typology        bigint REFERENCES diagnostics.typology,
    outcome         text NOT NULL CHECK (outcome IN ('solved', 'escalated', 'field_visit', 'callback')),
    level           smallint NOT NULL CHECK (level IN (1, 2)),
    -- The agent's login, or the name of the program's token.
    author          text NOT NULL,
    -- NULL: a program said it.
    agent           bigint REFERENCES hotline.agent,
    at              timestamptz NOT NULL
);
CREATE INDEX qualification_typology ON hotline.qualification (typology, at) WHERE typology IS NOT NULL;

-- A shop to call back: because its call was given up before anyone answered, or because an agent promised it.
CREATE TABLE hotline.callback (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    call            bigint NOT NULL REFERENCES hotline.call ON DELETE CASCADE,
    made_by_abandon boolean NOT NULL,
    point_of_sale   text,
    number          text NOT NULL,
    made_at         timestamptz NOT NULL,
    due_at          timestamptz NOT NULL,
    state           text NOT NULL CHECK (state IN ('open', 'done', 'dropped')),
    -- Why it was dropped, as hotline.callback_rules.Dropped says; else empty.
    reason          text NOT NULL DEFAULT '',
    -- Who has taken it on, or did it.
    agent           bigint REFERENCES hotline.agent,
    -- When it was done or dropped.
    done_at         timestamptz,
    UNIQUE (call, made_by_abandon),
    CHECK ((state = 'open') = (done_at IS NULL)),
    CHECK ((state = 'dropped') = (reason <> ''))
);
CREATE INDEX callback_open ON hotline.callback (due_at) WHERE state = 'open';
CREATE INDEX callback_number ON hotline.callback (number) WHERE state = 'open';
CREATE INDEX callback_shop ON hotline.callback (point_of_sale, due_at);

-- One action that attached calls to an incident; it is undone as one.
CREATE TABLE hotline.attachment (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    incident        bigint NOT NULL REFERENCES diagnostics.incident,
    author          text NOT NULL,
    -- NULL: a program did it.
    agent           bigint REFERENCES hotline.agent,
    at              timestamptz NOT NULL,
    undone_at       timestamptz,
    undone_by       text,
    CHECK ((undone_at IS NULL) = (undone_by IS NULL))
);
CREATE INDEX attachment_incident ON hotline.attachment (incident, at);

-- The calls that it attached.
CREATE TABLE hotline.call_incident (
    attachment      bigint NOT NULL REFERENCES hotline.attachment,
    call            bigint NOT NULL REFERENCES hotline.call ON DELETE CASCADE,
    incident        bigint NOT NULL REFERENCES diagnostics.incident,
    at              timestamptz NOT NULL,
    detached_at     timestamptz,
    -- When the incident's end closed the call with it; what that did besides is taken back with the attachment.
    closed_at       timestamptz,
    qualified       boolean NOT NULL DEFAULT false,
    dropped         bigint REFERENCES hotline.callback ON DELETE SET NULL,
    PRIMARY KEY (attachment, call)
);
-- A call has one cause at a time.
CREATE UNIQUE INDEX call_incident_call ON hotline.call_incident (call) WHERE detached_at IS NULL;
CREATE INDEX call_incident_open ON hotline.call_incident (incident) WHERE detached_at IS NULL AND closed_at IS NULL;

-- Who has a call's form under their hands; whoever has not been heard of for a while has left.
CREATE TABLE hotline.editing (
    call            bigint NOT NULL REFERENCES hotline.call ON DELETE CASCADE,
    agent           bigint NOT NULL REFERENCES hotline.agent ON DELETE CASCADE,
    seen_at         timestamptz NOT NULL,
    PRIMARY KEY (call, agent)
);

-- A caller whom level 1 passes on to level 2, who sees the call with all that was noted.
CREATE TABLE hotline.handover (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    call            bigint NOT NULL REFERENCES hotline.call ON DELETE CASCADE,
    author          text NOT NULL,
    -- NULL: a program passed it on.
    agent           bigint REFERENCES hotline.agent,
    at              timestamptz NOT NULL,
    reason          text NOT NULL DEFAULT '',
    state           text NOT NULL CHECK (state IN ('waiting', 'taken', 'withdrawn')),
    taken_by        bigint REFERENCES hotline.agent,
    -- When it was taken or withdrawn.
    settled_at      timestamptz,
    CHECK ((state = 'waiting') = (settled_at IS NULL)),
    CHECK ((state = 'taken') = (taken_by IS NOT NULL))
);
CREATE UNIQUE INDEX handover_waiting ON hotline.handover (call) WHERE state = 'waiting';
CREATE INDEX handover_call ON hotline.handover (call, at);

-- Entered by an agent because telephony was down: its times are what the agent remembers.
ALTER TABLE hotline.call ADD COLUMN manual boolean NOT NULL DEFAULT false;

-- While telephony is down no event comes: figures of such a time say so.
CREATE TABLE hotline.telephony_gap (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    began_at        timestamptz NOT NULL,
    ended_at        timestamptz CHECK (ended_at >= began_at),
    begun_by        text NOT NULL,
    ended_by        text,
    CHECK ((ended_at IS NULL) = (ended_by IS NULL))
);
CREATE UNIQUE INDEX telephony_gap_open ON hotline.telephony_gap ((true)) WHERE ended_at IS NULL;
CREATE INDEX telephony_gap_began ON hotline.telephony_gap (began_at);

-- Until when the exchange was heard; one row.
CREATE TABLE hotline.telephony_heard (
    one           boolean PRIMARY KEY DEFAULT true CHECK (one),
    until         timestamptz NOT NULL
);
