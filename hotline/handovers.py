"""Callers passed on from level 1 to level 2: who waits, since when in all, and why; the call brings its shop and notes along."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from psycopg.errors import UniqueViolation
from psycopg.rows import class_row

from fleet.database import Connection
from fleet.errors import VigieError
from hotline import work_notices
from hotline.call_state import State
from hotline.occupancy import union
from hotline.roles import RIGHTS, Right, Role
from hotline.stored_call import StoredCall
from hotline.stored_legs import legs_of

LONGEST_REASON: Final = 300
# A caller who hung up while waiting is shown this long, so that somebody calls back.
SHOWN_FOR: Final = timedelta(hours=4)


class HandoverError(VigieError):
    """A caller cannot be passed on or taken over so; `field` names what is wrong."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field


@dataclass(frozen=True, slots=True)
class Handover:
    """A caller passed on; `settled_at` is when somebody took the call or it was withdrawn."""

    id: int
    call: int
    author: str
    author_name: str
    agent: int | None
    at: datetime
    reason: str
    state: Literal["waiting", "taken", "withdrawn"]
    taken_by: int | None
    taken_by_name: str | None
    settled_at: datetime | None


_SELECT = """
    SELECT h.id, h.call, h.author, coalesce(a.name, h.author) AS author_name, h.agent, h.at, h.reason, h.state, h.taken_by,
        t.name AS taken_by_name, h.settled_at
    FROM hotline.handover h LEFT JOIN hotline.agent a ON a.id = h.agent LEFT JOIN hotline.agent t ON t.id = h.taken_by
"""


def hand_over(conn: Connection, *, call: int, reason: str, author: str, agent: int | None, now: datetime) -> Handover:
    """Pass a caller on to level 2, whose screens are told at once.

    Raises:
        HandoverError: there is no such call, it is over, it waits already, or the reason is too long.
    """
    reason = " ".join(reason.split())
    if len(reason) > LONGEST_REASON:
        raise HandoverError("reason", f"has at most {LONGEST_REASON} characters")
    row = conn.execute("SELECT state FROM hotline.call WHERE id = %(call)s", {"call": call}).fetchone()
    if row is None:
        raise HandoverError("call", f"no call {call}")
    if row[0] == State.ENDED:
        raise HandoverError("state", "is over: qualify it as escalated instead")
    try:
        with conn.transaction():
            row = conn.execute(
                "INSERT INTO hotline.handover (call, author, agent, at, reason, state)"
                " VALUES (%(call)s, %(author)s, %(agent)s, %(now)s, %(reason)s, 'waiting') RETURNING id",
                {"call": call, "author": author, "agent": agent, "now": now, "reason": reason},
            ).fetchone()
    except UniqueViolation:
        raise HandoverError("state", "waits for level 2 already") from None
    assert row is not None
    _tell(conn)
    return _one(conn, row[0])


def take_over(conn: Connection, *, handover: int, agent: int, now: datetime) -> Handover:
    """Take a caller who was passed on; `HandoverError` where another was quicker or nobody waits any more."""
    return _settle(conn, handover, "taken", taken_by=agent, now=now)


def taken_by_telephone(conn: Connection, *, call: int) -> None:
    """Settle a call's hand-over once another agent of level 2 has the caller on the line; may be repeated.

    Who asked level 2 by telephone before passing the caller on finds them on the line already.
    """
    settled = conn.execute(
        "UPDATE hotline.handover h SET state = 'taken', taken_by = l.agent, settled_at = greatest(l.answered_at, h.at)"
        " FROM hotline.leg l WHERE h.call = %(call)s AND h.state = 'waiting' AND l.id = ("
        "   SELECT f.id FROM hotline.leg f JOIN hotline.agent b ON b.id = f.agent"
        "   WHERE f.call = h.call AND f.agent IS DISTINCT FROM h.agent AND (f.level = 2 OR b.role = %(level2)s)"
        "   AND f.answered_at IS NOT NULL AND (f.ended_at IS NULL OR f.ended_at > h.at) ORDER BY f.answered_at, f.id LIMIT 1)"
        " RETURNING h.agent",
        {"call": call, "level2": Role.LEVEL2},
    ).fetchone()
    if settled:
        _tell(conn, passed_by=settled[0])


def still_holding(conn: Connection, *, call: int) -> list[str]:
    """Who passed the call on and counts as speaking still although level 2 has the caller, by their names at the source.

    Of calls from a source that tells of no single phones: it tells no release either, so the caller's being taken is one.
    """
    rows = conn.execute(
        "SELECT DISTINCT gave.agent_as FROM hotline.call c JOIN hotline.handover h ON h.call = c.id AND h.state = 'taken'"
        " JOIN hotline.leg gave ON gave.call = c.id AND gave.agent = h.agent"
        " JOIN hotline.leg has ON has.call = c.id AND has.agent = h.taken_by AND has.agent <> h.agent"
        " WHERE c.id = %(call)s AND NOT c.offers AND gave.agent_as <> ''"
        " AND gave.answered_at IS NOT NULL AND gave.ended_at IS NULL AND has.answered_at IS NOT NULL AND has.ended_at IS NULL",
        {"call": call},
    )
    return [name for (name,) in rows]


def withdraw(conn: Connection, *, handover: int, now: datetime) -> Handover:
    """Take back what was passed on: level 1 goes on with the caller."""
    return _settle(conn, handover, "withdrawn", taken_by=None, now=now)


def waiting(conn: Connection, *, now: datetime) -> list[Handover]:
    """Callers who wait for level 2, the first passed on first."""
    return _select(conn, "WHERE h.state = 'waiting' AND h.at > %(since)s ORDER BY h.at, h.id", {"since": now - SHOWN_FOR})


def handovers_of(conn: Connection, *, call: int) -> list[Handover]:
    """Each time a call was passed on, oldest first."""
    return _select(conn, "WHERE h.call = %(call)s ORDER BY h.at, h.id", {"call": call})


def waited_in_all(conn: Connection, call: StoredCall, *, now: datetime) -> timedelta:
    """How long a call's caller has waited up to now: first ring to answer, in queues, and for level 2."""
    over = call.ended_at or now
    spans = [(call.rang_at, call.answered_at or over)]
    spans += [(leg.began_at, leg.answered_at or leg.ended_at or over) for leg in legs_of(conn, call=call.id) if leg.kind == "queue"]
    # Who goes on talking to level 1 after all has waited for nobody.
    spans += [(one.at, min(one.settled_at or over, over)) for one in handovers_of(conn, call=call.id) if one.state != "withdrawn"]
    # Who waits in a queue while being passed on waits once.
    return sum((ended - begun for begun, ended in union(spans)), timedelta())


def _settle(conn: Connection, handover: int, state: str, *, taken_by: int | None, now: datetime) -> Handover:
    changed = conn.execute(
        "UPDATE hotline.handover SET state = %(state)s, taken_by = %(by)s, settled_at = %(now)s"
        " WHERE id = %(id)s AND state = 'waiting' RETURNING agent",
        {"id": handover, "state": state, "by": taken_by, "now": now},
    ).fetchone()
    if changed is None:
        raise HandoverError("handover", f"nobody waits by handover {handover}")
    _tell(conn, passed_by=changed[0])
    return _one(conn, handover)


def _tell(conn: Connection, *, passed_by: int | None = None) -> None:
    """Whoever may take a caller over looks again who waits, and who passed one on, what became of it."""
    agents = () if passed_by is None else (passed_by,)
    work_notices.tell(conn, {"kind": "handovers"}, agents=agents, roles=RIGHTS[Right.TAKE_OVER])


def _one(conn: Connection, handover: int) -> Handover:
    return _select(conn, "WHERE h.id = %(id)s", {"id": handover})[0]


def _select(conn: Connection, rest: str, parameters: dict[str, object]) -> list[Handover]:
    with conn.cursor(row_factory=class_row(Handover)) as cursor:
        return cursor.execute(_SELECT + rest, parameters).fetchall()
