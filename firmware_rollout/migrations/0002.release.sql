-- The file of a release, and the signed metadata by which terminals trust it.

ALTER TABLE firmware_rollout.release
    -- The hardware it fits; empty: any (a release that was only declared).
    ADD COLUMN hw text[] NOT NULL DEFAULT '{}',
    -- The file; all absent where a version was only declared, because terminals came with it.
    ADD COLUMN filename text,
    ADD COLUMN length bigint CHECK (length > 0),
    ADD COLUMN sha256 text UNIQUE CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    ADD COLUMN sha1 text CHECK (sha1 ~ '^[0-9a-f]{40}$'),
    -- A withdrawn release is offered and served no more.
    ADD COLUMN withdrawn_at timestamptz,
    ADD COLUMN withdrawn_why text NOT NULL DEFAULT '',
    ADD CONSTRAINT release_file_is_whole CHECK (num_nulls(filename, length, sha256, sha1) IN (0, 4));

-- The metadata of The Update Framework exactly as it was signed, by role and version; what devices are served.
CREATE TABLE firmware_rollout.metadata (
    role         text NOT NULL CHECK (role IN ('root', 'targets', 'snapshot', 'timestamp')),
    version      integer NOT NULL CHECK (version >= 1),
    body         bytea NOT NULL,
    expires_at   timestamptz NOT NULL,
    stored_at    timestamptz NOT NULL,
    PRIMARY KEY (role, version)
);
