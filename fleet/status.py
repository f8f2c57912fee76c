"""How the fleet's data flows right now: rates, lag, presence, dead letters, roll-up, sizes. For `vigie status`."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.rows import class_row

from fleet import rollup
from fleet.database import Connection

RATE_OVER = timedelta(minutes=1)
# The newest sample is looked for in batches no older than this.
_RECENT = timedelta(hours=1)
HYPERTABLES = ("sample", "sample_5min", "event", "signal")


@dataclass(frozen=True, slots=True)
class Ingest:
    """What ingest committed: rates over the last minute, and how long ago the newest batch and sample were (None: never).

    A worker appears here when it committed within the last minute. Times in seconds.
    """

    messages_per_s: float
    samples_per_s: float
    events_per_s: float
    workers: list[str]
    newest_batch_age_s: float | None
    newest_sample_age_s: float | None


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """Dead letters of one reason, by when they last came, and the newest of them."""

    reason: str
    last_hour: int
    last_day: int
    newest_at: datetime
    newest_topic: str
    newest_detail: str


@dataclass(frozen=True, slots=True)
class FleetStatus:
    """One look at the fleet's data."""

    at: datetime
    ingest: Ingest
    registered: int
    online: int
    dead_letters: list[DeadLetters]
    rollup_backlog: int
    table_bytes: dict[str, int]
    database_bytes: int


def read_status(conn: Connection, *, now: datetime) -> FleetStatus:
    """Look once; cheap enough to be repeated every second or two."""
    registered, online = _one(
        conn,
        """
        SELECT count(*), count(*) FILTER (WHERE p.online)
        FROM fleet.terminal t LEFT JOIN fleet.presence p ON p.terminal_id = t.id
        """,
        {},
    )
    tables = {name: _one(conn, "SELECT hypertable_size(%(t)s::regclass)", {"t": f"fleet.{name}"})[0] or 0 for name in HYPERTABLES}
    return FleetStatus(
        at=now,
        ingest=_ingest(conn, now),
        registered=registered,
        online=online,
        dead_letters=_dead_letters(conn, now),
        rollup_backlog=rollup.backlog(conn, now=now),
        table_bytes=tables,
        database_bytes=_one(conn, "SELECT pg_database_size(current_database())", {})[0],
    )


def _ingest(conn: Connection, now: datetime) -> Ingest:
    since = now - RATE_OVER
    messages, samples, events, workers = _one(
        conn,
        """
        SELECT COALESCE(sum(messages), 0), COALESCE(sum(samples), 0), COALESCE(sum(events), 0),
            COALESCE(array_agg(DISTINCT worker ORDER BY worker), '{}')
        FROM fleet.ingest_batch WHERE received_at > %(since)s
        """,
        {"since": since},
    )
    (newest_batch,) = _one(conn, "SELECT max(received_at) FROM fleet.ingest_batch", {})
    (newest_sample,) = _one(
        conn, "SELECT max(at_max) FROM fleet.ingest_batch WHERE received_at > %(recent)s", {"recent": now - _RECENT}
    )
    seconds = RATE_OVER.total_seconds()
    return Ingest(
        messages / seconds,
        samples / seconds,
        events / seconds,
        list(workers),
        _age_s(newest_batch, now),
        _age_s(newest_sample, now),
    )


def _dead_letters(conn: Connection, now: datetime) -> list[DeadLetters]:
    with conn.cursor(row_factory=class_row(DeadLetters)) as cursor:
        return cursor.execute(
            """
            SELECT r.reason, r.last_hour, r.last_day, newest.last_at AS newest_at,
                newest.topic AS newest_topic, newest.detail AS newest_detail
            FROM (
                SELECT reason, count(*) FILTER (WHERE last_at > %(hour)s) AS last_hour, count(*) AS last_day
                FROM fleet.dead_letter WHERE last_at > %(day)s GROUP BY reason
            ) r
            CROSS JOIN LATERAL (
                SELECT d.last_at, d.topic, d.detail FROM fleet.dead_letter d
                WHERE d.reason = r.reason ORDER BY d.last_at DESC LIMIT 1
            ) newest
            ORDER BY r.last_day DESC, r.reason
            """,
            {"hour": now - timedelta(hours=1), "day": now - timedelta(days=1)},
        ).fetchall()


def _age_s(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else (now - moment).total_seconds()


def _one(conn: Connection, query: str, parameters: dict[str, Any]) -> tuple[Any, ...]:
    row = conn.execute(query, parameters).fetchone()
    return row if row is not None else ()
