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
