"""What happened in each shop in a period: counts that the gate makes its marks of, from what terminals and callers said."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from firmware_rollout.gate.policy import Metric
from fleet.database import Connection

I64 = NDArray[np.int64]

# Of periods as long as this the 5-minute roll-up is exact enough, and ten times as quick to read.
_BY_ROLLUP: Final = timedelta(hours=1)
# A terminal that is away for so long (of a campaign's time) has fallen silent; an update's own restart is shorter.
SILENT_AFTER: Final = timedelta(hours=1)
# A restart takes its time, however compressed the campaign's.
SILENT_AFTER_AT_LEAST: Final = timedelta(minutes=2)

# What comes through MQTT; hotline writes calls itself. What is read from the roll-up, where periods are long enough.
BY_INGEST: Final = frozenset(Metric) - {Metric.CALLS}
_BY_ROLLUP_TOO: Final = frozenset({Metric.PRINTER_ERRORS, Metric.SCANNER_ERRORS, Metric.TRANSACTION_ERRORS})
# Terminals come back late with what they kept, at any time; beyond such a share of them the roll-up has not caught up.
_LATE_SHARE: Final = 0.01
# 16,000 terminals ring some 855 times a day: so many are no day without a call unless nobody notes calls.
_NEVER_QUIET: Final = 500
_QUIET_FOR: Final = timedelta(days=1)


class Counts(NamedTuple):
    """Counts of each metric, int64 (shops,), and the tickets sold, float64 (shops,)."""

    of: Mapping[Metric, I64]
    tickets: NDArray[np.float64]


def count(conn: Connection, shops: list[str], *, start: datetime, end: datetime, pace: float) -> Counts:
    """Count what happened in these shops from `start` until just before `end`."""
    place = {shop: index for index, shop in enumerate(shops)}
    span = {"start": start, "end": end, "silent_after": max(SILENT_AFTER / pace, SILENT_AFTER_AT_LEAST)}
    table, at = ("sample_5min", "bucket") if end - start >= _BY_ROLLUP else ("sample", "at")
    said = _by_shop(
        conn,
        "SELECT t.point_of_sale, sum(s.print_errors), sum(s.scan_errors), sum(s.tx_timeouts), sum(s.tickets)"
        f" FROM fleet.{table} s JOIN fleet.terminal t ON t.id = s.terminal_id"
        f" WHERE s.{at} >= %(start)s AND s.{at} < %(end)s GROUP BY 1",
        span,
        place,
        columns=4,
    )
    events = _by_shop(
        conn,
        "SELECT t.point_of_sale, count(*) FILTER (WHERE e.code = 'APP_CRASH'),"
        # What was asked for, an update's restart among it, is told as expected.
        " count(*) FILTER (WHERE e.code = 'REBOOT' AND e.detail NOT LIKE 'expected%%')"
        " FROM fleet.event e JOIN fleet.terminal t ON t.id = e.terminal_id"
        " WHERE e.at >= %(start)s AND e.at < %(end)s AND e.code IN ('APP_CRASH', 'REBOOT') GROUP BY 1",
        span,
        place,
        columns=2,
    )
    silent = _by_shop(conn, _SILENT, span, place, columns=1)
    calls = _by_shop(
        conn,
        "SELECT t.point_of_sale, count(DISTINCT s.ref) FROM fleet.signal s JOIN fleet.terminal t ON t.id = s.terminal_id"
        " WHERE s.kind = 'call' AND s.at >= %(start)s AND s.at < %(end)s GROUP BY 1",
        span,
        place,
        columns=1,
    )
    order = (
        (Metric.PRINTER_ERRORS, said[0]),
        (Metric.SCANNER_ERRORS, said[1]),
        (Metric.TRANSACTION_ERRORS, said[2]),
        (Metric.CRASHES, events[0]),
        (Metric.REBOOTS, events[1]),
        (Metric.SILENCE, silent[0]),
        (Metric.CALLS, calls[0]),
    )
    return Counts({metric: np.rint(values).astype(np.int64) for metric, values in order}, said[3])


def measurable(conn: Connection, *, start: datetime, end: datetime) -> frozenset[Metric]:
    """What can be counted of a period by now: all of it was heard and rolled up, and calls are being noted at all."""
    found = frozenset[Metric]()
    row = conn.execute("SELECT max(received_at) FROM fleet.ingest_batch").fetchone()
    if row is not None and row[0] is not None and row[0] >= end:
        found = BY_INGEST if end - start < _BY_ROLLUP or _rolled_up(conn, start, end) else BY_INGEST - _BY_ROLLUP_TOO
    # Of a short period, or a small fleet, it says nothing that nobody rang.
    if end - start < _QUIET_FOR or _somebody_rang(conn, start, end):
        found |= {Metric.CALLS}
    return found


def _rolled_up(conn: Connection, start: datetime, end: datetime) -> bool:
    row = conn.execute(
        "SELECT COALESCE(bool_or(d.terminal_id IS NULL), false), count(DISTINCT d.terminal_id),"
        " (SELECT count(*) FROM fleet.terminal) FROM fleet.rollup_due d WHERE d.bucket >= %(start)s AND d.bucket < %(end)s",
        {"start": start, "end": end},
    ).fetchone()
    assert row is not None  # an aggregate gives a row
    whole, late, terminals = row
    return not whole and bool(late <= _LATE_SHARE * terminals)


def _somebody_rang(conn: Connection, start: datetime, end: datetime) -> bool:
    row = conn.execute(
        "SELECT EXISTS (SELECT FROM fleet.signal WHERE kind = 'call' AND at >= %(start)s AND at < %(end)s)"
        " OR (SELECT count(*) FROM fleet.terminal) < %(never_quiet)s",
        {"start": start, "end": end, "never_quiet": _NEVER_QUIET},
    ).fetchone()
    return row is not None and bool(row[0])


# Terminals that were lost, and not seen again until they counted as silent within the period.
_SILENT: Final = """
    SELECT t.point_of_sale, count(DISTINCT c.terminal_id)
    FROM fleet.presence_change c JOIN fleet.terminal t ON t.id = c.terminal_id
    WHERE NOT c.online
        AND c.changed_at >= %(start)s - %(silent_after)s::interval AND c.changed_at < %(end)s - %(silent_after)s::interval
        AND NOT EXISTS (SELECT FROM fleet.presence_change b WHERE b.terminal_id = c.terminal_id AND b.online
            -- One batch may bring the loss of a connection and the next one's birth, at the same instant.
            AND (b.changed_at > c.changed_at OR (b.changed_at = c.changed_at AND b.session > c.session))
            AND b.changed_at <= c.changed_at + %(silent_after)s::interval)
    GROUP BY 1
"""


def _by_shop(
    conn: Connection, query: str, parameters: Mapping[str, Any], place: Mapping[str, int], *, columns: int
) -> NDArray[np.float64]:
    """Sums by shop, float64 (columns, shops); what other shops did is left out."""
    sums = np.zeros((columns, len(place)))
    for shop, *values in conn.execute(query.encode(), parameters):
        if (index := place.get(shop)) is not None:
            sums[:, index] = [value or 0 for value in values]
    return sums
