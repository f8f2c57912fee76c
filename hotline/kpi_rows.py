"""Reads the calls that came in as the figures see them: one row a call, whatever happened to it on the way."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from fleet.database import Connection
from hotline.kpi import CallRow
from hotline.masking import FORGOTTEN
from hotline.occupancy import Span
from hotline.opening import Opening
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
    SELECT t.id, t.rang_at, t.answered_at, t.ended_at, coalesce(l.floor, g.floor, 'own'),
           coalesce(l.level, CASE WHEN g.role = 'level2' THEN 2 ELSE 1 END), coalesce(l.agent, t.answered_by),
           coalesce(p.overflowed, false), p.handled_s, q.outcome = 'solved', t.repeat, t.manual
    FROM told t
    LEFT JOIN last l ON l.call = t.id
    LEFT JOIN parts p ON p.call = t.id
    LEFT JOIN hotline.agent g ON g.id = t.answered_by
    LEFT JOIN hotline.qualification q ON q.call = t.id
    WHERE t.rang_at >= %(since)s ORDER BY t.rang_at, t.id
"""


def read_rows(
    conn: Connection, *, since: datetime, until: datetime, opening: Opening, wrap_up: timedelta, now: datetime
) -> list[CallRow]:
    """The calls that came in within the period, oldest first; the work after a call lasts no longer than `wrap_up`."""
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
        },
    ).fetchall()
    return [
        CallRow(
            call=call,
            rang_at=rang_at,
            in_hours=opening.is_open(rang_at),
            by_hand=manual,
            answered=answered_at is not None,
            over=ended_at is not None,
            wait_s=max(0.0, ((answered_at or ended_at or now) - rang_at).total_seconds()),
            handled_s=_handled_s(handled_s, answered_at, ended_at),
            floor=floor,
            level=level,
            agent=agent if answered_at else None,
            overflowed=overflowed,
            solved=solved,
            repeat=repeat,
        )
        for call, rang_at, answered_at, ended_at, floor, level, agent, overflowed, handled_s, solved, repeat, manual in found
    ]


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


def _handled_s(by_parts: float | None, answered_at: datetime | None, ended_at: datetime | None) -> float | None:
    """How long the call kept us; of one whose parts nobody told, how long it was spoken."""
    if answered_at is None or ended_at is None:
        return None
    return max(0.0, by_parts if by_parts is not None else (ended_at - answered_at).total_seconds())


def shops_of(conn: Connection, calls: Sequence[int]) -> dict[int, str]:
    """The shops of those of these calls whose shop is known."""
    return dict(
        conn.execute(
            "SELECT id, point_of_sale FROM hotline.call WHERE id = ANY(%(calls)s) AND point_of_sale IS NOT NULL",
            {"calls": list(calls)},
        ).fetchall()
    )
