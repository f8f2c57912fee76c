"""What a watch without a stored baseline learns at its start: the last week of the five-minute roll-up, in its order.

Without any history it says so and begins with what terminals of one kind have in common.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from diagnostics.detector.observed import Calls
from diagnostics.observing import CallReader
from diagnostics.tracking.diagnosis import Diagnosis
from fleet.clock import from_ms
from fleet.contract import SAMPLE_FIELDS
from fleet.database import Connection
from fleet.opening_hours import FleetHours
from fleet.registry import Terminal
from fleet.rollup import BUCKET

log = logging.getLogger(__name__)

LEARNT_DAYS: Final = 7
_PROGRESS_EVERY_S: Final = 10.0
_BUCKET_MS: Final = round(BUCKET.total_seconds() * 1000)
# PostgreSQL counts microseconds from 2000-01-01.
_PG_EPOCH_MS: Final = 946_684_800_000
_HEADER_BYTES: Final = 19
# So many bytes of the stream are taken apart at once.
_BLOCK_BYTES: Final = 8 << 20

_ROW: Final = np.dtype(
    [
        ("fields", ">i2"),
        ("bucket_len", ">i4"),
        ("bucket", ">i8"),
        ("terminal_len", ">i4"),
        ("terminal", "S6"),
        ("values", [("len", ">i4"), ("value", ">f4")], (len(SAMPLE_FIELDS),)),
    ]
)


def learn_history(
    conn: Connection, diagnosis: Diagnosis, fleet: Sequence[Terminal], *, until: datetime, stopped: Callable[[], bool]
) -> int:
    """Learn the last days before `until` from the roll-up; returns how many buckets there were."""
    since = until - timedelta(days=LEARNT_DAYS)
    hours = FleetHours([terminal.opening_hours for terminal in fleet], [terminal.timezone for terminal in fleet])
    rung = CallReader().read(conn, diagnosis.fleet, diagnosis.snapshot, since=since, until=until)
    begun = told = time.monotonic()
    buckets = 0
    for bucket_ms, rows in _in_buckets(_blocks(conn, since=since, until=until - BUCKET)):
        if stopped():
            break
        end_ms = bucket_ms + _BUCKET_MS
        first, last = np.searchsorted(rung.at_ms, (bucket_ms, end_ms))
        places = diagnosis.snapshot.rows_of(rows["terminal"])
        diagnosis.learn(
            at_s=end_ms // 1000,
            rows=places[places >= 0],
            values=rows["values"]["value"][places >= 0].astype(np.float32),
            is_open=hours.open_at(from_ms(bucket_ms)),
            calls=Calls(rung.shop[first:last], rung.at_ms[first:last]),
        )
        buckets += 1
        if time.monotonic() - told >= _PROGRESS_EVERY_S:
            told = time.monotonic()
            log.info("learning: %s so far", from_ms(bucket_ms), extra={"action": "learn"})
    if buckets:
        spent_s = time.monotonic() - begun
        log.info("learnt what is usual from %s buckets of history in %.1f s", buckets, spent_s, extra={"action": "learn"})
    else:
        log.warning("there is no history to learn from: terminals are held against their kind", extra={"action": "learn"})
    return buckets


def _blocks(conn: Connection, *, since: datetime, until: datetime) -> Iterator[NDArray[np.void]]:
    """The roll-up's rows in order of time, a few thousand at once; sorted day by day, so that a sort needs little room."""
    columns = ", ".join(f"coalesce({name}, 'NaN')" for name in SAMPLE_FIELDS)
    query = (
        f"COPY (SELECT bucket, terminal_id, {columns} FROM fleet.sample_5min"
        " WHERE bucket >= %(start)s AND bucket < %(end)s ORDER BY bucket) TO STDOUT (FORMAT binary)"
    )
    for day in range(LEARNT_DAYS):
        start = since + timedelta(days=day)
        end = min(start + timedelta(days=1), until)
        with conn.cursor() as cursor, cursor.copy(query, {"start": start, "end": end}) as copy:
            yield from _taken_apart(copy)


def _taken_apart(copy: Any) -> Iterator[NDArray[np.void]]:
    waiting, skip = bytearray(), _HEADER_BYTES
    for data in copy:
        waiting += data
        if len(waiting) >= _BLOCK_BYTES:
            count = (len(waiting) - skip) // _ROW.itemsize
            end = skip + count * _ROW.itemsize
            yield np.frombuffer(bytes(waiting[skip:end]), _ROW)
            waiting, skip = waiting[end:], 0
    # Two bytes end the stream.
    yield np.frombuffer(bytes(waiting[skip:]), _ROW, count=max(0, (len(waiting) - skip) // _ROW.itemsize))


def _in_buckets(blocks: Iterator[NDArray[np.void]]) -> Iterator[tuple[int, NDArray[np.void]]]:
    """Runs of rows of one bucket: the bucket's beginning, ms, and the rows."""
    kept: NDArray[np.void] = np.empty(0, _ROW)
    for block in blocks:
        rows = np.concatenate([kept, block]) if len(kept) else block
        edges = np.flatnonzero(rows["bucket"][1:] != rows["bucket"][:-1]) + 1
        starts = [0, *edges.tolist()]
        for start, end in pairwise(starts):
            yield _bucket_ms(rows[start]), rows[start:end]
        kept = rows[starts[-1] :]
    if len(kept):
        yield _bucket_ms(kept[0]), kept


def _bucket_ms(row: Any) -> int:
    return int(row["bucket"]) // 1000 + _PG_EPOCH_MS
