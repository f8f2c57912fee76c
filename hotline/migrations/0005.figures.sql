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

-- Days that are over, as the figures read them: a row each, with its calls and its agents' half-hours as columns of numbers.
-- Nothing stands here that the calls do not say; `hotline.closed_days` writes it, and writes it anew where a day changed.
CREATE TABLE hotline.closed_day (
    day           date PRIMARY KEY,
    -- What the bytes mean, and the longest work after a call that they were counted with.
    layout        smallint NOT NULL,
    wrap_up_s     double precision NOT NULL,
    calls         bytea NOT NULL,
    slots         bytea NOT NULL
);
ALTER TABLE hotline.closed_day ALTER COLUMN calls SET STORAGE EXTERNAL, ALTER COLUMN slots SET STORAGE EXTERNAL;

-- A row for each change of a call that rang on this day, written with the change: a closed day that reaches a row here is not
-- believed. Rows are only added, and deleted by who writes the day anew, so that nobody waits for anybody.
CREATE TABLE hotline.changed_day (day date NOT NULL);
CREATE INDEX changed_day_day ON hotline.changed_day (day);

CREATE FUNCTION hotline.mark_day(at timestamptz) RETURNS void LANGUAGE sql AS $$
    INSERT INTO hotline.changed_day (day) VALUES ((at AT TIME ZONE 'Europe/Paris')::date)
$$;

CREATE FUNCTION hotline.mark_call() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'DELETE' THEN PERFORM hotline.mark_day(NEW.rang_at); END IF;
    IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND OLD.rang_at <> NEW.rang_at) THEN PERFORM hotline.mark_day(OLD.rang_at); END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER call_marks_day AFTER INSERT OR UPDATE OR DELETE ON hotline.call FOR EACH ROW EXECUTE FUNCTION hotline.mark_call();

-- Of a call that is being deleted nothing is found here: it marked its day itself.
CREATE FUNCTION hotline.mark_part() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM hotline.mark_day(rang_at) FROM hotline.call WHERE id = CASE WHEN TG_OP = 'DELETE' THEN OLD.call ELSE NEW.call END;
    RETURN NULL;
END
$$;
CREATE TRIGGER leg_marks_day AFTER INSERT OR UPDATE OR DELETE ON hotline.leg FOR EACH ROW EXECUTE FUNCTION hotline.mark_part();
CREATE TRIGGER qualification_marks_day AFTER INSERT OR UPDATE OR DELETE ON hotline.qualification
    FOR EACH ROW EXECUTE FUNCTION hotline.mark_part();

-- Who is there now is noted every half minute, which changes no day that is over; what is put in or taken away may.
CREATE FUNCTION hotline.mark_attendance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM hotline.mark_day(CASE WHEN TG_OP = 'DELETE' THEN OLD.began_at ELSE NEW.began_at END);
    RETURN NULL;
END
$$;
CREATE TRIGGER attendance_marks_day AFTER INSERT OR DELETE ON hotline.attendance
    FOR EACH ROW EXECUTE FUNCTION hotline.mark_attendance();
