-- What planning remembers of each terminal, and what the gate's judgements are made from.

ALTER TABLE firmware_rollout.assignment
    -- False: it came when the waves had been drawn. It is updated with its wave, and the gate leaves it out.
    ADD COLUMN drawn boolean NOT NULL DEFAULT true,
    -- What diagnostics said of it when its update was offered: it has to be no worse afterwards.
    ADD COLUMN health_before text,
    -- While it soaks: since when it has been well without a break.
    ADD COLUMN well_since timestamptz;

-- The boot number that the device had told when the action was opened: the new firmware must come with another one.
ALTER TABLE firmware_rollout.action ADD COLUMN boot_before bigint;

ALTER TABLE firmware_rollout.campaign
    -- The newest reading of the gate when a person let the campaign go on after a halt: it, and those before it, halt no more.
    ADD COLUMN overruled bigint,
    -- When that was: updates that had failed by then halt it no more.
    ADD COLUMN overruled_at timestamptz,
    -- The wave that a person let pass although the gate was not sure: the next one may begin.
    ADD COLUMN let_pass integer;

-- When planning last looked at a campaign, and since when without a break: what happened while it did not was seen by nobody.
CREATE TABLE firmware_rollout.campaign_look (
    campaign_id  bigint PRIMARY KEY REFERENCES firmware_rollout.campaign,
    at           timestamptz NOT NULL,
    since        timestamptz NOT NULL
);

-- One run of a campaign's gate, from a first wave or from a person's decision to go on after a halt.
CREATE TABLE firmware_rollout.gate_run (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign_id  bigint NOT NULL REFERENCES firmware_rollout.campaign,
    began_at     timestamptz NOT NULL,
    -- How long a period is that is counted and judged: a day, or less where the campaign runs in compressed time.
    period_s     double precision NOT NULL CHECK (period_s > 0),
    -- The shops that were drawn, by code, and the wave of each; every array of this run has their order.
    shops        text[] NOT NULL,
    waves        integer[] NOT NULL
);
CREATE INDEX gate_run_campaign ON firmware_rollout.gate_run (campaign_id, id);

-- What each shop's own past said when the run began.
CREATE TABLE firmware_rollout.gate_past (
    run_id       bigint NOT NULL REFERENCES firmware_rollout.gate_run,
    metric       text NOT NULL,
    -- int64 of each shop, little-endian: the stratum it is compared in, and the count that only one period exceeded.
    strata       bytea NOT NULL,
    limits       bytea NOT NULL,
    PRIMARY KEY (run_id, metric)
);

-- Which shops had a mark in each period: one bit a shop; no row where the metric was not measured.
CREATE TABLE firmware_rollout.gate_mark (
    run_id       bigint NOT NULL REFERENCES firmware_rollout.gate_run,
    period       integer NOT NULL CHECK (period >= 1),
    metric       text NOT NULL,
    marks        bytea NOT NULL,
    PRIMARY KEY (run_id, period, metric)
);

ALTER TABLE firmware_rollout.gate_reading
    ADD COLUMN run_id bigint NOT NULL REFERENCES firmware_rollout.gate_run,
    ADD COLUMN period integer NOT NULL CHECK (period >= 1),
    ADD CONSTRAINT gate_reading_once UNIQUE (run_id, period);
