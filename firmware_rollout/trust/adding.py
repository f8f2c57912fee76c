"""Takes a signed release in: verified, then its file kept, then all its rows in one transaction.

    check (fast, refuses early) -> keep the file under its hash -> lock, check again -> release, targets metadata

A crash at any point leaves either the whole release or, at most, a file that nothing refers to.
"""

import logging
from datetime import datetime
from pathlib import Path

import psycopg

from firmware_rollout.artifacts import ArtifactStore
from firmware_rollout.releases import (
    Release,
    ReleaseError,
    check_fits_registry,
    list_releases,
    release_of,
    release_with_file,
)
from firmware_rollout.trust.checking import Accepted, check_root, check_targets
from firmware_rollout.trust.facts import ReleaseFacts
from firmware_rollout.trust.metadata_store import Stored, lock_metadata, newest, store_metadata
from fleet.database import Connection

log = logging.getLogger(__name__)


def trust_root(conn: Connection, body: bytes, *, now: datetime) -> Stored:
    """Trust a root: the first one on the operator's word, each later one because the keys of the one before say so.

    Raises:
        ReleaseError: it cannot follow the trusted one, or is weaker than the rules of the roles.
    """
    lock_metadata(conn)
    held = newest(conn).get("root")
    root = check_root(held.body if held else None, body, now=now)
    stored = Stored("root", root.version, body, root.expires)
    store_metadata(conn, stored, now=now)
    log.info("root %s is trusted", root.version, extra={"action": "trust_root", "version": root.version})
    return stored


def add_signed_release(
    conn: Connection, store: ArtifactStore, *, file: Path | None, targets: bytes, now: datetime
) -> Release | None:
    """Add the release that the maker's new targets metadata brings, with its file; None where it brings none.

    Devices are offered it once the snapshot names these targets (`firmware_rollout.trust.online.renew`). The caller commits.

    Raises:
        ReleaseError: names the field, what is wrong and what to do; nothing was added.
        VigieError: the store does not take the file.
    """
    facts = _check(conn, targets, file=file, now=now).brings
    if facts is not None and file is not None:
        # Without the lock: a long upload must not keep the timestamp from being renewed.
        store.put(file, facts.file)
    lock_metadata(conn)
    accepted = _check(conn, targets, file=file, now=now)
    release = _insert(conn, accepted.brings, now=now) if accepted.brings else None
    store_metadata(conn, Stored("targets", accepted.version, targets, accepted.expires_at), now=now)
    return release


def _check(conn: Connection, targets: bytes, *, file: Path | None, now: datetime) -> Accepted:
    held = newest(conn)
    if "root" not in held:
        raise ReleaseError("root", "none is trusted yet: `vigie release trust root.json`, with the maker's first root")
    current = held["targets"].body if "targets" in held else None
    withdrawn = {release.version for release in list_releases(conn) if release.withdrawn_at is not None}
    accepted = check_targets(held["root"].body, current, targets, withdrawn=withdrawn, now=now)
    facts = accepted.brings
    if facts is None:
        if file is not None:
            raise ReleaseError(
                "targets", "name no new release for %(file)s: take the metadata that was signed with it", file=file.name
            )
        return accepted
    if file is None:
        raise ReleaseError(
            "file", "is needed: these targets bring release %(version)s (%(file)s)", version=facts.version, file=facts.filename
        )
    _check_new(conn, facts)
    _check_file(file, facts)
    check_fits_registry(conn, models=facts.models, hw=facts.hw)
    return accepted


def _check_new(conn: Connection, facts: ReleaseFacts) -> None:
    """A version means the same bytes for ever, and the same bytes one version."""
    known = {release.version: release for release in list_releases(conn)}
    before = known.get(facts.version)
    if before is not None and (before.file is not None or before.withdrawn_at is not None):
        raise ReleaseError(
            "version", "%(version)s was used before; a release never changes, so take a new version", version=facts.version
        )
    if (same := release_with_file(conn, facts.file.sha256)) is not None:
        raise ReleaseError(
            "file",
            "is the one of release %(same)s, byte for byte: build %(version)s anew",
            same=same.version,
            version=facts.version,
        )


def _check_file(file: Path, facts: ReleaseFacts) -> None:
    """The right length at a glance; the bytes are checked as they are kept."""
    try:
        length = file.stat().st_size
    except OSError as error:
        raise ReleaseError("file", "%(file)s cannot be read: %(error)s", file=file, error=error.strerror) from None
    if not length:
        raise ReleaseError("file", "is empty, its maker signed %(signed)s bytes: upload the signed one", signed=facts.file.length)
    if length != facts.file.length:
        raise ReleaseError(
            "file",
            "has %(length)s bytes, its maker signed %(signed)s: upload the signed one",
            length=length,
            signed=facts.file.length,
        )


def _insert(conn: Connection, facts: ReleaseFacts, *, now: datetime) -> Release:
    """Store the release, or give a declared one its file."""
    try:
        with conn.transaction():
            conn.execute(
                """
                INSERT INTO firmware_rollout.release (version, models, hw, notes, filename, length, sha256, sha1, added_at)
                VALUES (%(version)s, %(models)s, %(hw)s, %(notes)s, %(filename)s, %(length)s, %(sha256)s, %(sha1)s, %(now)s)
                ON CONFLICT (version) DO UPDATE SET models = EXCLUDED.models, hw = EXCLUDED.hw, notes = EXCLUDED.notes,
                    filename = EXCLUDED.filename, length = EXCLUDED.length, sha256 = EXCLUDED.sha256, sha1 = EXCLUDED.sha1
                WHERE release.sha256 IS NULL
                """,
                {
                    "version": facts.version,
                    "models": facts.models,
                    "hw": facts.hw,
                    "notes": facts.notes,
                    "filename": facts.filename,
                    "length": facts.file.length,
                    "sha256": facts.file.sha256,
                    "sha1": facts.file.sha1,
                    "now": now,
                },
            )
    except psycopg.errors.UniqueViolation:
        raise ReleaseError("file", "is another release's, byte for byte") from None
    return release_of(conn, facts.version)
