-- Who may see what, who saw it, and how long numbers are kept.

-- A program of the overflow floor's company gets no more than its people.
ALTER TABLE hotline.token
    ADD COLUMN floor text NOT NULL DEFAULT 'own' CHECK (floor IN ('own', 'overflow'));

-- Who saw and changed what. Rows come and are never changed.
CREATE TABLE hotline.audit (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at            timestamptz NOT NULL,
    -- The agent's login, the name of a program's token in brackets, or `command line`.
    actor         text NOT NULL,
    -- NULL: not a person with an account.
    agent         bigint,
    floor         text NOT NULL CHECK (floor IN ('own', 'overflow')),
    -- The network address it came from; empty where there is none.
    address       text NOT NULL DEFAULT '',
    -- `saw`, `changed`, or a named act such as `sign_in`.
    action        text NOT NULL,
    -- Which page or resource, its parameters' names in braces.
    route         text NOT NULL,
    -- The values of those names and what was searched for; telephone numbers in them are hidden.
    subject       jsonb NOT NULL DEFAULT '{}',
    -- The answer's HTTP status; 0 where there was no request.
    status        smallint NOT NULL DEFAULT 0
);
CREATE INDEX audit_at ON hotline.audit (at);
CREATE INDEX audit_actor ON hotline.audit (actor, id DESC);
-- Who saw a certain shop or call; and which routes there are, of which few differ.
CREATE INDEX audit_subject ON hotline.audit USING gin (jsonb_path_query_array(subject, '$.*') jsonb_path_ops);
CREATE INDEX audit_route ON hotline.audit (route);

-- The table's own owner cannot change it by mistake or by a fault of the program, nor delete what is not old.
CREATE FUNCTION hotline.audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.at < now() - interval '180 days' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'hotline.audit only grows: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END
$body$;
CREATE TRIGGER audit_only_grows BEFORE UPDATE OR DELETE ON hotline.audit
    FOR EACH ROW EXECUTE FUNCTION hotline.audit_only_grows();
CREATE TRIGGER audit_is_not_emptied BEFORE TRUNCATE ON hotline.audit
    FOR EACH STATEMENT EXECUTE FUNCTION hotline.audit_only_grows();
