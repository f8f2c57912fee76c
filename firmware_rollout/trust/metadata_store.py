"""Signed metadata in the database, byte for byte; the tables are the only state of the repository that devices see."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg.rows import class_row

from fleet.database import Connection

# Devices that are between two files when a newer set appears still find theirs.
KEEP_ONLINE_VERSIONS: Final = 50


@dataclass(frozen=True, slots=True)
class Stored:
    """One metadata file."""

    role: str
    version: int
    body: bytes
    expires_at: datetime


def lock_metadata(conn: Connection) -> None:
    """Keep others from storing metadata until this transaction ends; readers go on."""
    conn.execute("LOCK TABLE firmware_rollout.metadata IN SHARE ROW EXCLUSIVE MODE")


def newest(conn: Connection) -> dict[str, Stored]:
    """The newest metadata of every role that has any."""
    with conn.cursor(row_factory=class_row(Stored)) as cursor:
        found = cursor.execute(
            "SELECT DISTINCT ON (role) role, version, body, expires_at FROM firmware_rollout.metadata ORDER BY role, version DESC"
        ).fetchall()
    return {one.role: one for one in found}


def metadata_body(conn: Connection, role: str, version: int | None) -> bytes | None:
    """The bytes of one file, of the newest without a version; None where there is none."""
    row = conn.execute(
        "SELECT body FROM firmware_rollout.metadata"
        " WHERE role = %(role)s AND (%(version)s::integer IS NULL OR version = %(version)s) ORDER BY version DESC LIMIT 1",
        {"role": role, "version": version},
    ).fetchone()
    return bytes(row[0]) if row else None


def store_metadata(conn: Connection, one: Stored, *, now: datetime) -> None:
    """Store a new version; those of the online roles that no device can still be asking for go."""
    conn.execute(
        "INSERT INTO firmware_rollout.metadata (role, version, body, expires_at, stored_at)"
        " VALUES (%(role)s, %(version)s, %(body)s, %(expires_at)s, %(now)s)",
        {"role": one.role, "version": one.version, "body": one.body, "expires_at": one.expires_at, "now": now},
    )
    conn.execute(
        "DELETE FROM firmware_rollout.metadata"
        " WHERE role = %(role)s AND role IN ('snapshot', 'timestamp') AND version <= %(version)s - %(keep)s",
        {"role": one.role, "version": one.version, "keep": KEEP_ONLINE_VERSIONS},
    )
