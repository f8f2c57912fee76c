"""Time over again: what was committed between two moments, handed out in ticks as if it came now.

A watch that was away reads what it missed through this, in ticks of the feed's own time of receipt, and one that starts lets
the last hour pass once more to find its feet. Presence comes from its history. Samples are read by the chunks of their own
time, each row once, whatever the order in which it lies there: what came more than `LATE` after it was measured is history,
which the present does not need (the newest of it is read with the rest of the present at the start).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from diagnostics.detector.observed import Calls, Fleet
from diagnostics.observing import CallReader, Moment, Presence, observed, presence
from diagnostics.snapshot import I64, Bool, Snapshot
from fleet.clock import from_ms, to_ms
from fleet.contract import NEWEST_SAMPLE_S, OLDEST_SAMPLE_S
from fleet.database import Connection
from fleet.feed import SAMPLE_COLUMNS, SAMPLE_DTYPE, EventRow, copy_samples

TICK: Final = timedelta(seconds=10)
# So much of the terminals' time is read at once: at 16,000 terminals some 300,000 rows.
WINDOW: Final = timedelta(minutes=10)
LATE: Final = timedelta(minutes=30)
_AHEAD: Final = timedelta(seconds=NEWEST_SAMPLE_S)
_OLDEST: Final = timedelta(seconds=OLDEST_SAMPLE_S)


@dataclass(frozen=True, eq=False)
class Batches:
    """Batches of the feed in order of id; `received_ms` is when each was received."""

    ids: I64
    received_ms: I64
    _times: I64 = field(init=False)
    _until: I64 = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_times", np.unique(self.received_ms))
        # Workers commit side by side: only what no earlier batch is missing from has been read.
        object.__setattr__(self, "_until", np.maximum.accumulate(self.received_ms) if len(self.ids) else self.received_ms)

    def hold(self, received_ms: I64) -> Bool:
        """Which of these times of receipt are a batch's."""
        if not len(self._times):
            return np.zeros(len(received_ms), bool)
        place = np.minimum(np.searchsorted(self._times, received_ms), len(self._times) - 1)
        return np.asarray(self._times[place] == received_ms)

    def read_by(self, at_ms: int) -> int:
        """The last batch that is read, and every one before it, when all received by `at_ms` are; 0 where none is."""
        count = int(np.searchsorted(self._until, at_ms, side="right"))
        return int(self.ids[count - 1]) if count else 0

    def newest_by(self, at_ms: int) -> int:
        """When the newest of the batches received by `at_ms` was, 0 where there is none."""
        count = int(np.searchsorted(self._times, at_ms, side="right"))
        return int(self._times[count - 1]) if count else 0


def batches_after(conn: Connection, *, batch_id: int, until: datetime) -> Batches:
    """What a reader that stands at `batch_id` has not read, received by `until`."""
    return _batches(conn, "id > %(id)s AND received_at <= %(until)s", {"id": batch_id, "until": until})


def batches_between(conn: Connection, *, since: datetime, batch_id: int) -> Batches:
    """What a reader that stands at `batch_id` has read of what was received after `since`."""
    return _batches(conn, "id <= %(id)s AND received_at > %(since)s", {"id": batch_id, "since": since})


def moments(
    conn: Connection, batches: Batches, *, fleet: Fleet, snapshot: Snapshot, calls: CallReader, start: datetime, end: datetime
) -> Iterator[Moment]:
    """The ticks after `start` up to `end`, oldest first; `snapshot` only numbers the terminals.

    What was received before the first tick's ten seconds, but not read, is in the first tick. `batch_id` of a moment is 0
    where no batch is read yet.
    """
    samples = _Samples(conn, batches, start=start)
    events = _events(conn, batches, start=start, end=end)
    event_ms = np.array([to_ms(event.received_at) for event in events], np.int64)
    changes = _changes(conn, snapshot, start=start, end=end)
    rung = calls.read(conn, fleet, snapshot, since=start, until=end)
    before_ms = 0
    for tick in range(1, int((end - start) / TICK) + 1):
        at = start + tick * TICK
        at_ms = to_ms(at)
        first, last = np.searchsorted(event_ms, (before_ms, at_ms), side="right")
        came, gone = np.searchsorted(changes.changed_ms, (before_ms, at_ms), side="right")
        heard, silent = np.searchsorted(rung.at_ms, (before_ms, at_ms), side="right")
        seen = observed(snapshot, samples.until(at), events[first:last], Calls(rung.shop[heard:silent], rung.at_ms[heard:silent]))
        yield Moment(at, seen, newest(changes, int(came), int(gone)), batches.read_by(at_ms), batches.newest_by(at_ms))
        before_ms = at_ms


class _Samples:
    """The samples of some batches in order of their receipt, read window by window of the terminals' own time."""

    def __init__(self, conn: Connection, batches: Batches, *, start: datetime) -> None:
        self._conn, self._batches = conn, batches
        first_ms = int(batches.received_ms.min(initial=to_ms(start)))
        self._read_until = min(start, from_ms(first_ms)) - LATE
        self._waiting = np.empty(0, SAMPLE_DTYPE)

    def until(self, at: datetime) -> NDArray[np.void]:
        """What was received by then and not handed out yet."""
        while self._read_until <= at + _AHEAD:
            self._read_window()
        count = int(np.searchsorted(self._waiting["received_at"], to_ms(at), side="right"))
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return taken

    def _read_window(self) -> None:
        start, self._read_until = self._read_until, self._read_until + WINDOW
        if not len(self._batches.ids):
            return
        found = copy_samples(
            self._conn,
            f"SELECT {SAMPLE_COLUMNS} FROM fleet.sample WHERE at >= %(start)s AND at < %(end)s"
            " AND received_at >= %(first)s AND received_at <= %(last)s",
            {
                "start": start,
                "end": self._read_until,
                # Also of use to the block ranges of an hour that lies in the order of receipt.
                "first": max(start - _AHEAD, from_ms(int(self._batches.received_ms.min()))),
                "last": self._read_until + LATE,
            },
        )
        found = found[self._batches.hold(found["received_at"])]
        rest = np.concatenate([self._waiting, found]) if len(self._waiting) else found
        self._waiting = rest[np.argsort(rest["received_at"], kind="stable")]


def newest(changes: Presence, first: int, last: int) -> Presence:
    """Of the changes from `first` to before `last`, in order of time, each terminal's newest."""
    part = Presence(changes.rows[first:last], changes.online[first:last], changes.changed_ms[first:last])
    if last - first < 2:
        return part
    _, from_end = np.unique(part.rows[::-1], return_index=True)
    kept = last - first - 1 - from_end
    return Presence(part.rows[kept], part.online[kept], part.changed_ms[kept])


def _changes(conn: Connection, snapshot: Snapshot, *, start: datetime, end: datetime) -> Presence:
    """Who came or went, in order of time."""
    rows = conn.execute(
        "SELECT terminal_id, online, changed_at FROM fleet.presence_change"
        " WHERE changed_at > %(start)s AND changed_at <= %(end)s ORDER BY changed_at, online",
        {"start": start, "end": end},
    ).fetchall()
    return presence(snapshot, rows)


def _events(conn: Connection, batches: Batches, *, start: datetime, end: datetime) -> list[EventRow]:
    """The events of these batches in order of their receipt; there are a few a terminal and day."""
    if not len(batches.ids):
        return []
    first = from_ms(int(batches.received_ms.min()))
    rows = conn.execute(
        "SELECT terminal_id, at, received_at, boot, seq, code, detail FROM fleet.event"
        " WHERE received_at >= %(first)s AND received_at <= %(end)s AND at >= %(oldest)s AND at <= %(newest)s"
        " ORDER BY received_at, at, terminal_id, seq",
        {"first": first, "end": end, "oldest": min(start, first) - _OLDEST, "newest": end + _AHEAD},
    ).fetchall()
    events = [EventRow(*row) for row in rows]
    held = batches.hold(np.array([to_ms(event.received_at) for event in events], np.int64))
    return [event for event, is_held in zip(events, held.tolist(), strict=True) if is_held]


def _batches(conn: Connection, where: str, parameters: dict[str, object]) -> Batches:
    rows = conn.execute(
        f"SELECT id, received_at FROM fleet.ingest_batch WHERE {where}"
        " AND xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY id",
        parameters,
    ).fetchall()
    return Batches(np.array([row[0] for row in rows], np.int64), np.array([to_ms(row[1]) for row in rows], np.int64))
