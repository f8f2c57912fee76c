-- Campaigns that are approved, gated, halted and undone; what is asked of each device and what it answers; every reading of
-- the gate; and who did what.

ALTER TABLE firmware_rollout.campaign
    -- 'approved' waits for its first wave's time; 'halted' offers nothing more until a person decides; 'aborted', 'rolled_back'
    -- and 'finished' are the end.
    ADD COLUMN state text NOT NULL DEFAULT 'draft' CHECK (state IN (
        'draft', 'approved', 'running', 'paused', 'halted', 'rolling_back', 'finished', 'aborted', 'rolled_back')),
    -- Why it stands in this state: the gate's finding, or what the person gave.
    ADD COLUMN reason text NOT NULL DEFAULT '',
    ADD COLUMN state_since timestamptz,
    -- Windows, caps, soak, retries, gate: firmware_rollout.policy.Policy as JSON.
    ADD COLUMN policy jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN created_by text NOT NULL DEFAULT '',
    ADD COLUMN approved_by text NOT NULL DEFAULT '',
    ADD COLUMN approved_at timestamptz,
    -- Two pairs of eyes: nobody approves what they made.
    ADD CONSTRAINT campaign_second_person CHECK (approved_by = '' OR approved_by <> created_by);

-- What was created before campaigns were gated went on by itself.
UPDATE firmware_rollout.campaign SET state = 'running', state_since = created_at, created_by = 'vigie';

-- Several values of a dimension, of which a terminal has one: {"model": ["B"], "hw": ["2", "3"]}.
UPDATE firmware_rollout.campaign SET target = (
    SELECT COALESCE(jsonb_object_agg(key, jsonb_build_array(value)), '{}') FROM jsonb_each(target));

ALTER TABLE firmware_rollout.wave
    -- planned_at is the earliest; a wave opens when the gate has let the one before it through as well.
    ADD COLUMN opened_at timestamptz,
    ADD COLUMN passed_at timestamptz,
    ADD COLUMN passed_why text NOT NULL DEFAULT '';

ALTER TABLE firmware_rollout.assignment
    DROP CONSTRAINT assignment_state_check,
    -- 'soaking': the new firmware was seen after a reboot, and the terminal has to stay well for a while.
    ADD CONSTRAINT assignment_state_check CHECK (state IN (
        'planned', 'updating', 'soaking', 'done', 'failed', 'rolled_back', 'withdrawn')),
    -- Model × region × volume of calls: what the draw and the gate compare within.
    ADD COLUMN stratum text NOT NULL DEFAULT '',
    -- What it ran when its update was offered: what a roll-back brings again.
    ADD COLUMN firmware_before text,
    -- When the terminal began to run the new firmware: from here on it is on the gate's treated side.
    ADD COLUMN treated_at timestamptz,
    ADD COLUMN attempts smallint NOT NULL DEFAULT 0,
    -- After a failed attempt, the next one not before this.
    ADD COLUMN retry_at timestamptz;

-- What is asked of a device. `id` fits a signed 32-bit number: clients of the device API keep it in one.
CREATE TABLE firmware_rollout.action (
    id           integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign_id  bigint NOT NULL,
    terminal_id  text NOT NULL,
    attempt      smallint NOT NULL CHECK (attempt >= 1),
    kind         text NOT NULL CHECK (kind IN ('update', 'roll_back')),
    release      text NOT NULL REFERENCES firmware_rollout.release,
    -- 'open': the device is offered it; 'cancelling': it is asked to stop; 'told': the device said it succeeded, and Vigie
    -- waits to see it; 'closed': nothing more is expected of it.
    state        text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'cancelling', 'told', 'closed')),
    outcome      text CHECK (outcome IN ('success', 'failure', 'cancelled', 'silent', 'untrue')),
    opened_at    timestamptz NOT NULL,
    -- The first time the device fetched the deployment, its last word, and the end.
    retrieved_at timestamptz,
    heard_at     timestamptz,
    told_at      timestamptz,
    closed_at    timestamptz,
    -- The device's last stage in the device API's words: 'download', 'downloaded', 'proceeding', 'scheduled', 'resumed'…
    stage        text NOT NULL DEFAULT '',
    -- Per cent of the stage, where the device says so.
    progress     smallint CHECK (progress BETWEEN 0 AND 100),
    detail       text NOT NULL DEFAULT '',
    CHECK ((state = 'closed') = (closed_at IS NOT NULL AND outcome IS NOT NULL)),
    FOREIGN KEY (campaign_id, terminal_id) REFERENCES firmware_rollout.assignment
);
CREATE UNIQUE INDEX action_one_at_a_time ON firmware_rollout.action (terminal_id) WHERE state <> 'closed';
CREATE INDEX action_assignment ON firmware_rollout.action (campaign_id, terminal_id, attempt);

-- Every word of a device about an action, as it came; a repeated one is stored once.
CREATE TABLE firmware_rollout.feedback (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    action_id    integer NOT NULL REFERENCES firmware_rollout.action,
    at           timestamptz NOT NULL,
    execution    text NOT NULL,
    finished     text NOT NULL,
    progress     smallint,
    code         integer,
    details      text[] NOT NULL DEFAULT '{}'
);
CREATE INDEX feedback_action ON firmware_rollout.feedback (action_id, id);

-- A device's last visit to the device API and what it says of itself: null until it said anything, be it that there is nothing.
CREATE TABLE firmware_rollout.device (
    terminal_id  text PRIMARY KEY,
    polled_at    timestamptz NOT NULL,
    attributes   jsonb
);

-- Every judgement of the gate with all it was made from: a halt can be judged again, bit for bit.
CREATE TABLE firmware_rollout.gate_reading (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign_id  bigint NOT NULL REFERENCES firmware_rollout.campaign,
    wave         integer NOT NULL,
    at           timestamptz NOT NULL,
    verdict      text NOT NULL CHECK (verdict IN ('wait', 'pass', 'halt')),
    -- Text, not jsonb: its bytes are what was judged.
    reading      text NOT NULL
);
CREATE INDEX gate_reading_campaign ON firmware_rollout.gate_reading (campaign_id, at);

-- Who did what and every automatic decision with its inputs; each row holds the hash of the one before.
CREATE TABLE firmware_rollout.audit (
    number       bigint PRIMARY KEY CHECK (number >= 1),
    at           timestamptz NOT NULL,
    actor        text NOT NULL,
    deed         text NOT NULL,
    campaign_id  bigint REFERENCES firmware_rollout.campaign,
    -- Canonical JSON, as text: its bytes are hashed.
    details      text NOT NULL,
    before_hash  bytea NOT NULL CHECK (octet_length(before_hash) = 32),
    hash         bytea NOT NULL CHECK (octet_length(hash) = 32)
);
CREATE INDEX audit_campaign ON firmware_rollout.audit (campaign_id, number);

CREATE FUNCTION firmware_rollout.audit_is_for_ever() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'firmware_rollout.audit is append-only';
END $$;
CREATE TRIGGER audit_is_for_ever BEFORE UPDATE OR DELETE OR TRUNCATE ON firmware_rollout.audit
    FOR EACH STATEMENT EXECUTE FUNCTION firmware_rollout.audit_is_for_ever();
