"""Days that are over, stored as the figures read them, so that three months are read as quickly as one day.

Nothing may be stale: every change of a call leaves a mark of its day in the same transaction (triggers of migration 0005), and
whoever reads takes a stored day only where no mark reaches it; all other days are counted from the calls themselves. One program
at a time reads marks, deletes exactly those it saw and writes the days they reach from the same snapshot: a change that is
committed later, or at that moment, leaves its mark standing.
"""

import logging
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fleet.alone import Repeating
from fleet.clock import Clock
from fleet.database import Connection
from hotline.attendance import attendance
from hotline.counted_calls import CALL, to_us
from hotline.kpi_rows import REPEAT_WITHIN, busy_spans, read_calls
from hotline.occupancy import AGENT_SLOT, SLOT_S, as_table, occupancy
from hotline.opening import ZONE, day_bounds
from hotline.stored_call import LONGEST_TALK

log = logging.getLogger(__name__)

# The key is arbitrary, but ours alone.
LOCK: Final = 0x7661_6769_0073
STORE_EVERY_S: Final = 15.0
# What the stored bytes mean; raised with every change of `CALL`, `AGENT_SLOT` or of how they are counted.
LAYOUT: Final = 1
# Calls of a night may last; until then its day is read like today.
_SETTLED_AFTER: Final = LONGEST_TALK
# How many days a call may change: its own, those on which it makes another one a repeat, and one for the hour of summer time.
_REACH: Final = REPEAT_WITHIN + timedelta(days=1)
# Older days are read from their calls.
KEPT: Final = timedelta(days=400)
# Each run of days reads the week before it too; a step leaves the machine to others after half a dozen of seconds.
_RUN_DAYS, _RUNS_A_STEP = 7, 6


@dataclass(frozen=True, slots=True)
class Counted:
    """What happened on some days: rows of `CALL`, oldest first, and of `AGENT_SLOT`."""

    calls: NDArray[np.void]
    slots: NDArray[np.void]


def counted(conn: Connection, *, first: date, last: date, wrap_up: timedelta, now: datetime) -> Counted:
    """What happened on these days, both included: stored days as they are stored, all others from the calls."""
    stored = _stored(conn, first=first, last=last, wrap_up=wrap_up)
    parts: list[Counted] = []
    begun: date | None = None
    for day in _days(first, last):
        if day not in stored:
            begun = begun or day
            continue
        if begun:
            parts.append(_count(conn, first=begun, last=day - timedelta(days=1), wrap_up=wrap_up, now=now))
            begun = None
        parts.append(stored[day])
    if begun:
        parts.append(_count(conn, first=begun, last=last, wrap_up=wrap_up, now=now))
    return Counted(np.concatenate([part.calls for part in parts]), np.concatenate([part.slots for part in parts]))


def store_days(conn: Connection, *, wrap_up: timedelta, now: datetime) -> int:
    """Write days that are over and not stored yet, or changed since, newest first; says how many.

    `conn` commits by itself; only one program may do this at a time (`LOCK`).
    """
    stored = 0
    for _ in range(_RUNS_A_STEP):
        with conn.transaction():
            conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            _forget_changed(conn)
            run = _missing(conn, wrap_up=wrap_up, now=now)
            if not run:
                break
            _store(conn, run, wrap_up=wrap_up, now=now)
            stored += len(run)
    if stored:
        log.info("%s days stored for the figures", stored, extra={"action": "store_days"})
    return stored


def keeper(url: str, *, wrap_up: timedelta, clock: Clock) -> Repeating:
    """The thread of `vigie web` that stores days; of several programs one does it."""

    def step(conn: Connection) -> None:
        store_days(conn, wrap_up=wrap_up, now=clock())

    return Repeating(url, step, every_s=STORE_EVERY_S, program="days for the figures", lock=LOCK)


def _count(conn: Connection, *, first: date, last: date, wrap_up: timedelta, now: datetime) -> Counted:
    """From the calls and the attendance themselves."""
    since, until = day_bounds(first)[0], day_bounds(last)[1]
    busy = busy_spans(conn, since=since, until=until, wrap_up=wrap_up, now=now)
    there = attendance(conn, since=since, until=until)
    return Counted(
        read_calls(conn, since=since, until=until, wrap_up=wrap_up, now=now),
        as_table(occupancy(busy, there, since=since, until=min(until, now))),
    )


def _stored(conn: Connection, *, first: date, last: date, wrap_up: timedelta) -> dict[date, Counted]:
    """The stored days that can be believed."""
    with conn.cursor(binary=True) as cursor:
        cursor.execute(
            "SELECT d.day, d.calls, d.slots FROM hotline.closed_day d"
            " WHERE d.day BETWEEN %(first)s AND %(last)s AND d.layout = %(layout)s AND d.wrap_up_s = %(wrap_up_s)s AND NOT EXISTS"
            " (SELECT FROM hotline.changed_day c WHERE c.day BETWEEN d.day - %(reach)s::integer AND d.day)",
            {"first": first, "last": last, "layout": LAYOUT, "wrap_up_s": wrap_up.total_seconds(), "reach": _REACH.days},
        )
        return {
            day: Counted(np.frombuffer(calls, dtype=CALL), np.frombuffer(slots, dtype=AGENT_SLOT)) for day, calls, slots in cursor
        }


def _forget_changed(conn: Connection) -> None:
    conn.execute(
        "WITH seen AS (DELETE FROM hotline.changed_day RETURNING day), changed AS (SELECT DISTINCT day FROM seen)"
        " DELETE FROM hotline.closed_day d USING changed c WHERE d.day BETWEEN c.day AND c.day + %(reach)s::integer",
        {"reach": _REACH.days},
    )


def _missing(conn: Connection, *, wrap_up: timedelta, now: datetime) -> list[date]:
    """The newest days in a row that are over and not stored, oldest first."""
    last = (now - _SETTLED_AFTER).astimezone(ZONE).date() - timedelta(days=1)
    row = conn.execute(
        "SELECT min(rang_at) FROM hotline.call WHERE rang_at >= %(earliest)s", {"earliest": day_bounds(last - KEPT)[0]}
    ).fetchone()
    if row is None or row[0] is None:
        return []
    stored = conn.execute(
        "SELECT day FROM hotline.closed_day WHERE layout = %(layout)s AND wrap_up_s = %(wrap_up_s)s",
        {"layout": LAYOUT, "wrap_up_s": wrap_up.total_seconds()},
    )
    missing = sorted(set(_days(row[0].astimezone(ZONE).date(), last)) - {one[0] for one in stored})
    run = missing[-1:]
    for earlier, later in list(pairwise(missing))[::-1][: _RUN_DAYS - 1]:
        if later - earlier != timedelta(days=1):
            break
        run.insert(0, earlier)
    return [] if run and _still_wraps_up(conn, run, wrap_up=wrap_up, now=now) else run


def _still_wraps_up(conn: Connection, run: list[date], *, wrap_up: timedelta, now: datetime) -> bool:
    """Whether the work after a call of these days may still go on: then how long it was handled is not known yet."""
    row = conn.execute(
        "SELECT EXISTS (SELECT FROM hotline.call c JOIN hotline.leg l ON l.call = c.id WHERE c.rang_at >= %(since)s"
        " AND c.rang_at < %(until)s AND coalesce(l.ended_at, c.ended_at) > %(wrapping_since)s)",
        {"since": day_bounds(run[0])[0], "until": day_bounds(run[-1])[1], "wrapping_since": now - wrap_up},
    ).fetchone()
    return bool(row and row[0])


def _store(conn: Connection, run: list[date], *, wrap_up: timedelta, now: datetime) -> None:
    found = _count(conn, first=run[0], last=run[-1], wrap_up=wrap_up, now=now)
    begin_us = [to_us(day_bounds(day)[0]) for day in run]
    calls = np.split(found.calls, np.searchsorted(found.calls["rang_us"], begin_us[1:]))
    slots = np.split(found.slots, np.searchsorted(found.slots["slot"], [one // (SLOT_S * 1_000_000) for one in begin_us[1:]]))
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO hotline.closed_day (day, layout, wrap_up_s, calls, slots)"
            " VALUES (%(day)s, %(layout)s, %(wrap_up_s)s, %(calls)b, %(slots)b)"
            " ON CONFLICT (day) DO UPDATE SET layout = excluded.layout, wrap_up_s = excluded.wrap_up_s,"
            " calls = excluded.calls, slots = excluded.slots",
            [
                {
                    "day": day,
                    "layout": LAYOUT,
                    "wrap_up_s": wrap_up.total_seconds(),
                    "calls": of_calls.tobytes(),
                    "slots": of_slots.tobytes(),
                }
                for day, of_calls, of_slots in zip(run, calls, slots, strict=True)
            ],
        )


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=count) for count in range((last - first).days + 1)]
