-- What the hotline's figures need besides the calls: when it is open, and who was there.

-- The race calendar: the hotline is open until the last race is run. A day that is not named ends at the usual time.
CREATE TABLE hotline.race_day (
    day           date PRIMARY KEY,
    -- May be past midnight, never past the next opening.
    ends_at       timestamptz NOT NULL,
    changed_by    text NOT NULL,
    changed_at    timestamptz NOT NULL,
    CHECK (ends_at AT TIME ZONE 'Europe/Paris' > day + time '07:00'),
    CHECK (ends_at AT TIME ZONE 'Europe/Paris' < day + 1 + time '07:00')
);

-- When an agent's console was open: from when, and until when it was last seen so.
CREATE TABLE hotline.attendance (
    agent         bigint NOT NULL REFERENCES hotline.agent ON DELETE CASCADE,
    began_at      timestamptz NOT NULL,
    seen_at       timestamptz NOT NULL CHECK (seen_at >= began_at),
    PRIMARY KEY (agent, began_at)
);
CREATE INDEX attendance_seen ON hotline.attendance (seen_at);
