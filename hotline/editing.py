"""Who is about to change a call: a second editor sees the first, and both see when one has saved.

Presence is a row that its screen renews; the notices go out only when somebody comes, saves or leaves.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from psycopg.rows import class_row

from fleet.database import Connection
from hotline import work_notices

# Screens renew their presence every 20 s; browsers let a hidden tab's timers run once a minute.
GONE_AFTER: Final = timedelta(seconds=90)


@dataclass(frozen=True, slots=True)
class Editor:
    """Somebody with the form under their hands."""

    id: int
    name: str


def come(conn: Connection, *, call: int, agent: int, now: datetime) -> list[Editor]:
    """Note that an agent has a call's form under their hands, and return all who have; the others are told of a newcomer."""
    _take_turns(conn, call)
    before = {editor.id for editor in editors_of(conn, call=call, now=now)}
    conn.execute(
        "INSERT INTO hotline.editing (call, agent, seen_at) VALUES (%(call)s, %(agent)s, %(now)s)"
        " ON CONFLICT (call, agent) DO UPDATE SET seen_at = excluded.seen_at",
        {"call": call, "agent": agent, "now": now},
    )
    conn.execute("DELETE FROM hotline.editing WHERE seen_at <= %(gone)s", {"gone": now - GONE_AFTER})
    editors = editors_of(conn, call=call, now=now)
    if agent not in before:
        _tell(conn, call=call, editors=editors)
    return editors


def leave(conn: Connection, *, call: int, agent: int, now: datetime) -> list[Editor]:
    """Note that an agent has left a call's form; who stays is told."""
    _take_turns(conn, call)
    left = conn.execute(
        "DELETE FROM hotline.editing WHERE call = %(call)s AND agent = %(agent)s", {"call": call, "agent": agent}
    ).rowcount
    editors = editors_of(conn, call=call, now=now)
    if left:
        _tell(conn, call=call, editors=editors)
    return editors


def saved(conn: Connection, *, call: int, version: int, by: str, now: datetime) -> None:
    """Tell whoever has the form under their hands that it was saved, and by whom."""
    editors = editors_of(conn, call=call, now=now)
    if editors:
        data = {"kind": "saved", "call": call, "version": version, "by": by}
        work_notices.tell(conn, data, agents=[editor.id for editor in editors])


def editors_of(conn: Connection, *, call: int, now: datetime) -> list[Editor]:
    """Who has a call's form under their hands, by name."""
    with conn.cursor(row_factory=class_row(Editor)) as cursor:
        return cursor.execute(
            "SELECT a.id, a.name FROM hotline.editing e JOIN hotline.agent a ON a.id = e.agent"
            " WHERE e.call = %(call)s AND e.seen_at > %(gone)s ORDER BY a.name, a.id",
            {"call": call, "gone": now - GONE_AFTER},
        ).fetchall()


def _take_turns(conn: Connection, call: int) -> None:
    """Two who come at the same moment see each other."""
    conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('editing ' || %(call)s, 0))", {"call": call})


def _tell(conn: Connection, *, call: int, editors: list[Editor]) -> None:
    shown = [{"id": editor.id, "name": editor.name} for editor in editors]
    work_notices.tell(conn, {"kind": "editors", "call": call, "editors": shown}, agents=[editor.id for editor in editors])
