"""Rolls samples up into 5-minute buckets, whole and repeatable: a bucket is recomputed from its samples, never added to.

The transaction that stores samples also marks their buckets in `fleet.rollup_due`, as (bucket, NULL) for every terminal
while the bucket is current, as (bucket, terminal) when they come late. A step takes marks and recomputes what they name in
one transaction. Marks and samples become visible together, so the samples of a mark that was taken are always seen, and
a batch committed meanwhile leaves a mark of its own for the next step: hours-late data rolls up again, and none is lost.

How a bucket is made (also said in the table's comments):

- counters (`contract.COUNTERS`): the sum;
- `uptime_s`: the largest, since the mean over a reboot means nothing;
- every other gauge: the mean of the samples that measured it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg import sql
from psycopg.rows import scalar_row

from fleet.contract import COUNTERS, NEWEST_SAMPLE_S, SAMPLE_FIELDS
from fleet.database import Connection

BUCKET = timedelta(minutes=5)
# After its end a bucket waits a little, so that the last samples of ordinary terminals do not each come late.
GRACE = timedelta(seconds=45)
# Single late marks are taken window by window: the chunk interval of fleet.sample, so that each statement opens one chunk.
WINDOW = timedelta(hours=1)
# From so many late terminals on, reading a bucket whole costs less than looking each up.
WHOLE_FROM = 2_000
# Clocks of terminals may run ahead by NEWEST_SAMPLE_S at most (else: dead letter), so no sample is received longer
# than that before its own bucket begins; twice that is taken for safety.
_EARLIEST_RECEIPT = timedelta(seconds=2 * NEWEST_SAMPLE_S)

AGGREGATES = {name: "sum" if name in COUNTERS else "max" if name == "uptime_s" else "avg" for name in SAMPLE_FIELDS}


@dataclass(frozen=True)
class RolledUp:
    """What one step did: rows written, and whether it left marks that are due."""

    rows: int
    more: bool


def step(conn: Connection, *, now: datetime) -> RolledUp:
    """Recompute one bucket or one window of late marks, the oldest first; commits nothing.

    Call again while `more`. Only one caller at a time does useful work: two would recompute the same.
    """
    before = now - BUCKET - GRACE
    bucket = _oldest_whole(conn, before)
    if bucket is not None:
        rows = _roll_up_whole(conn, bucket)
    else:
        late = _oldest(conn, before)
        if late is None:
            return RolledUp(0, more=False)
        rows = _roll_up_late(conn, late, min(late + WINDOW, before))
    return RolledUp(rows, more=_oldest(conn, before) is not None)


def backlog(conn: Connection, *, now: datetime) -> int:
    """How many marks are due and not yet taken."""
    with conn.cursor(row_factory=scalar_row) as cursor:
        cursor.execute("SELECT count(*) FROM fleet.rollup_due WHERE bucket <= %(before)s", {"before": now - BUCKET - GRACE})
        return int(cursor.fetchone() or 0)


def _oldest(conn: Connection, before: datetime) -> datetime | None:
    with conn.cursor(row_factory=scalar_row) as cursor:
        cursor.execute("SELECT min(bucket) FROM fleet.rollup_due WHERE bucket <= %(before)s", {"before": before})
        found: datetime | None = cursor.fetchone()
        return found


def _oldest_whole(conn: Connection, before: datetime) -> datetime | None:
    """The oldest bucket that is best recomputed for every terminal."""
    with conn.cursor(row_factory=scalar_row) as cursor:
        cursor.execute(
            """
            SELECT bucket FROM fleet.rollup_due WHERE bucket <= %(before)s
            GROUP BY bucket HAVING bool_or(terminal_id IS NULL) OR count(DISTINCT terminal_id) >= %(many)s
            ORDER BY bucket LIMIT 1
            """,
            {"before": before, "many": WHOLE_FROM},
        )
        found: datetime | None = cursor.fetchone()
        return found


def _roll_up_whole(conn: Connection, bucket: datetime) -> int:
    """Recompute a bucket for every terminal.

    There is no index over `at` alone; the block-range index over `received_at` finds the rows of a current bucket.
    """
    conn.execute("DELETE FROM fleet.rollup_due WHERE bucket = %(bucket)s", {"bucket": bucket})
    done = conn.execute(
        sql.SQL(
            """
            INSERT INTO fleet.sample_5min (bucket, terminal_id, samples, {fields})
            SELECT %(bucket)s, terminal_id, count(*), {aggregates}
            FROM fleet.sample
            WHERE at >= %(bucket)s AND at < %(end)s AND received_at >= %(received)s
            GROUP BY terminal_id
            {or_replace}
            """
        ).format(**_parts()),
        {"bucket": bucket, "end": bucket + BUCKET, "received": bucket - _EARLIEST_RECEIPT},
    )
    return done.rowcount


def _roll_up_late(conn: Connection, start: datetime, end: datetime) -> int:
    """Recompute the marked terminals of the buckets from `start` to `end` (included), in one statement.

    The statement takes the marks and reads the samples in one snapshot. A mark whose samples are gone writes nothing.
    """
    done = conn.execute(
        sql.SQL(
            """
            WITH taken AS (
                DELETE FROM fleet.rollup_due WHERE bucket BETWEEN %(start)s AND %(end)s AND terminal_id IS NOT NULL
                RETURNING bucket, terminal_id
            ), mark AS MATERIALIZED (SELECT DISTINCT bucket, terminal_id FROM taken)
            INSERT INTO fleet.sample_5min (bucket, terminal_id, samples, {fields})
            SELECT mark.bucket, mark.terminal_id, found.*
            FROM mark CROSS JOIN LATERAL (
                SELECT count(*) AS samples, {aggregates}
                FROM fleet.sample s
                WHERE s.terminal_id = mark.terminal_id AND s.at >= mark.bucket AND s.at < mark.bucket + %(width)s
                    -- The same bounds once more as constants: they leave one or two chunks to look into.
                    AND s.at >= %(start)s AND s.at < %(end)s + %(width)s
            ) found
            WHERE found.samples > 0
            {or_replace}
            """
        ).format(**_parts()),
        {"start": start, "end": end, "width": BUCKET},
    )
    return done.rowcount


def _parts() -> dict[str, sql.Composable]:
    """The column lists that both statements share, in one order."""
    comma = sql.SQL(", ")
    names = [sql.Identifier(name) for name in SAMPLE_FIELDS]
    aggregates = (sql.SQL("{}({})::real").format(sql.SQL(how), sql.Identifier(name)) for name, how in AGGREGATES.items())
    replaced = comma.join(sql.SQL("{0} = excluded.{0}").format(name) for name in (sql.Identifier("samples"), *names))
    return {
        "fields": comma.join(names),
        "aggregates": comma.join(aggregates),
        "or_replace": sql.SQL("ON CONFLICT (terminal_id, bucket) DO UPDATE SET {}").format(replaced),
    }
