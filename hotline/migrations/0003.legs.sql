-- The parts of a call: waits in queues and what each agent had of it, on which level and floor.

ALTER TABLE hotline.agent ADD COLUMN floor text NOT NULL DEFAULT 'own' CHECK (floor IN ('own', 'overflow'));

-- What the queues of the telephone system stand for; one that is not here is level 1 of our own floor.
CREATE TABLE hotline.queue (
    name          text PRIMARY KEY CHECK (name <> ''),
    level         smallint NOT NULL DEFAULT 1 CHECK (level IN (1, 2)),
    floor         text NOT NULL DEFAULT 'own' CHECK (floor IN ('own', 'overflow'))
);

-- Its source says at whose phone the call rings: it is on nobody's screen until then.
ALTER TABLE hotline.call ADD COLUMN offers boolean NOT NULL DEFAULT false;

CREATE TABLE hotline.leg (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    call          bigint NOT NULL REFERENCES hotline.call ON DELETE CASCADE,
    -- In the order we heard of them.
    number        smallint NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('queue', 'agent')),
    level         smallint NOT NULL CHECK (level IN (1, 2)),
    floor         text NOT NULL CHECK (floor IN ('own', 'overflow')),
    queue         text NOT NULL DEFAULT '',
    -- Which of our agents, and what the telephone system calls them.
    agent         bigint REFERENCES hotline.agent,
    agent_as      text NOT NULL DEFAULT '',
    -- The telephone system's id of this part.
    told_as       text NOT NULL DEFAULT '',
    -- All times are when we heard of it.
    began_at      timestamptz NOT NULL,
    answered_at   timestamptz,
    -- When the telephone system said that this part is over; ended_at is what follows from all that was said.
    released_at   timestamptz,
    ended_at      timestamptz,
    held_since    timestamptz,
    held_s        double precision NOT NULL DEFAULT 0,
    -- When the agent had finished the work after it.
    wrapped_at    timestamptz,
    -- NULL while it goes on.
    outcome       text CHECK (outcome IN ('answered', 'missed', 'abandoned', 'transferred', 'overflowed')),
    UNIQUE (call, number)
);
CREATE INDEX leg_began ON hotline.leg (began_at);
CREATE INDEX leg_in_wrap_up ON hotline.leg (agent) WHERE answered_at IS NOT NULL AND wrapped_at IS NULL;
