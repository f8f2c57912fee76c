"""The audit of the rollout: who did what and every automatic decision with its inputs, each row chained to the one before.

A row's hash is SHA-256 over the hash before it and the canonical JSON of what it says. Who alters, leaves out or puts in a row
has to write every later one anew; whoever keeps the newest hash elsewhere (`vigie audit verify` prints it) notices even that.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from psycopg.rows import class_row

from fleet.database import Connection

# Before the first row.
GENESIS: Final = bytes(32)
# The actor of automatic decisions.
PLANNER: Final = "vigie rollout"
# What it notes at every step and reading; a campaign's course is what remains.
ROUTINE: Final = ("planned", "judged", "joined")
_ENTRY: Final = "SELECT number, at, actor, deed, campaign_id, details, before_hash, hash FROM firmware_rollout.audit"


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the audit; `details` is canonical JSON."""

    number: int
    at: datetime
    actor: str
    deed: str
    campaign_id: int | None
    details: str
    before_hash: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Verified:
    """How far the chain holds: rows read, the first bad one's number (None: all are good), and the newest good hash."""

    rows: int
    bad: int | None
    head: bytes


def note(conn: Connection, *, actor: str, deed: str, campaign_id: int | None, details: Mapping[str, Any], now: datetime) -> int:
    """Append a row, kept once the caller commits; returns its number. Until then, others who append wait."""
    # Taken before the newest row is read: two rows can't follow the same one.
    conn.execute("LOCK TABLE firmware_rollout.audit IN EXCLUSIVE MODE")
    row = conn.execute("SELECT number, hash FROM firmware_rollout.audit ORDER BY number DESC LIMIT 1").fetchone()
    last, before = row or (0, GENESIS)
    text = canonical(details)
    conn.execute(
        "INSERT INTO firmware_rollout.audit (number, at, actor, deed, campaign_id, details, before_hash, hash)"
        " VALUES (%(number)s, %(now)s, %(actor)s, %(deed)s, %(campaign)s, %(details)s, %(before)s, %(hash)s)",
        {
            "number": last + 1,
            "now": now,
            "actor": actor,
            "deed": deed,
            "campaign": campaign_id,
            "details": text,
            "before": before,
            "hash": chained(before, number=last + 1, at=now, actor=actor, deed=deed, campaign_id=campaign_id, details=text),
        },
    )
    return int(last) + 1


def chained(before: bytes, *, number: int, at: datetime, actor: str, deed: str, campaign_id: int | None, details: str) -> bytes:
    """The hash of a row that follows `before`."""
    said = [number, at.astimezone(UTC).isoformat(timespec="microseconds"), actor, deed, campaign_id, details]
    return hashlib.sha256(before + canonical(said).encode()).digest()


def canonical(value: Any) -> str:
    """JSON in one form only: sorted keys, no blanks, no NaN; times as ISO 8601, whatever else as its text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain)


def check_chain(entries: Iterable[Entry]) -> Verified:
    """Follow rows from the first one; stops at the first that does not follow from the one before."""
    rows, head = 0, GENESIS
    for entry in entries:
        said = chained(
            head,
            number=rows + 1,
            at=entry.at,
            actor=entry.actor,
            deed=entry.deed,
            campaign_id=entry.campaign_id,
            details=entry.details,
        )
        if (entry.number, entry.before_hash, entry.hash) != (rows + 1, head, said):
            return Verified(rows + 1, entry.number, head)
        rows, head = rows + 1, entry.hash
    return Verified(rows, None, head)


def verify(conn: Connection) -> Verified:
    """Follow the whole chain as it is stored."""
    with conn.cursor(row_factory=class_row(Entry)) as cursor:
        return check_chain(cursor.stream(f"{_ENTRY} ORDER BY number"))


def entries_of(
    conn: Connection,
    campaign_id: int | None = None,
    *,
    actor: str = "",
    deed: str = "",
    without: Sequence[str] = (),
    before: int | None = None,
    limit: int = 100,
) -> list[Entry]:
    """Rows that meet every filter given, the newest first; `before`: only those with a lower number."""
    with conn.cursor(row_factory=class_row(Entry)) as cursor:
        return cursor.execute(
            f"{_ENTRY} WHERE (%(id)s::bigint IS NULL OR campaign_id = %(id)s)"
            " AND (%(actor)s = '' OR lower(actor) = lower(%(actor)s) OR starts_with(lower(actor), lower(%(actor)s || ' [cli: ')))"
            " AND (%(deed)s = '' OR deed = %(deed)s)"
            " AND deed <> ALL(%(without)s::text[]) AND (%(before)s::bigint IS NULL OR number < %(before)s)"
            " ORDER BY number DESC LIMIT %(limit)s",
            {"id": campaign_id, "actor": actor, "deed": deed, "without": list(without), "before": before, "limit": limit},
        ).fetchall()


def newest_move(conn: Connection, campaign_id: int) -> str | None:
    """What was last done to a campaign, by a person or by the planner: why it is in its state."""
    row = conn.execute(
        "SELECT deed FROM firmware_rollout.audit WHERE campaign_id = %(id)s AND deed <> ALL(%(routine)s::text[])"
        " ORDER BY number DESC LIMIT 1",
        {"id": campaign_id, "routine": list(ROUTINE)},
    ).fetchone()
    return None if row is None else str(row[0])


def deeds_known(conn: Connection) -> list[str]:
    """Every kind of deed that stands in the audit, by name."""
    return [row[0] for row in conn.execute("SELECT DISTINCT deed FROM firmware_rollout.audit ORDER BY 1")]


def _plain(value: Any) -> str:
    return value.astimezone(UTC).isoformat(timespec="microseconds") if isinstance(value, datetime) else str(value)
