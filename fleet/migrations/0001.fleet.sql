-- The fleet: the registry, presence, and everything terminals have said.
-- Terminal ids are text (six ASCII characters); `at` is the terminal's time, `received_at` ours.

CREATE EXTENSION IF NOT EXISTS timescaledb;
CREATE SCHEMA fleet;

CREATE TABLE fleet.point_of_sale (
    code          text PRIMARY KEY,
    name          text NOT NULL,
    department    text NOT NULL,
    region        text NOT NULL,
    agency        text NOT NULL,
    timezone      text NOT NULL,
    opening_hours text NOT NULL
);

CREATE TABLE fleet.phone_number (
    e164          text NOT NULL,
    point_of_sale text NOT NULL REFERENCES fleet.point_of_sale ON DELETE CASCADE,
    PRIMARY KEY (e164, point_of_sale)
);
CREATE INDEX phone_number_point_of_sale ON fleet.phone_number (point_of_sale);

CREATE TABLE fleet.terminal (
    id            text PRIMARY KEY CHECK (id ~ '^T[0-9]{5}$'),
    point_of_sale text NOT NULL REFERENCES fleet.point_of_sale,
    model         text NOT NULL,
    hw            text NOT NULL,
    firmware      text NOT NULL,
    access        text NOT NULL CHECK (access IN ('adsl', 'fibre', '4g', '5g', 'satellite')),
    carrier       text NOT NULL,
    lot           text NOT NULL,
    -- Mosquitto's $7$ form of the terminal's broker password; the password itself is shown once, never kept.
    password_hash text NOT NULL
);
CREATE INDEX terminal_point_of_sale ON fleet.terminal (point_of_sale);

CREATE TABLE fleet.sample (
    at           timestamptz NOT NULL,
    received_at  timestamptz NOT NULL,
    boot         bigint NOT NULL,
    seq          bigint NOT NULL,
    terminal_id  text NOT NULL,
    tickets      real, rejects      real, tx_ms     real, tx_timeouts real, rtt_ms   real, loss_pct real,
    signal_dbm   real, print_errors real, paper_pct real, head_c      real, scans    real, scan_errors real,
    cpu_pct      real, mem_mb       real, disk_mb   real, board_c     real, clock_ms real, uptime_s real
);
DO $$ BEGIN PERFORM create_hypertable('fleet.sample', 'at', chunk_time_interval => interval '1 hour', create_default_indexes => false); END $$;
CREATE UNIQUE INDEX sample_key ON fleet.sample (terminal_id, at, boot, seq);
-- Rows lie in the order of their receipt, so a block-range index finds the new ones at almost no cost.
CREATE INDEX sample_received ON fleet.sample USING brin (received_at) WITH (pages_per_range = 32, autosummarize = on);

CREATE TABLE fleet.event (
    at           timestamptz NOT NULL,
    received_at  timestamptz NOT NULL,
    boot         bigint NOT NULL,
    seq          bigint NOT NULL,
    terminal_id  text NOT NULL,
    code         text NOT NULL,
    detail       text NOT NULL
);
DO $$ BEGIN PERFORM create_hypertable('fleet.event', 'at', chunk_time_interval => interval '1 day', create_default_indexes => false); END $$;
CREATE UNIQUE INDEX event_key ON fleet.event (terminal_id, at, boot, seq);
CREATE INDEX event_received ON fleet.event USING brin (received_at) WITH (pages_per_range = 8, autosummarize = on);

-- What else tells of a terminal than its own messages: each call of its shop is one row per terminal.
CREATE TABLE fleet.signal (
    at           timestamptz NOT NULL,
    terminal_id  text NOT NULL,
    kind         text NOT NULL,
    ref          text NOT NULL,
    detail       text NOT NULL DEFAULT ''
);
DO $$ BEGIN PERFORM create_hypertable('fleet.signal', 'at', chunk_time_interval => interval '7 days', create_default_indexes => false); END $$;
CREATE UNIQUE INDEX signal_key ON fleet.signal (terminal_id, at, kind, ref);

-- One row per committed batch. A reader that keeps the last id it has seen, and takes only batches whose transaction
-- every snapshot sees (xid < pg_snapshot_xmin), reads each batch exactly once, with any number of workers.
CREATE TABLE fleet.ingest_batch (
    id           bigint PRIMARY KEY,
    xid          xid8 NOT NULL,
    worker       text NOT NULL,
    -- Every row a batch stores carries its received_at, which therefore names the batch.
    received_at  timestamptz NOT NULL UNIQUE,
    messages     integer NOT NULL,
    samples      integer NOT NULL,
    events       integer NOT NULL,
    repeats      integer NOT NULL,
    dead_letters integer NOT NULL,
    at_min       timestamptz,
    at_max       timestamptz
);
CREATE SEQUENCE fleet.ingest_batch_id OWNED BY fleet.ingest_batch.id;

-- Draws a batch's id and its transaction's id as one step, so that both always have the same order: else a batch with a
-- lower id could become visible after a reader had passed it. The lock lasts for this step only.
CREATE FUNCTION fleet.open_batch() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    drawn bigint;
BEGIN
    PERFORM pg_advisory_lock(7350419001);
    PERFORM pg_current_xact_id();
    drawn := nextval('fleet.ingest_batch_id');
    PERFORM pg_advisory_unlock(7350419001);
    RETURN drawn;
END
$$;

CREATE TABLE fleet.dead_letter (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- SHA-256 of topic and payload: the same poison, sent again, is counted and not stored again.
    digest       bytea NOT NULL UNIQUE,
    received_at  timestamptz NOT NULL,
    last_at      timestamptz NOT NULL,
    times        integer NOT NULL DEFAULT 1,
    topic        text NOT NULL,
    terminal_id  text,
    reason       text NOT NULL,
    detail       text NOT NULL,
    payload      bytea NOT NULL
);
CREATE INDEX dead_letter_last ON fleet.dead_letter (last_at);

CREATE TABLE fleet.presence (
    terminal_id  text PRIMARY KEY,
    online       boolean NOT NULL,
    session      bigint NOT NULL,
    changed_at   timestamptz NOT NULL,
    boot         bigint,
    at           timestamptz,
    firmware     text,
    slot         text,
    model        text,
    hw           text
);

CREATE TABLE fleet.presence_change (
    terminal_id  text NOT NULL,
    changed_at   timestamptz NOT NULL,
    online       boolean NOT NULL,
    session      bigint NOT NULL,
    PRIMARY KEY (terminal_id, changed_at, session, online)
);

CREATE TABLE fleet.reported (
    terminal_id  text PRIMARY KEY,
    received_at  timestamptz NOT NULL,
    rev          bigint NOT NULL,
    firmware     text NOT NULL,
    slot         text NOT NULL,
    config       jsonb NOT NULL
);

CREATE TABLE fleet.command_result (
    terminal_id  text NOT NULL,
    id           bigint NOT NULL,
    received_at  timestamptz NOT NULL,
    ok           boolean NOT NULL,
    detail       text NOT NULL,
    PRIMARY KEY (terminal_id, id)
);

-- Buckets whose roll-up is due: written by the transaction that stored the samples. terminal_id NULL means every terminal.
CREATE TABLE fleet.rollup_due (
    bucket       timestamptz NOT NULL,
    terminal_id  text
);
CREATE INDEX rollup_due_bucket ON fleet.rollup_due (bucket);

CREATE TABLE fleet.sample_5min (
    bucket       timestamptz NOT NULL,
    terminal_id  text NOT NULL,
    samples      integer NOT NULL,
    tickets      real, rejects real, tx_timeouts real, print_errors real, scans real, scan_errors real,
    tx_ms        real, rtt_ms  real, loss_pct    real, signal_dbm   real, paper_pct real, head_c real,
    cpu_pct      real, mem_mb  real, disk_mb     real, board_c      real, clock_ms  real, uptime_s real
);
DO $$ BEGIN PERFORM create_hypertable('fleet.sample_5min', 'bucket', chunk_time_interval => interval '7 days', create_default_indexes => false); END $$;
CREATE UNIQUE INDEX sample_5min_key ON fleet.sample_5min (terminal_id, bucket);
COMMENT ON TABLE fleet.sample_5min IS
    'Samples by 5-minute bucket: counters summed, gauges averaged over the samples that measured them, uptime_s the largest.';
COMMENT ON COLUMN fleet.sample_5min.samples IS 'How many samples the bucket holds.';
COMMENT ON COLUMN fleet.sample_5min.uptime_s IS 'The largest of the bucket: a mean over a reboot means nothing.';
