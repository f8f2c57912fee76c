"""Callbacks: made by calls that nobody answered and by promises, taken on and done by agents, dropped when the shop rings again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, Literal

from psycopg.rows import class_row

from fleet.database import Connection
from fleet.errors import VigieError
from hotline.call_state import State
from hotline.callback_rules import CallFacts, Dropped, Step, due_at, step
from hotline.opening import USUAL_END, ZONE, Opening
from hotline.race_days import opening

CallbackState = Literal["open", "done", "dropped"]


class CallbackError(VigieError):
    """A callback cannot be changed so: it is not open any more, another agent has it, or there is none."""


@dataclass(frozen=True, slots=True)
class Callback:
    """A shop to call back; `reason` says why it was dropped, `agent` who has it or did it, `done_at` when it ended."""

    id: int
    call: int
    made_by_abandon: bool
    point_of_sale: str | None
    number: str
    made_at: datetime
    due_at: datetime
    state: CallbackState
    reason: str
    agent: int | None
    agent_name: str | None
    done_at: datetime | None


_SELECT = (
    "SELECT k.id, k.call, k.made_by_abandon, k.point_of_sale, k.number, k.made_at, k.due_at, k.state, k.reason, k.agent,"
    " a.name AS agent_name, k.done_at FROM hotline.callback k LEFT JOIN hotline.agent a ON a.id = k.agent "
)
# The same shop: by its code where both are known (shops may share a number), else by the number.
_SAME_SHOP = (
    "(({0}.number = %(number)s AND %(number)s <> '') OR {0}.point_of_sale = %(shop)s)"
    " AND ({0}.point_of_sale = %(shop)s) IS NOT FALSE"
)
# Calls of the same shop after the one that made the callback k, in either direction.
_LATER = """
    SELECT o.rang_at, o.answered_by FROM hotline.call c
    JOIN hotline.call o ON o.rang_at >= c.rang_at AND (o.rang_at, o.id) > (c.rang_at, c.id)
    WHERE k.id = ANY(%(ids)s) AND k.state = 'open' AND k.made_by_abandon AND c.id = k.call
    AND ((o.{number} = k.number AND k.number <> '') OR o.point_of_sale = k.point_of_sale)
    AND (o.point_of_sale = k.point_of_sale) IS NOT FALSE
"""
_RANG_SINCE = _LATER.format(number="from_number") + " AND o.direction IS DISTINCT FROM 'out'"
_REACHED_SINCE = _LATER.format(number="to_number") + " AND o.direction = 'out' AND o.answered_at IS NOT NULL"


def after(conn: Connection, *, call: int, now: datetime, usual_end: time = USUAL_END) -> None:
    """Bring callbacks up to date after an event of a call; may be repeated.

    An abandoned call makes one; a shop that rings again needs none for its earlier calls; a shop that we reached has been called.
    """
    row = conn.execute(
        "SELECT direction, state, CASE WHEN direction = 'out' THEN to_number ELSE from_number END, answered_at, ended_at, rang_at,"
        " point_of_sale, answered_by FROM hotline.call WHERE id = %(call)s",
        {"call": call},
    ).fetchone()
    if row is None:
        return
    direction, state, number, answered_at, ended_at, rang_at, shop, answered_by = row
    if not number and shop is None:
        return
    facts = CallFacts(direction, State(state), number, answered_at)
    known = {"call": call, "number": number, "shop": shop, "rang_at": rang_at, "now": now, "usual_end": usual_end}
    # Two calls of one shop at the same moment see each other, by its code or by its number; all take these turns in one order.
    for key in sorted({key for key in (number, shop) if key}):
        conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('callback ' || %(key)s, 0))", {"key": key})
    if direction == "out":
        if answered_at is not None:
            _reached(conn, known, agent=answered_by)
        return
    _drop_earlier(conn, known)
    _settle_own(conn, facts, known, ended_at=ended_at or now)


def look_again(conn: Connection, *, ids: Sequence[int], now: datetime) -> None:
    """Close those of these open callbacks that later calls have settled: the shop rang again, or we reached it.

    What an agent promised stands.
    """
    known = {"ids": list(ids), "reason": Dropped.RANG_AGAIN, "now": now}
    conn.execute(
        f"UPDATE hotline.callback k SET state = 'dropped', reason = %(reason)s, done_at = %(now)s WHERE EXISTS ({_RANG_SINCE})",
        known,
    )
    conn.execute(
        "UPDATE hotline.callback k SET state = 'done', done_at = %(now)s, agent = coalesce(found.answered_by, k.agent) FROM ("
        f" SELECT DISTINCT ON (k.id) k.id, o.answered_by FROM hotline.callback k CROSS JOIN LATERAL ({_REACHED_SINCE}) o"
        " ORDER BY k.id, o.rang_at) found WHERE found.id = k.id",
        known,
    )


def belongs_to(conn: Connection, *, call: int, code: str) -> None:
    """Say which shop a call's callbacks are for."""
    conn.execute("UPDATE hotline.callback SET point_of_sale = %(code)s WHERE call = %(call)s", {"call": call, "code": code})


def promise(conn: Connection, *, call: int, due: datetime, agent: int | None, now: datetime) -> None:
    """Note that an agent promised to call back; a second promise of the same call moves the first."""
    conn.execute(
        "INSERT INTO hotline.callback (call, made_by_abandon, point_of_sale, number, made_at, due_at, state, agent)"
        " SELECT c.id, false, c.point_of_sale, CASE WHEN c.direction = 'out' THEN c.to_number ELSE c.from_number END, %(now)s,"
        " %(due)s, 'open', %(agent)s FROM hotline.call c WHERE c.id = %(call)s"
        # What was done stays done, unless another time is promised.
        " ON CONFLICT (call, made_by_abandon) DO UPDATE SET due_at = excluded.due_at, agent = excluded.agent, state = 'open',"
        " reason = '', done_at = NULL WHERE callback.state = 'dropped' OR callback.due_at <> excluded.due_at",
        {"call": call, "due": due, "agent": agent, "now": now},
    )


def promised_at(conn: Connection, *, call: int) -> datetime | None:
    """For when a call's shop was promised to be called back."""
    row = conn.execute(
        "SELECT due_at FROM hotline.callback WHERE call = %(call)s AND NOT made_by_abandon", {"call": call}
    ).fetchone()
    return row[0] if row else None


def take_back_promise(conn: Connection, *, call: int, now: datetime) -> None:
    """Drop what was promised for a call, if it is still open: it was qualified otherwise since."""
    conn.execute(
        "UPDATE hotline.callback SET state = 'dropped', reason = %(reason)s, done_at = %(now)s"
        " WHERE call = %(call)s AND NOT made_by_abandon AND state = 'open'",
        {"call": call, "reason": Dropped.REQUALIFIED, "now": now},
    )


def take(conn: Connection, *, callback: int, agent: int) -> Callback:
    """Take a callback on, so that nobody else calls too; `CallbackError` where somebody has it, or it is not open."""
    return _change(conn, callback, "agent = %(agent)s", "k.agent IS NULL OR k.agent = %(agent)s", {"agent": agent})


def give_back(conn: Connection, *, callback: int, agent: int) -> Callback:
    """Leave a callback to the others again."""
    return _change(conn, callback, "agent = NULL", "k.agent = %(agent)s", {"agent": agent})


def done(conn: Connection, *, callback: int, agent: int | None, now: datetime) -> Callback:
    """Say that the shop was called."""
    return _change(
        conn,
        callback,
        "state = 'done', agent = coalesce(%(agent)s, agent), done_at = %(now)s",
        "true",
        {"agent": agent, "now": now},
    )


def drop(conn: Connection, *, callback: int, agent: int | None, now: datetime) -> Callback:
    """Say that the shop need not be called."""
    changes = "state = 'dropped', reason = %(reason)s, agent = coalesce(%(agent)s, agent), done_at = %(now)s"
    return _change(conn, callback, changes, "true", {"agent": agent, "now": now, "reason": Dropped.NOT_NEEDED})


def open_callbacks(conn: Connection, *, point_of_sale: str | None = None) -> list[Callback]:
    """Shops to call back, the most urgent first: all, or one shop's."""
    return _select(
        conn,
        "WHERE k.state = 'open' AND (%(shop)s::text IS NULL OR k.point_of_sale = %(shop)s) ORDER BY k.due_at, k.id",
        {"shop": point_of_sale},
    )


def callback_of(conn: Connection, *, call: int) -> Callback | None:
    """What a call has led to: the promise, else what its abandonment made."""
    found = _select(conn, "WHERE k.call = %(call)s ORDER BY k.made_by_abandon LIMIT 1", {"call": call})
    return found[0] if found else None


def list_callbacks(
    conn: Connection, *, state: CallbackState | None = None, before: int | None = None, limit: int = 50
) -> list[Callback]:
    """Callbacks, newest first: in one state, older than the callback `before`."""
    return _select(
        conn,
        "WHERE (%(state)s::text IS NULL OR k.state = %(state)s) AND (%(before)s::bigint IS NULL OR k.id < %(before)s)"
        " ORDER BY k.id DESC LIMIT %(limit)s",
        {"state": state, "before": before, "limit": limit},
    )


def ended_since(conn: Connection, *, since: datetime, limit: int) -> list[Callback]:
    """Callbacks done or dropped lately, newest first."""
    return _select(
        conn, "WHERE k.done_at >= %(since)s ORDER BY k.done_at DESC, k.id DESC LIMIT %(limit)s", {"since": since, "limit": limit}
    )


def _drop_earlier(conn: Connection, known: Mapping[str, Any]) -> None:
    """The shop rings again: its earlier calls that nobody answered need no callback."""
    conn.execute(
        "UPDATE hotline.callback k SET state = 'dropped', reason = %(reason)s, done_at = %(now)s FROM hotline.call o"
        " WHERE o.id = k.call AND k.state = 'open' AND k.made_by_abandon AND (o.rang_at, o.id) < (%(rang_at)s, %(call)s)"
        f" AND {_SAME_SHOP.format('k')}",
        {**known, "reason": Dropped.RANG_AGAIN},
    )


def _settle_own(conn: Connection, facts: CallFacts, known: Mapping[str, Any], *, ended_at: datetime) -> None:
    """What this call itself has made, or makes now."""
    has_one = conn.execute("SELECT FROM hotline.callback WHERE call = %(call)s AND made_by_abandon", known).fetchone() is not None
    match step(facts, has_one=has_one):
        case Step.MAKE:
            row = conn.execute(
                "INSERT INTO hotline.callback (call, made_by_abandon, point_of_sale, number, made_at, due_at, state)"
                " VALUES (%(call)s, true, %(shop)s, %(number)s, %(now)s, %(due)s, 'open') RETURNING id",
                {**known, "due": due_at(ended_at, _opening(conn, ended_at, known["usual_end"]))},
            ).fetchone()
            assert row is not None
            # Its end may be told, or found out, long after.
            look_again(conn, ids=[row[0]], now=known["now"])
        case Step.DROP_ANSWERED:
            conn.execute(
                "UPDATE hotline.callback SET state = 'dropped', reason = %(reason)s, done_at = %(now)s"
                " WHERE call = %(call)s AND made_by_abandon AND state = 'open'",
                {**known, "reason": Dropped.ANSWERED_AFTER_ALL},
            )


def _opening(conn: Connection, at: datetime, usual_end: time) -> Opening:
    """When the hotline is open on that day and the next."""
    today = at.astimezone(ZONE).date()
    return opening(conn, first=today, last=today + timedelta(days=1), usual_end=usual_end)


def _reached(conn: Connection, known: Mapping[str, Any], *, agent: int | None) -> None:
    """We rang the shop and it answered: what was to be called back has been."""
    conn.execute(
        "UPDATE hotline.callback k SET state = 'done', done_at = %(now)s, agent = coalesce(%(agent)s, k.agent)"
        f" WHERE k.state = 'open' AND k.made_at <= %(rang_at)s AND {_SAME_SHOP.format('k')}",
        {**known, "agent": agent},
    )


def _change(conn: Connection, callback: int, changes: str, condition: str, values: Mapping[str, Any]) -> Callback:
    changed = conn.execute(
        f"UPDATE hotline.callback k SET {changes} WHERE k.id = %(id)s AND k.state = 'open' AND ({condition})",
        {"id": callback, **values},
    ).rowcount
    if not changed:
        raise CallbackError(f"callback {callback} is not open, or another agent has it")
    return _select(conn, "WHERE k.id = %(id)s", {"id": callback})[0]


def _select(conn: Connection, rest: str, parameters: Mapping[str, Any]) -> list[Callback]:
    with conn.cursor(row_factory=class_row(Callback)) as cursor:
        return cursor.execute(_SELECT + rest, parameters).fetchall()
