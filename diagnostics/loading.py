"""Brings the fleet's present from the database into a snapshot: whole at the start, then what each tick finds new.

At the start only the newest of each thing is read, so taking over after an outage costs the same however long it was.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from diagnostics.limits import METRICS, Policy
from diagnostics.snapshot import EVENT_INDEX, Index, Snapshot
from fleet.clock import to_ms
from fleet.contract import NEWEST_SAMPLE_S, SAMPLE_FIELDS
from fleet.database import Connection
from fleet.feed import EventRow, latest_samples, read_since
from fleet.registry import Terminal
from fleet.rollup import BUCKET

# What is older says nothing about now; a shop closed for the weekend is silent for longer, and closed it is.
LOOK_BACK: Final = timedelta(hours=36)
# A worker stamps `changed_at` before it commits, and machines' clocks differ a little.
_PRESENCE_OVERLAP: Final = timedelta(seconds=120)

_METRIC_COLUMNS: Final = [SAMPLE_FIELDS.index(name) for name in METRICS]
_CODES: Final = {code.value: index for code, index in EVENT_INDEX.items()}
_TICKETS, _SCANS = SAMPLE_FIELDS.index("tickets"), SAMPLE_FIELDS.index("scans")


def load_snapshot(conn: Connection, fleet: Sequence[Terminal], *, now: datetime, policy: Policy) -> Snapshot:
    """A snapshot of these terminals from the newest rows of what the feed brings; presence comes with each tick."""
    snapshot = Snapshot([terminal.id for terminal in fleet], [terminal.model for terminal in fleet])
    newest = now + timedelta(seconds=NEWEST_SAMPLE_S)
    _take_samples(snapshot, latest_samples(conn, since=now - LOOK_BACK, until=newest))
    _load_events(conn, snapshot, now=now)
    _load_sales(conn, snapshot, now=now, policy=policy)
    return snapshot


def registry_version(conn: Connection) -> tuple[object, ...]:
    """A figure that differs after every change of the registry: rows, and the newest transaction that wrote one."""
    row = conn.execute(
        "SELECT t.*, s.* FROM (SELECT count(*), max(xmin::text::bigint) FROM fleet.terminal) t,"
        " (SELECT count(*), max(xmin::text::bigint) FROM fleet.point_of_sale) s"
    ).fetchone()
    return tuple(row or ())


def update_from_feed(conn: Connection, snapshot: Snapshot, *, batch_id: int) -> tuple[int, int]:
    """Take in everything committed after `batch_id`, in bounded slices; returns the new last batch and the samples read."""
    samples = 0
    more = True
    while more:
        part = read_since(conn, batch_id=batch_id)
        _take_samples(snapshot, part.samples)
        _take_events(snapshot, part.events)
        batch_id, more = part.batch_id, part.more
        samples += len(part.samples)
    row = conn.execute("SELECT received_at FROM fleet.ingest_batch WHERE id = %(id)s", {"id": batch_id}).fetchone()
    # Retention may have dropped the batch long after; then the newest one known stays.
    snapshot.fed_ms = max(snapshot.fed_ms, to_ms(row[0]) if row else 0)
    return batch_id, samples


def update_presence(conn: Connection, snapshot: Snapshot, *, since: datetime | None) -> None:
    """Take in the presence that changed since our last look (None: everyone's)."""
    rows = conn.execute(
        "SELECT terminal_id, online, changed_at FROM fleet.presence"
        " WHERE %(since)s::timestamptz IS NULL OR changed_at >= %(since)s",
        {"since": since - _PRESENCE_OVERLAP if since else None},
    ).fetchall()
    snapshot.update_presence(
        _rows(snapshot, [row[0] for row in rows]),
        online=np.array([row[1] for row in rows], bool),
        changed_ms=np.array([to_ms(row[2]) for row in rows], np.int64),
    )


def _load_events(conn: Connection, snapshot: Snapshot, *, now: datetime) -> None:
    rows = conn.execute(
        "SELECT terminal_id, code, max(at), max(received_at) FROM fleet.event WHERE at >= %(since)s GROUP BY 1, 2",
        {"since": now - LOOK_BACK},
    ).fetchall()
    _take_events(snapshot, [EventRow(terminal, at, received, 0, 0, code, "") for terminal, code, at, received in rows])


def _load_sales(conn: Connection, snapshot: Snapshot, *, now: datetime, policy: Policy) -> None:
    """The last bets and slips to five minutes, and the pace of reports: a restart must not bring back what they ended."""
    rows = conn.execute(
        "SELECT terminal_id, max(bucket) FILTER (WHERE tickets > 0), max(bucket) FILTER (WHERE scans > 0),"
        " max(samples) FILTER (WHERE bucket >= %(lately)s)"
        " FROM fleet.sample_5min WHERE bucket >= %(since)s GROUP BY 1",
        {"since": now - timedelta(seconds=policy.unresolved_lasts_s), "lately": now - 4 * BUCKET},
    ).fetchall()
    places = _rows(snapshot, [row[0] for row in rows])
    known = places >= 0
    for moments, column in ((snapshot.sold_ms, 1), (snapshot.scanned_ms, 2)):
        at_ms = np.array([to_ms(row[column]) if row[column] else 0 for row in rows], np.int64)
        np.maximum.at(moments, places[known], at_ms[known])
    samples = np.array([row[3] or 0 for row in rows], np.int64)
    paced = known & (samples > 0)
    of = places[paced]
    between_ms = round(BUCKET.total_seconds() * 1000) // samples[paced]
    snapshot.before_ms[of] = np.where(snapshot.measured_ms[of] > 0, snapshot.measured_ms[of] - between_ms, 0)


def _take_samples(snapshot: Snapshot, samples: np.ndarray[tuple[int, ...], np.dtype[np.void]]) -> None:
    if not len(samples):
        return
    values = samples["values"]
    snapshot.update_samples(
        snapshot.rows_of(samples["terminal"]),
        at_ms=samples["at"],
        received_ms=samples["received_at"],
        values=values[:, _METRIC_COLUMNS],
        tickets=values[:, _TICKETS],
        scans=values[:, _SCANS],
    )


def _take_events(snapshot: Snapshot, events: Sequence[EventRow]) -> None:
    if not events:
        return
    codes = [_CODES.get(event.code, -1) for event in events]
    snapshot.update_events(
        _rows(snapshot, [event.terminal for event in events]),
        at_ms=np.array([to_ms(event.at) for event in events], np.int64),
        received_ms=np.array([to_ms(event.received_at) for event in events], np.int64),
        codes=np.array(codes, np.intp),
    )


def _rows(snapshot: Snapshot, terminals: list[str]) -> Index:
    return snapshot.rows_of(np.array(terminals, dtype="S6").reshape(len(terminals)))
