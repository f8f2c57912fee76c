"""Reads the calls that came in as the figures see them: one row a call, whatever happened to it on the way."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fleet.database import Connection
from hotline.accounts import Agent
from hotline.counted_calls import CALL, FLOORS, Calls, from_us, to_us
from hotline.floors import Floor
from hotline.masking import FORGOTTEN
from hotline.occupancy import Span
from hotline.opening import ZONE, Opening
from hotline.roles import level_of
from hotline.stored_call import LONGEST_TALK, LONGEST_WAIT

# A shop that was answered this long ago and rings again has something that was not solved.
REPEAT_WITHIN: Final = timedelta(days=7)


class Doing(StrEnum):
    """What an agent who is there does."""

    SPEAKING = "speaking"
    WRAPPING_UP = "wrapping_up"
    FREE = "free"


_CALLS: Final = """
    WITH asked AS (
        SELECT c.id, c.rang_at, c.answered_at, c.ended_at, c.answered_by, c.manual,
               -- The shop where it is known, else the number; whose is withheld or forgotten is nobody in particular.
               coalesce(c.point_of_sale, nullif(nullif(c.from_number, ''), %(forgotten)s)) AS caller
        FROM hotline.call c
        WHERE c.direction IS DISTINCT FROM 'out' AND c.rang_at >= %(earliest)s AND c.rang_at < %(until)s
    ), told AS (
        SELECT a.*, a.caller IS NOT NULL AND coalesce(bool_or(a.answered_at IS NOT NULL) OVER (
                   PARTITION BY a.caller ORDER BY a.rang_at
                   RANGE BETWEEN %(repeat_within)s PRECEDING AND CURRENT ROW EXCLUDE CURRENT ROW), false) AS repeat
        FROM asked a
    ), part AS (
        -- A call is often qualified while it is still spoken: that ends the work after it, never the speech.
        SELECT l.*, l.kind = 'agent' AND l.answered_at IS NOT NULL AS had_it, coalesce(l.ended_at, t.ended_at) AS over_at
        FROM hotline.leg l JOIN told t ON t.id = l.call WHERE t.rang_at >= %(since)s
    ), last AS (
        -- Where the call came out: with the last who spoke to the caller, else where it waited last.
        SELECT DISTINCT ON (call) call, floor, level, agent FROM part ORDER BY call, had_it DESC, number DESC
    ), parts AS (
        SELECT call, bool_or(outcome = 'overflowed') AS overflowed,
               sum(extract(epoch FROM
                   least(greatest(coalesce(wrapped_at, %(now)s), over_at), over_at + %(wrap_up)s) - answered_at)::float8)
                   FILTER (WHERE had_it) AS handled_s
        FROM part GROUP BY call
    )
    SELECT t.id, (extract(epoch FROM t.rang_at) * 1000000)::bigint,
           greatest(0, extract(epoch FROM coalesce(t.answered_at, t.ended_at, %(now)s) - t.rang_at))::float8,
           -- Of a call whose parts nobody told: how long it was spoken.
           CASE WHEN t.answered_at IS NULL OR t.ended_at IS NULL THEN 'NaN'
                ELSE greatest(0, coalesce(p.handled_s, extract(epoch FROM t.ended_at - t.answered_at)::float8)) END,
           CASE WHEN t.answered_at IS NULL THEN 0 ELSE coalesce(l.agent, t.answered_by, 0) END,
           CASE WHEN l.floor = 'overflow' THEN %(overflow)s ELSE %(own)s END,
           coalesce(l.level, CASE WHEN t.answered_at IS NULL OR t.answered_by IS NULL THEN 1 ELSE 0 END),
           CASE q.outcome = 'solved' WHEN true THEN 1 WHEN false THEN 0 ELSE -1 END,
           false, t.manual, t.answered_at IS NOT NULL, t.ended_at IS NOT NULL, coalesce(p.overflowed, false), t.repeat
    FROM told t
    LEFT JOIN last l ON l.call = t.id
    LEFT JOIN parts p ON p.call = t.id
    LEFT JOIN hotline.qualification q ON q.call = t.id
    WHERE t.rang_at >= %(since)s ORDER BY t.rang_at, t.id
"""


def read_calls(conn: Connection, *, since: datetime, until: datetime, wrap_up: timedelta, now: datetime) -> NDArray[np.void]:
    """The calls that came in within the period as rows of `CALL`, oldest first.

    The work after a call lasts no longer than `wrap_up`. What is known only when they are counted is left to `settle`.
    """
    found = conn.execute(
        _CALLS,
        {
            "since": since,
            "until": until,
            "earliest": since - REPEAT_WITHIN,
            "repeat_within": REPEAT_WITHIN,
            "forgotten": FORGOTTEN,
            "wrap_up": wrap_up,
            "now": now,
            "own": FLOORS.index(Floor.OWN),
            "overflow": FLOORS.index(Floor.OVERFLOW),
        },
    ).fetchall()
    return np.array(found, dtype=CALL)


def settle(table: NDArray[np.void], *, opening: Opening, staff: Mapping[int, Agent], now: datetime) -> Calls:
    """Fill in what depends on the moment, the calendar and the staff.

    Whether the hotline was open, how long callers wait who still do, and where calls came out of which no legs are known: at
    their agent's floor and level. `table` is written to.
    """
    rang_us = table["rang_us"]
    table["in_hours"] = _are_open(opening, rang_us)
    waiting = ~(table["answered"] | table["over"])
    table["wait_s"][waiting] = np.maximum(0.0, (to_us(now) - rang_us[waiting]) / 1e6)
    for place in np.flatnonzero(table["level"] == 0):
        agent = staff.get(int(table["agent"][place]))
        table["level"][place] = level_of(agent.role) if agent else 1
        table["floor"][place] = FLOORS.index(agent.floor if agent else Floor.OWN)
    return Calls(table)


def _are_open(opening: Opening, at_us: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the hotline is open at each of these moments, as `Opening.is_open` says it of one."""
    if not len(at_us):
        return np.zeros(0, dtype=bool)
    first, last = (from_us(int(one)).astimezone(ZONE).date() for one in (at_us.min(), at_us.max()))
    days = [first + timedelta(days=count) for count in range(-1, (last - first).days + 1)]
    hours = np.array([[to_us(start), to_us(end)] for start, end in map(opening.hours_of, days)])
    # No day's end reaches the next one's opening.
    place = np.searchsorted(hours[:, 0], at_us, side="right") - 1
    is_open: NDArray[np.bool_] = (place >= 0) & (at_us < hours[place, 1])
    return is_open


def busy_spans(conn: Connection, *, since: datetime, until: datetime, wrap_up: timedelta, now: datetime) -> dict[int, list[Span]]:
    """When each agent was on a call or at the work after it, of what touches the period.

    What goes on lasts until now; nobody is believed to speak for longer than the longest talk.
    """
    found: dict[int, list[Span]] = {}
    for agent, begun, ended in conn.execute(
        """
        SELECT agent, answered_at, CASE WHEN ended_at IS NULL THEN least(answered_at + %(talk)s, %(now)s)
            ELSE least(greatest(coalesce(wrapped_at, %(now)s), ended_at), ended_at + %(wrap_up)s, %(now)s) END
        FROM hotline.leg
        WHERE agent IS NOT NULL AND answered_at IS NOT NULL AND began_at >= %(earliest)s AND began_at < %(until)s
        AND coalesce(ended_at + %(wrap_up)s, %(now)s) >= %(since)s
        """,
        {
            "since": since,
            "until": until,
            "now": now,
            "wrap_up": wrap_up,
            "talk": LONGEST_TALK,
            "earliest": since - LONGEST_TALK - LONGEST_WAIT,
        },
    ):
        found.setdefault(agent, []).append((begun, ended))
    return found


def on_calls(conn: Connection, *, wrap_up: timedelta, now: datetime) -> dict[int, Doing]:
    """The agents who are on a call or at the work after it."""
    rows = conn.execute(
        "SELECT agent, bool_or(ended_at IS NULL) FROM hotline.leg WHERE agent IS NOT NULL AND answered_at IS NOT NULL"
        " AND began_at > %(began)s AND answered_at BETWEEN %(earliest)s AND %(now)s"
        " AND (ended_at IS NULL OR (wrapped_at IS NULL AND ended_at > %(wrapping_since)s)) GROUP BY agent",
        {
            # Only for the index; who waited for long may be spoken to for long.
            "began": now - LONGEST_TALK - LONGEST_WAIT,
            "earliest": now - LONGEST_TALK,
            "now": now,
            "wrapping_since": now - wrap_up,
        },
    )
    return {agent: Doing.SPEAKING if speaks else Doing.WRAPPING_UP for agent, speaks in rows}


def shops_of(conn: Connection, calls: Sequence[int]) -> dict[int, str]:
    """The shops of those of these calls whose shop is known."""
    return dict(
        conn.execute(
            "SELECT id, point_of_sale FROM hotline.call WHERE id = ANY(%(calls)s) AND point_of_sale IS NOT NULL",
            {"calls": list(calls)},
        ).fetchall()
    )
