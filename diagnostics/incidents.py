"""Incidents: one cause, one scope, the terminals it touches, and every step of its life as an event row.

For now people declare them. A terminal that comes to meet the scope of an open incident joins it; none leaves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from fleet.database import Connection
from fleet.errors import VigieError
from fleet.registry import Terminal, all_terminals
from fleet.scope import check_scope, in_scope


class IncidentError(VigieError):
    """An incident cannot be declared or moved on; `field` names what is wrong."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident; `terminals` counts those it touches."""

    id: int
    state: Literal["open", "acknowledged", "closed"]
    scope: dict[str, str]
    title: str
    advice: str
    opened_at: datetime
    closed_at: datetime | None
    terminals: int


# The system itself, where an event has no human actor.
WATCH_ACTOR = "watch"

_INCIDENT = """
    SELECT i.id, i.state, i.scope, i.title, i.advice, i.opened_at, i.closed_at,
        (SELECT count(*) FROM diagnostics.incident_terminal n WHERE n.incident_id = i.id)::integer AS terminals
    FROM diagnostics.incident i
"""


def declare(conn: Connection, *, scope: Mapping[str, str], title: str, advice: str, actor: str, now: datetime) -> Incident:
    """Open an incident over every terminal that meets `scope`.

    Raises:
        ScopeError: names the dimension or value that the registry does not have, and lists what it has.
        IncidentError: the title is empty, or no terminal meets all conditions at once.
    """
    if not title.strip():
        raise IncidentError("title", "say in a few words what is wrong")
    fleet = all_terminals(conn)
    check_scope(scope, fleet)
    touched = in_scope(scope, fleet)
    if not touched:
        raise IncidentError("scope", "each value is known, but no terminal meets all of them at once")
    row = conn.execute(
        "INSERT INTO diagnostics.incident (state, scope, title, advice, opened_at)"
        " VALUES ('open', %(scope)s, %(title)s, %(advice)s, %(now)s) RETURNING id",
        {"scope": Jsonb(dict(scope)), "title": title.strip(), "advice": advice.strip(), "now": now},
    ).fetchone()
    assert row is not None  # INSERT … RETURNING gives its row
    _add_terminals(conn, incident_id=row[0], terminals=touched, now=now)
    _record(conn, incident_id=row[0], kind="declared", actor=actor, detail=f"{len(touched)} terminals", now=now)
    return incident(conn, row[0])


def acknowledge(conn: Connection, incident_id: int, *, actor: str, now: datetime) -> Incident:
    """Say that somebody has taken an open incident on; doing so twice changes nothing."""
    moved = conn.execute(
        "UPDATE diagnostics.incident SET state = 'acknowledged' WHERE id = %(id)s AND state = 'open'", {"id": incident_id}
    ).rowcount
    if moved:
        _record(conn, incident_id=incident_id, kind="acknowledged", actor=actor, detail="", now=now)
    return incident(conn, incident_id)


def resolve(conn: Connection, incident_id: int, *, actor: str, detail: str, now: datetime) -> Incident:
    """Close an incident, saying how; doing so twice changes nothing."""
    moved = conn.execute(
        "UPDATE diagnostics.incident SET state = 'closed', closed_at = %(now)s WHERE id = %(id)s AND state <> 'closed'",
        {"id": incident_id, "now": now},
    ).rowcount
    if moved:
        _record(conn, incident_id=incident_id, kind="resolved", actor=actor, detail=detail, now=now)
    return incident(conn, incident_id)


def incident(conn: Connection, incident_id: int) -> Incident:
    """One incident, whatever its state; `IncidentError` where there is none."""
    with conn.cursor(row_factory=class_row(Incident)) as cursor:
        found = cursor.execute(_INCIDENT + "WHERE i.id = %(id)s", {"id": incident_id}).fetchone()
    if found is None:
        raise IncidentError("id", f"there is no incident {incident_id}")
    return found


def open_incidents(conn: Connection) -> list[Incident]:
    """What is going on, newest first; acknowledged ones are still open to the shopkeeper."""
    with conn.cursor(row_factory=class_row(Incident)) as cursor:
        return cursor.execute(_INCIDENT + "WHERE i.state <> 'closed' ORDER BY i.opened_at DESC, i.id DESC").fetchall()


def list_incidents(conn: Connection, *, is_open: bool | None = None, before: int | None = None, limit: int) -> list[Incident]:
    """Incidents by id, the newest first: open ones (acknowledged included), closed ones or all, older than `before`."""
    with conn.cursor(row_factory=class_row(Incident)) as cursor:
        return cursor.execute(
            _INCIDENT + "WHERE (%(open)s::boolean IS NULL OR (i.state <> 'closed') = %(open)s)"
            " AND (%(before)s::bigint IS NULL OR i.id < %(before)s) ORDER BY i.id DESC LIMIT %(limit)s",
            {"open": is_open, "before": before, "limit": limit},
        ).fetchall()


def open_incidents_of(conn: Connection, terminals: Sequence[str]) -> dict[str, list[Incident]]:
    """The incidents that touch each of these terminals, newest first; a terminal without one has an empty list."""
    found: dict[str, list[Incident]] = {terminal: [] for terminal in terminals}
    rows = conn.execute(
        "SELECT n.terminal_id, n.incident_id FROM diagnostics.incident_terminal n"
        " JOIN diagnostics.incident i ON i.id = n.incident_id AND i.state <> 'closed'"
        " WHERE n.terminal_id = ANY(%(ids)s)",
        {"ids": list(terminals)},
    ).fetchall()
    touching: dict[int, list[str]] = {}
    for terminal, incident_id in rows:
        touching.setdefault(incident_id, []).append(terminal)
    if touching:
        for one in open_incidents(conn):
            for terminal in touching.get(one.id, ()):
                found[terminal].append(one)
    return found


def join_terminals(conn: Connection, *, fleet: Sequence[Terminal], now: datetime) -> int:
    """Add to each open incident the terminals that have come to meet its scope; returns how many joined."""
    joined = 0
    for one in open_incidents(conn):
        count = _add_terminals(conn, incident_id=one.id, terminals=in_scope(one.scope, fleet), now=now)
        if count:
            _record(conn, incident_id=one.id, kind="joined", actor=WATCH_ACTOR, detail=f"{count} terminals", now=now)
        joined += count
    return joined


def _add_terminals(conn: Connection, *, incident_id: int, terminals: Sequence[Terminal], now: datetime) -> int:
    return conn.execute(
        "INSERT INTO diagnostics.incident_terminal (incident_id, terminal_id, joined_at)"
        " SELECT %(id)s, unnest(%(terminals)s::text[]), %(now)s ON CONFLICT DO NOTHING",
        {"id": incident_id, "terminals": [terminal.id for terminal in terminals], "now": now},
    ).rowcount


def _record(conn: Connection, *, incident_id: int, kind: str, actor: str, detail: str, now: datetime) -> None:
    conn.execute(
        "INSERT INTO diagnostics.incident_event (incident_id, at, kind, actor, detail)"
        " VALUES (%(id)s, %(now)s, %(kind)s, %(actor)s, %(detail)s)",
        {"id": incident_id, "now": now, "kind": kind, "actor": actor, "detail": detail},
    )
