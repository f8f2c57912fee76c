-- What an agent wrote of a call, in a few words; each author one note a call, rewritten as often as they like.

CREATE TABLE hotline.call_note (
    call          bigint NOT NULL REFERENCES hotline.call ON DELETE CASCADE,
    -- The agent's login, or the name of the program's token.
    author        text NOT NULL,
    -- NULL: a program wrote it.
    agent_id      bigint REFERENCES hotline.agent,
    at            timestamptz NOT NULL,
    text          text NOT NULL CHECK (text <> ''),
    PRIMARY KEY (call, author)
);
