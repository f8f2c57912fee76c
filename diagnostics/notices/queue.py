"""The sending side of the outbox: the next notice that is due, claimed for a while, and how its attempt ended.

A claim is a lease, committed before anything is sent: no transaction is open while a receiver takes its time, because an open one
would hold back every reader of the feed (`fleet.feed`). Who dies between sending and marking leaves the lease to run out, and
the notice is sent again under the same id.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from psycopg.rows import class_row

from diagnostics.notices.policy import GiveUp
from fleet.database import Connection

# Longer than any attempt takes (each of its waits ends after `ATTEMPT_TIMEOUT_S`).
LEASE: Final = timedelta(seconds=60)
ATTEMPT_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Claimed:
    """A notice to be sent; `attempts` counts this one.

    `thread` and `thread_body` are of the first notice that this channel was told of the same incident; for the first, its own.
    """

    id: int
    uid: UUID
    incident_id: int | None
    attempts: int
    made_at: datetime
    tried_since: datetime
    body: Any
    thread: UUID
    thread_body: Any


def drop_what_is_over(conn: Connection, *, channel: str, now: datetime) -> int:
    """Drop incidents that began and ended while the watch was away, before anything of them was sent; returns how many notices."""
    return conn.execute(
        """
        WITH over AS (
            SELECT f.incident_id, f.id AS first, min(o.id) AS last
            FROM diagnostics.notice f
            JOIN diagnostics.notice o ON o.channel = f.channel AND o.incident_id = f.incident_id AND o.id > f.id
                AND o.reason = 'over' AND o.state = 'waiting'
            WHERE f.channel = %(channel)s AND f.state = 'waiting' AND f.replayed AND f.reason = 'first' AND f.attempts = 0
            GROUP BY f.incident_id, f.id
        )
        UPDATE diagnostics.notice n SET state = 'dropped', settled_at = %(now)s
        FROM over
        WHERE n.channel = %(channel)s AND n.incident_id = over.incident_id AND n.id BETWEEN over.first AND over.last
            AND n.state = 'waiting'
        """,
        {"channel": channel, "now": now},
    ).rowcount


def claim(conn: Connection, *, channel: str, now: datetime) -> Claimed | None:
    """Take the notice that has been due longest, or None. One waits for every earlier one of its incident."""
    with conn.cursor(row_factory=class_row(Claimed)) as cursor:
        return cursor.execute(
            """
            WITH next AS (
                SELECT n.id FROM diagnostics.notice n
                WHERE n.channel = %(channel)s AND n.state = 'waiting' AND n.due_at <= %(now)s
                    AND NOT EXISTS (
                        SELECT FROM diagnostics.notice e
                        WHERE e.channel = n.channel AND e.incident_id = n.incident_id AND e.id < n.id AND e.state = 'waiting')
                ORDER BY n.due_at, n.id LIMIT 1
                FOR UPDATE SKIP LOCKED
            ), claimed AS (
                UPDATE diagnostics.notice n SET attempts = n.attempts + 1, due_at = %(now)s + %(lease)s
                FROM next WHERE n.id = next.id RETURNING n.*
            )
            SELECT c.id, c.uid, c.incident_id, c.attempts, c.made_at, c.tried_since, c.body,
                coalesce(f.uid, c.uid) AS thread, coalesce(f.body, c.body) AS thread_body
            FROM claimed c
            LEFT JOIN LATERAL (
                SELECT e.uid, e.body FROM diagnostics.notice e
                WHERE e.incident_id = c.incident_id AND e.channel = %(channel)s AND e.state <> 'dropped' ORDER BY e.id LIMIT 1
            ) f ON true
            """,
            {"channel": channel, "now": now, "lease": LEASE},
        ).fetchone()


def mark_sent(conn: Connection, notice: int, *, note: str, now: datetime) -> None:
    """It arrived; `note` says what was not quite right."""
    conn.execute(
        "UPDATE diagnostics.notice SET state = 'sent', settled_at = %(now)s, error = %(note)s WHERE id = %(id)s",
        {"id": notice, "now": now, "note": note},
    )


def mark_failed(conn: Connection, notice: int, *, then: datetime | GiveUp, error: str, now: datetime) -> None:
    """It did not arrive: it is tried again at a time, or given up."""
    if isinstance(then, GiveUp):
        conn.execute(
            "UPDATE diagnostics.notice SET state = 'dead', settled_at = %(now)s, error = %(error)s WHERE id = %(id)s",
            {"id": notice, "now": now, "error": f"{then.why}: {error}"},
        )
    else:
        conn.execute(
            "UPDATE diagnostics.notice SET due_at = %(then)s, error = %(error)s WHERE id = %(id)s AND state = 'waiting'",
            {"id": notice, "then": then, "error": error},
        )


def counts(conn: Connection) -> dict[tuple[str, str], int]:
    """How many notices wait and are dead, by (channel, state)."""
    rows = conn.execute(
        "SELECT channel, state, count(*) FROM diagnostics.notice WHERE state IN ('waiting', 'dead') GROUP BY channel, state"
    ).fetchall()
    return {(channel, state): count for channel, state, count in rows}
