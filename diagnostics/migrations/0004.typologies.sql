-- Typologies: named classes of incidents, of terminals' symptoms and of calls, with a signature and an adapted answer.

CREATE TABLE diagnostics.typology (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Of a delivered one; null where the veille named it.
    code            text UNIQUE,
    -- What is dismissed still takes what is like it, in silence: it is not offered a second time.
    state           text NOT NULL CHECK (state IN ('known', 'dismissed', 'merged')),
    merged_into     bigint REFERENCES diagnostics.typology,
    name_fr         text NOT NULL,
    name_en         text NOT NULL,
    description_fr  text NOT NULL DEFAULT '',
    description_en  text NOT NULL DEFAULT '',
    -- What one looks like, as diagnostics.typologies.signature writes it.
    signature       jsonb NOT NULL DEFAULT '{}',
    -- Notes that agents would write, or wrote: kept here because signals are forgotten after some weeks.
    example_notes   text[] NOT NULL DEFAULT '{}',
    created_at      timestamptz NOT NULL,
    created_by      text NOT NULL,
    CHECK ((state = 'merged') = (merged_into IS NOT NULL))
);

-- What agents say; the newest version holds.
CREATE TABLE diagnostics.typology_answer (
    typology_id     bigint NOT NULL REFERENCES diagnostics.typology,
    version         integer NOT NULL,
    text_fr         text NOT NULL,
    text_en         text NOT NULL,
    since           timestamptz NOT NULL,
    actor           text NOT NULL,
    PRIMARY KEY (typology_id, version)
);

-- Every step of its life; 'acted' is what somebody did about it in the world, and marked so that before and after can be compared.
CREATE TABLE diagnostics.typology_event (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    typology_id     bigint NOT NULL REFERENCES diagnostics.typology,
    at              timestamptz NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('delivered', 'named', 'described', 'answered', 'acted', 'joined', 'merged',
                                                  'dismissed', 'restored')),
    actor           text NOT NULL,
    detail          text NOT NULL DEFAULT ''
);
CREATE INDEX typology_event_typology ON diagnostics.typology_event (typology_id, at);

-- A group of what matches no typology, as offered to the veille.
CREATE TABLE diagnostics.typology_candidate (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind            text NOT NULL CHECK (kind IN ('incident', 'symptom', 'note')),
    -- 'gone': what it held was matched or regrouped since.
    state           text NOT NULL CHECK (state IN ('offered', 'named', 'merged', 'dismissed', 'gone')),
    found_at        timestamptz NOT NULL,
    seen_at         timestamptz NOT NULL,
    size            integer NOT NULL,
    -- What its members have in common, as diagnostics.typologies.grouping writes it.
    shared          jsonb NOT NULL,
    typology_id     bigint REFERENCES diagnostics.typology,
    decided_at      timestamptz,
    decided_by      text
);
CREATE INDEX typology_candidate_offered ON diagnostics.typology_candidate (id) WHERE state = 'offered';

-- What was compared with the typologies, and what became of it: the typology, or (null) none.
CREATE TABLE diagnostics.typology_match (
    kind            text NOT NULL CHECK (kind IN ('incident', 'symptom', 'note')),
    -- The id of the incident, of the symptom, or of the hotline's call.
    ref             bigint NOT NULL,
    -- When it happened; days are counted by this.
    at              timestamptz NOT NULL,
    matched_at      timestamptz NOT NULL,
    typology_id     bigint REFERENCES diagnostics.typology,
    candidate_id    bigint REFERENCES diagnostics.typology_candidate,
    similarity      real NOT NULL,
    -- How often something of an unknown kind would be as similar to its nearest typology.
    p               real NOT NULL,
    signature       jsonb NOT NULL DEFAULT '{}',
    -- Who said so; null: the matching.
    decided_by      text,
    PRIMARY KEY (kind, ref)
);
CREATE INDEX typology_match_typology ON diagnostics.typology_match (typology_id, at);
CREATE INDEX typology_match_at ON diagnostics.typology_match (at);
CREATE INDEX typology_match_candidate ON diagnostics.typology_match (candidate_id) WHERE candidate_id IS NOT NULL;
