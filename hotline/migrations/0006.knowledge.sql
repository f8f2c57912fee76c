-- The knowledge base, the remote commands, and what makes looking things up quick.

-- Without what people leave out when they type: accents, ligatures, the curly apostrophe; the second e of `branchée`, which no
-- stemmer knows without its accent.
CREATE FUNCTION hotline.folded(words text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN regexp_replace(
        replace(replace(translate(lower(words), 'àáâäãçèéêëìíîïñòóôöõùúûüýÿ’', 'aaaaaceeeeiiiinooooouuuuyy '), 'œ', 'oe'), 'æ', 'ae'),
        'ee(s?)\M', 'e\1', 'g');

-- The stems by which a text is found: of its French as it is written and as it is typed in haste, and of its English.
CREATE FUNCTION hotline.stems(french text, english text) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN to_tsvector('pg_catalog.french', translate(french, '’', ' ')) || to_tsvector('pg_catalog.french', hotline.folded(french))
        || to_tsvector('pg_catalog.english', english);

-- What was typed, as a query: every word that is no stop word, by any of those stems; where it is still being typed, the last
-- word may go on.
CREATE FUNCTION hotline.asked(words text, typing boolean) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(string_agg('(' || (french || plain || english)::text || ')', ' & ' ORDER BY place)::tsquery, ''::tsquery)
    FROM (
        SELECT place, to_tsquery('pg_catalog.french', term) AS french, to_tsquery('pg_catalog.french', hotline.folded(term)) AS plain,
            to_tsquery('pg_catalog.english', term) AS english
        FROM (
            SELECT place, quote_literal(word)
                || CASE WHEN typing AND place = max(place) OVER () AND length(word) > 2 THEN ':*' ELSE '' END AS term
            FROM regexp_split_to_table(translate(words, '\’''', '   '), '\s+') WITH ORDINALITY AS typed (word, place)
            WHERE word <> ''
        ) quoted
    ) understood
    WHERE numnode(french) > 0 AND numnode(english) > 0
$$;

CREATE TABLE hotline.article (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Of a delivered one; null where a person wrote it.
    code          text UNIQUE,
    state         text NOT NULL CHECK (state IN ('published', 'withdrawn')),
    -- The version that holds.
    version       integer NOT NULL,
    created_at    timestamptz NOT NULL
);

-- Never changed: to go back is a new version with the words of an old one.
CREATE TABLE hotline.article_version (
    article       bigint NOT NULL REFERENCES hotline.article,
    number        integer NOT NULL,
    subject       text NOT NULL CHECK (subject IN ('technical', 'administrative', 'commercial')),
    title_fr      text NOT NULL,
    title_en      text NOT NULL,
    body_fr       text NOT NULL,
    body_en       text NOT NULL,
    author        text NOT NULL,
    at            timestamptz NOT NULL,
    restored_from integer,
    search        tsvector NOT NULL GENERATED ALWAYS AS (
        setweight(hotline.stems(title_fr, title_en), 'A') || setweight(hotline.stems(body_fr, body_en), 'C')) STORED,
    PRIMARY KEY (article, number),
    CHECK (title_fr <> '' OR title_en <> ''),
    CHECK (body_fr <> '' OR body_en <> '')
);
CREATE INDEX article_version_search ON hotline.article_version USING gin (search);
ALTER TABLE hotline.article ADD FOREIGN KEY (id, version) REFERENCES hotline.article_version DEFERRABLE INITIALLY DEFERRED;

-- What an article helps with: a call of such a shop is shown it.
CREATE TABLE hotline.article_typology (
    article       bigint NOT NULL REFERENCES hotline.article,
    typology      bigint NOT NULL REFERENCES diagnostics.typology,
    PRIMARY KEY (article, typology)
);
CREATE INDEX article_typology_typology ON hotline.article_typology (typology);

-- Orders to a terminal. What it answered is ingest's to store: fleet.command_result, by terminal and id.
CREATE TABLE hotline.command (
    -- Fits the contract's u32.
    id            integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    terminal_id   text NOT NULL,
    name          text NOT NULL CHECK (name IN ('ping', 'print_test', 'reboot')),
    -- The agent's login, or the name of the program's token.
    asked_by      text NOT NULL,
    asked_at      timestamptz NOT NULL,
    -- After this the order is of no use: it is not sent any more, and the broker forgets it.
    expires_at    timestamptz NOT NULL,
    -- When the broker took it, and whether anybody listened on the terminal's topic then.
    sent_at       timestamptz,
    heard         boolean
);
CREATE INDEX command_terminal ON hotline.command (terminal_id, id DESC);
CREATE INDEX command_unsent ON hotline.command (expires_at) WHERE sent_at IS NULL;

-- Calls by the beginning or the end of a number, and by the words that were written of them.
CREATE INDEX call_from_begins ON hotline.call (from_number text_pattern_ops);
CREATE INDEX call_from_ends ON hotline.call (reverse(from_number) text_pattern_ops);
CREATE INDEX call_note_words ON hotline.call_note USING gin (hotline.stems(text, ''));
