"""Calls entered by hand while telephony is down, and the times when it was: what no event tells, people do."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from psycopg.rows import class_row

from fleet import registry
from fleet.database import Connection
from fleet.errors import VigieError
from hotline import callbacks
from hotline.calls import choose_point_of_sale
from hotline.phone_numbers import read_number

OLDEST: Final = timedelta(days=7)
LONGEST: Final = timedelta(hours=4)
# A form holds whole minutes.
_SLACK: Final = timedelta(minutes=1)


class ManualError(VigieError):
    """A call or a gap cannot be entered so; `field` names what is wrong."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without telephony (`ended_at` None: it lasts); `calls` were entered by hand meanwhile."""

    id: int
    began_at: datetime
    ended_at: datetime | None
    begun_by: str
    ended_by: str | None
    calls: int


_GAPS = """
    SELECT g.id, g.began_at, g.ended_at, g.begun_by, g.ended_by,
        (SELECT count(*)::integer FROM hotline.call c
         WHERE c.manual AND c.rang_at >= g.began_at AND (g.ended_at IS NULL OR c.rang_at < g.ended_at)) AS calls
    FROM hotline.telephony_gap g
"""


def enter_call(
    conn: Connection, *, caller: str, rang_at: datetime, talked: timedelta, agent: int, agent_name: str, now: datetime
) -> int:
    """Enter a call that an agent took without telephony, and return its id; `caller` is a shop's code or a number.

    The same call sent again, as by a second click, is entered once.

    Raises:
        ManualError: no such shop or number, or times that cannot be.
    """
    if not now - OLDEST <= rang_at <= now + _SLACK:
        raise ManualError("rang_at", f"must lie within the last {OLDEST.days} days")
    if not timedelta(0) <= talked <= LONGEST:
        raise ManualError("minutes", f"at most {LONGEST}")
    if rang_at + talked > now + _SLACK:
        raise ManualError("minutes", "ends later than now")
    number = read_number(caller)
    shop = registry.point_of_sale(conn, caller.strip().upper())
    if number is None and shop is None:
        raise ManualError("caller", "neither a shop's code nor a telephone number")
    known = {
        "id": f"manual {uuid.uuid4()}",
        "number": "" if shop else number,
        "shop": shop.code if shop else None,
        "rang_at": rang_at,
        "ended_at": rang_at + talked,
        "name": agent_name,
        "agent": agent,
    }
    entered = _entered(conn, known)
    if entered is not None:
        return entered
    row = conn.execute(
        "INSERT INTO hotline.call"
        " (call_id, direction, state, from_number, rang_at, answered_at, ended_at, answered_as, answered_by, manual)"
        " VALUES (%(id)s, 'in', 'ended', %(number)s, %(rang_at)s, %(rang_at)s, %(ended_at)s, %(name)s, %(agent)s, true)"
        " RETURNING id",
        known,
    ).fetchone()
    assert row is not None
    call = int(row[0])
    codes = [shop.code] if shop else [one.code for one in registry.find_points_of_sale(conn, phone=number or "")]
    # Of several shops that share the number, whoever reads the call picks one.
    conn.execute(
        "INSERT INTO hotline.call_point_of_sale (call, point_of_sale) SELECT %(call)s, unnest(%(codes)s::text[])",
        {"call": call, "codes": codes},
    )
    if len(codes) == 1:
        choose_point_of_sale(conn, call=call, code=codes[0])
    callbacks.after(conn, call=call, now=now)
    return call


def _entered(conn: Connection, known: Mapping[str, object]) -> int | None:
    """The call that this agent has entered already, of the same caller at the same moment."""
    conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('manual ' || %(agent)s::text, 0))", known)
    row = conn.execute(
        "SELECT c.id FROM hotline.call c WHERE c.manual AND c.answered_by = %(agent)s AND c.rang_at = %(rang_at)s"
        " AND c.from_number = %(number)s AND (%(shop)s::text IS NULL OR c.point_of_sale = %(shop)s)",
        known,
    ).fetchone()
    return int(row[0]) if row else None


def begin_gap(conn: Connection, *, author: str, now: datetime) -> Gap:
    """Note that telephony is down from now on; said again, it changes nothing."""
    conn.execute(
        "INSERT INTO hotline.telephony_gap (began_at, begun_by) VALUES (%(now)s, %(author)s) ON CONFLICT DO NOTHING",
        {"author": author, "now": now},
    )
    found = open_gap(conn)
    assert found is not None
    return found


def end_gap(conn: Connection, *, author: str, now: datetime) -> None:
    """Note that telephony works again; nothing happens where it was not down."""
    conn.execute(
        "UPDATE hotline.telephony_gap SET ended_at = greatest(%(now)s, began_at), ended_by = %(author)s WHERE ended_at IS NULL",
        {"author": author, "now": now},
    )


def open_gap(conn: Connection) -> Gap | None:
    """The gap that lasts, if telephony is down."""
    found = _gaps(conn, "WHERE g.ended_at IS NULL", {})
    return found[0] if found else None


def gaps_between(conn: Connection, *, since: datetime, until: datetime) -> list[Gap]:
    """The times without telephony that touch a period, oldest first."""
    return _gaps(
        conn,
        "WHERE g.began_at < %(until)s AND (g.ended_at IS NULL OR g.ended_at > %(since)s) ORDER BY g.began_at",
        {"since": since, "until": until},
    )


def _gaps(conn: Connection, rest: str, parameters: dict[str, datetime]) -> list[Gap]:
    with conn.cursor(row_factory=class_row(Gap)) as cursor:
        return cursor.execute(_GAPS + rest, parameters).fetchall()
