"""Brings the fleet as it was at one moment, now or past, from the database into a snapshot; ticks move it on from there.

Only the newest of each thing is read, as it was known then: what came later is left to the ticks that follow.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from diagnostics.limits import Policy
from diagnostics.observing import observed, presence, rows_of
from diagnostics.snapshot import Snapshot
from diagnostics.tracking.diagnosis import feed
from fleet.clock import to_ms
from fleet.contract import NEWEST_SAMPLE_S
from fleet.database import Connection
from fleet.feed import EventRow, latest_samples
from fleet.registry import Terminal
from fleet.rollup import BUCKET

# What is older says nothing about now; a shop closed for the weekend is silent for longer, and closed it is.
LOOK_BACK: Final = timedelta(hours=36)


def load_snapshot(conn: Connection, fleet: Sequence[Terminal], *, at: datetime, policy: Policy) -> Snapshot:
    """A snapshot of these terminals as they were known at a moment."""
    snapshot = Snapshot([terminal.id for terminal in fleet], [terminal.model for terminal in fleet])
    newest = at + timedelta(seconds=NEWEST_SAMPLE_S)
    samples = latest_samples(conn, since=at - LOOK_BACK, until=newest, received_by=at)
    feed(snapshot, observed(snapshot, samples, _events(conn, at=at)))
    _load_sales(conn, snapshot, now=at, policy=policy)
    _load_presence(conn, snapshot, at=at)
    row = conn.execute("SELECT max(received_at) FROM fleet.ingest_batch WHERE received_at <= %(at)s", {"at": at}).fetchone()
    snapshot.fed_ms = to_ms(row[0]) if row and row[0] else 0
    return snapshot


def registry_version(conn: Connection) -> tuple[object, ...]:
    """A figure that differs after every change of the registry (rows, the newest transaction that wrote one) or of firmware."""
    row = conn.execute(
        "SELECT t.*, s.*, p.*, r.* FROM (SELECT count(*), max(xmin::text::bigint) FROM fleet.terminal) t,"
        " (SELECT count(*), max(xmin::text::bigint) FROM fleet.point_of_sale) s,"
        " (SELECT sum(hashtextextended(terminal_id || firmware, 0)) FROM fleet.presence) p,"
        " (SELECT sum(hashtextextended(terminal_id || firmware, 0)) FROM fleet.reported) r"
    ).fetchone()
    return tuple(row or ())


def _events(conn: Connection, *, at: datetime) -> list[EventRow]:
    """The newest event of each code and terminal."""
    rows = conn.execute(
        "SELECT terminal_id, code, max(at), max(received_at) FROM fleet.event"
        " WHERE at >= %(since)s AND received_at <= %(at)s GROUP BY 1, 2",
        {"since": at - LOOK_BACK, "at": at},
    ).fetchall()
    return [EventRow(terminal, told, received, 0, 0, code, "") for terminal, code, told, received in rows]


def _load_presence(conn: Connection, snapshot: Snapshot, *, at: datetime) -> None:
    """Who was connected, as far as the history tells; who has not changed for long stands in the present table only."""
    rows = conn.execute(
        "SELECT DISTINCT ON (terminal_id) terminal_id, online, changed_at FROM ("
        "  SELECT terminal_id, online, changed_at FROM fleet.presence_change WHERE changed_at <= %(at)s"
        "  UNION ALL SELECT terminal_id, online, changed_at FROM fleet.presence WHERE changed_at <= %(at)s"
        ") known ORDER BY terminal_id, changed_at DESC",
        {"at": at},
    ).fetchall()
    known = presence(snapshot, rows)
    snapshot.update_presence(known.rows, online=known.online, changed_ms=known.changed_ms)


def _load_sales(conn: Connection, snapshot: Snapshot, *, now: datetime, policy: Policy) -> None:
    """The last bets and slips to five minutes, and the pace of reports: a start must not bring back what they ended."""
    rows = conn.execute(
        "SELECT terminal_id, max(bucket) FILTER (WHERE tickets > 0), max(bucket) FILTER (WHERE scans > 0),"
        " max(samples) FILTER (WHERE bucket >= %(lately)s)"
        " FROM fleet.sample_5min WHERE bucket >= %(since)s AND bucket < %(now)s GROUP BY 1",
        {"now": now, "since": now - timedelta(seconds=policy.unresolved_lasts_s), "lately": now - 4 * BUCKET},
    ).fetchall()
    places = rows_of(snapshot, [row[0] for row in rows])
    known = places >= 0
    for moments, column in ((snapshot.sold_ms, 1), (snapshot.scanned_ms, 2)):
        at_ms = np.array([to_ms(row[column]) if row[column] else 0 for row in rows], np.int64)
        np.maximum.at(moments, places[known], at_ms[known])
    samples = np.array([row[3] or 0 for row in rows], np.int64)
    paced = known & (samples > 0)
    of = places[paced]
    between_ms = round(BUCKET.total_seconds() * 1000) // samples[paced]
    snapshot.before_ms[of] = np.where(snapshot.measured_ms[of] > 0, snapshot.measured_ms[of] - between_ms, 0)
