"""What a tick is given: committed rows of the feed and calls of the hotline, as the arrays that the diagnosis takes.

Rows are numbered as in the `Fleet` of the moment; what the registry does not have is row -1, which the diagnosis passes over.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diagnostics.detector.observed import Calls, Fleet, Observed
from diagnostics.opening import UsualHours
from diagnostics.snapshot import EVENT_INDEX, I64, Bool, Ids, Index, Snapshot
from diagnostics.tracking.diagnosis import Diagnosis
from diagnostics.tracking.maintenance import Window
from diagnostics.tracking.tracked import Said, Step
from fleet.clock import to_ms
from fleet.database import Connection
from fleet.feed import SAMPLE_DTYPE, EventRow, read_since

# A worker stamps `changed_at` before it commits, and machines' clocks differ a little.
PRESENCE_OVERLAP: Final = timedelta(seconds=120)
# A call becomes a signal when its shop is known; where several share a number that is when an agent picked one.
CALLS_OVERLAP: Final = timedelta(minutes=30)
# A terminal says of each restart whether it was told to.
_EXPECTED: Final = "expected"

_MANY_CALLS: Final = 2000

_CODES: Final = {code.value: index for code, index in EVENT_INDEX.items()}
_NO_CALLS: Final = Calls(np.zeros(0, np.int32), np.zeros(0, np.int64))


class Fed(NamedTuple):
    """What was committed since the last look: up to which batch, received when (ms; 0: not known), and what it brought."""

    batch_id: int
    fed_ms: int
    samples: NDArray[np.void]
    events: Sequence[EventRow]


class Presence(NamedTuple):
    """Who is connected or not, since when; each terminal at most once."""

    rows: Index
    online: Bool
    changed_ms: I64


class Moment(NamedTuple):
    """All that one tick is given: what was seen, who came or went, and up to which batch that is."""

    at: datetime
    seen: Observed
    presence: Presence
    batch_id: int
    fed_ms: int


def advance(
    diagnosis: Diagnosis, moment: Moment, *, hours: UsualHours, maintenance: Sequence[Window], said: Sequence[Said] = ()
) -> Step:
    """Let the diagnosis live through a moment."""
    snapshot = diagnosis.snapshot
    snapshot.update_presence(moment.presence.rows, online=moment.presence.online, changed_ms=moment.presence.changed_ms)
    snapshot.fed_ms = max(snapshot.fed_ms, moment.fed_ms)
    scheduled, boundary_ms = hours.at(moment.at)
    return diagnosis.step(
        moment.seen,
        now_ms=to_ms(moment.at),
        scheduled=scheduled,
        boundary_ms=boundary_ms,
        maintenance=maintenance,
        said=said,
    )


def read_feed(conn: Connection, *, batch_id: int) -> Fed:
    """Everything committed after `batch_id`, read in bounded slices."""
    samples: list[NDArray[np.void]] = []
    events: list[EventRow] = []
    more = True
    while more:
        part = read_since(conn, batch_id=batch_id)
        batch_id, more = part.batch_id, part.more
        if len(part.samples):
            samples.append(part.samples)
        events += part.events
    row = conn.execute("SELECT received_at FROM fleet.ingest_batch WHERE id = %(id)s", {"id": batch_id}).fetchone()
    # Retention may have dropped the batch long after; then the newest one known stays.
    fed_ms = to_ms(row[0]) if row else 0
    return Fed(batch_id, fed_ms, np.concatenate(samples) if samples else np.empty(0, SAMPLE_DTYPE), events)


def observed(fleet: Snapshot, samples: NDArray[np.void], events: Sequence[EventRow], calls: Calls = _NO_CALLS) -> Observed:
    """The feed's rows as one tick's observation."""
    return Observed(
        rows=fleet.rows_of(samples["terminal"]),
        at_ms=samples["at"],
        received_ms=samples["received_at"],
        values=samples["values"],
        event_rows=rows_of(fleet, [event.terminal for event in events]),
        event_codes=np.array([_CODES.get(event.code, -1) for event in events], np.intp),
        event_at_ms=np.array([to_ms(event.at) for event in events], np.int64),
        event_received_ms=np.array([to_ms(event.received_at) for event in events], np.int64),
        event_expected=np.array([event.code == "REBOOT" and event.detail.startswith(_EXPECTED) for event in events], bool),
        calls=calls,
    )


def rows_of(fleet: Snapshot, terminals: Sequence[Any]) -> Index:
    """The row of each terminal id, -1 for one that the registry does not have."""
    ids: Ids = np.array(terminals, dtype="S6").reshape(len(terminals))
    return fleet.rows_of(ids)


def read_presence(conn: Connection, snapshot: Snapshot, *, since: datetime | None) -> Presence:
    """The presence that changed since our last look (None: everyone's)."""
    rows = conn.execute(
        "SELECT terminal_id, online, changed_at FROM fleet.presence"
        " WHERE %(since)s::timestamptz IS NULL OR changed_at >= %(since)s",
        {"since": since - PRESENCE_OVERLAP if since else None},
    ).fetchall()
    return presence(snapshot, rows)


def presence(snapshot: Snapshot, rows: Sequence[tuple[str, bool, datetime]]) -> Presence:
    """Presence rows (terminal, online, since when) as arrays."""
    return Presence(
        rows_of(snapshot, [row[0] for row in rows]),
        np.array([row[1] for row in rows], bool),
        np.array([to_ms(row[2]) for row in rows], np.int64),
    )


class CallReader:
    """Reads the calls of the hotline, each once, although its signal may come late and is a row for each terminal of the shop."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def read(self, conn: Connection, fleet: Fleet, snapshot: Snapshot, *, since: datetime, until: datetime) -> Calls:
        """The calls that rang from `since` less the overlap to `until` and were not read before, in order of time."""
        rows = conn.execute(
            "SELECT ref, min(at), min(terminal_id) FROM fleet.signal WHERE kind = 'call' AND at > %(since)s AND at <= %(until)s"
            " GROUP BY ref ORDER BY 2, 1",
            {"since": since - CALLS_OVERLAP, "until": until},
        ).fetchall()
        new = [row for row in rows if row[0] not in self._seen]
        self._seen |= {ref: to_ms(at) for ref, at, _ in new}
        self._forget(to_ms(since - 2 * CALLS_OVERLAP))
        places = rows_of(snapshot, [terminal for _, _, terminal in new])
        at_ms = np.array([to_ms(at) for _, at, _ in new], np.int64)
        return Calls(fleet.shop[places[places >= 0]], at_ms[places >= 0])

    def _forget(self, before_ms: int) -> None:
        if len(self._seen) > _MANY_CALLS:
            self._seen = {ref: at_ms for ref, at_ms in self._seen.items() if at_ms >= before_ms}
