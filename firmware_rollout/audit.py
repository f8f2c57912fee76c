"""The audit of the rollout: who did what and every automatic decision with its inputs, each row chained to the one before.

A row's hash is SHA-256 over the hash before it and the canonical JSON of what it says. Who alters, leaves out or puts in a row
has to write every later one anew; whoever keeps the newest hash elsewhere (`vigie audit verify` prints it, and `vigie rollout`
tells its log now and then) notices even that, and that the newest rows were cut off.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from psycopg.rows import class_row

from fleet.database import Connection

log = logging.getLogger(__name__)

# Before the first row.
GENESIS: Final = bytes(32)
# The actor of automatic decisions.
PLANNER: Final = "vigie rollout"
# What it notes at every step and reading; a campaign's course is what remains.
ROUTINE: Final = ("planned", "judged", "joined")
# So often the log is told how far the chain goes.
TELL_EVERY: Final = timedelta(hours=1)
# Readings that the audit says something else of, or one of them nothing of the other.
_OTHER_READINGS: Final = """
    SELECT COALESCE(n.reading, r.id) FROM (
        SELECT (details::jsonb ->> 'reading')::bigint AS reading, details::jsonb AS said, campaign_id FROM firmware_rollout.audit
        WHERE deed = 'judged' AND actor = %(planner)s) n
    FULL JOIN firmware_rollout.gate_reading r ON r.id = n.reading
    WHERE n.reading IS NULL OR r.id IS NULL
        OR encode(sha256(convert_to(r.reading, 'UTF8')), 'hex') IS DISTINCT FROM n.said ->> 'sha256'
        OR (r.verdict, r.wave::text, r.period::text, r.campaign_id) IS DISTINCT FROM
            (n.said ->> 'verdict', n.said ->> 'wave', n.said ->> 'period', n.campaign_id)
    ORDER BY 1 LIMIT 1
"""
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
    """How far the chain holds: rows read, the first bad one's number (None: all are good), and the newest good hash.

    `reading`: the first of the gate's readings that is not what was noted of it, that was not noted, or is gone (None: none).
    """

    rows: int
    bad: int | None
    head: bytes
    reading: int | None = None


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
    """Follow the whole chain as it is stored, and compare the gate's readings with what it says of them."""
    with conn.cursor(row_factory=class_row(Entry)) as cursor:
        found = check_chain(cursor.stream(f"{_ENTRY} ORDER BY number"))
    if found.bad is not None:
        return found
    row = conn.execute(_OTHER_READINGS, {"planner": PLANNER}).fetchone()
    return found if row is None else replace(found, reading=int(row[0]))


def is_in(conn: Connection, *, number: int, hash_: bytes) -> bool:
    """Whether a row that somebody kept the number and hash of still stands where it stood."""
    row = conn.execute("SELECT hash FROM firmware_rollout.audit WHERE number = %(number)s", {"number": number}).fetchone()
    return row is not None and bytes(row[0]) == hash_


def tell_head(conn: Connection, *, told_at: datetime | None, now: datetime) -> datetime:
    """Tell the log the newest row and its hash, every hour, for whoever keeps logs elsewhere; returns when it last did."""
    if told_at is not None and now - told_at < TELL_EVERY:
        return told_at
    row = conn.execute("SELECT number, hash FROM firmware_rollout.audit ORDER BY number DESC LIMIT 1").fetchone()
    if row is not None:
        number, head = int(row[0]), bytes(row[1]).hex()
        log.info("the audit's newest row is %s, its hash %s", number, head, extra={"action": "audit_head", "number": number})
    return now


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
