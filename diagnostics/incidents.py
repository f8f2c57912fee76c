"""Incidents: one cause, one scope, the terminals it touches, and every step of its life as an event row.

The watch finds most of them (`diagnostics.incident_store` writes what it finds), people declare the others; here is what
people do to both, and what pages and programs read. A terminal that comes to meet the scope of an open incident joins it.
An incident that the watch found has a trouble and no title: `diagnostics.wording` words it in the reader's language.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from psycopg.rows import class_row, kwargs_row
from psycopg.types.json import Jsonb

from diagnostics.notices.outbox import enqueue
from diagnostics.troubles import Trouble
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
    """An incident; `terminals` counts those it touches, `hits` those that show it now, `worst_hits` those that did at the worst.

    `trouble` is None where a person declared it; `began_at` is the first sign, `opened_at` when we said so. `muted`: under
    announced maintenance, told to nobody. `latched`: it comes and goes, and stays open until it stays away. `parent_id`: the
    wider incident it is part of, or (closed) was merged into. `evidence` is `diagnostics.scan.why.Evidence` as JSON, or empty.
    `told`: a notice of it, or of the wider one, reached a receiver, who has not been told of its end since.
    """

    id: int
    state: Literal["open", "acknowledged", "clearing", "closed"]
    scope: dict[str, str]
    title: str
    advice: str
    opened_at: datetime
    closed_at: datetime | None
    terminals: int
    trouble: Trouble | None
    began_at: datetime
    clearing_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    score: float | None
    hits: int
    worst_hits: int
    reopened: int
    latched: bool
    muted: bool
    parent_id: int | None
    evidence: dict[str, Any]
    told: bool


@dataclass(frozen=True, slots=True)
class IncidentEvent:
    """One step of an incident's life; `detail` is what a person said, `data` what the watch has to tell, by kind.

    `opened`, `grew`, `reopened`, …: {"terminals", "hits"}; `scope`: also {"from": the scope before, "to": …,
    "trouble"}, {"trouble_from"}; `merged`, `parent`: {"into": incident id}. `replayed`: stored long after `at`, while the watch
    caught up.
    """

    id: int
    incident_id: int
    at: datetime
    kind: str
    actor: str
    detail: str
    data: dict[str, Any]
    replayed: bool


@dataclass(frozen=True, slots=True)
class SilentVictim:
    """A shop that is hit and has not rung; `since` is its first terminal's first sign."""

    point_of_sale: str
    shop: str
    department: str
    terminals: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute of an incident's plots: who showed it of those who could have, inside its scope and outside.

    `z` is, of each leading metric, the mean deviation inside and outside: {"rtt_ms": [4.1, 0.1]}.
    """

    at: datetime
    inside_hit: float
    inside: float
    outside_hit: float
    outside: float
    z: dict[str, list[float]]


# The system itself, where an event has no human actor.
WATCH_ACTOR = "watch"
# Hears the id of every incident to which something happened.
CHANNEL: Final = "vigie_incident"
# Who rings so long after an incident's end still rings about it.
RINGS_WITHIN: Final = timedelta(hours=1)

# The topic that holds each incident's state tells nobody by itself: there may be no reader.
_COLUMNS = """
    i.id, i.state, i.scope, i.title, i.advice, i.opened_at, i.closed_at, i.trouble, i.began_at, i.clearing_at, i.acknowledged_at,
    i.acknowledged_by, i.score, i.hits, i.worst_hits, i.reopened, i.latched, i.muted, i.parent_id, i.evidence,
    (SELECT count(*) FROM diagnostics.incident_terminal n WHERE n.incident_id = i.id)::integer AS terminals,
    EXISTS (
        SELECT FROM diagnostics.notice n
        WHERE n.incident_id IN (i.id, i.parent_id) AND n.channel <> 'mqtt' AND n.state = 'sent' AND n.reason <> 'over'
            AND NOT EXISTS (
                SELECT FROM diagnostics.notice o
                WHERE o.incident_id = n.incident_id AND o.channel = n.channel AND o.id > n.id AND o.state = 'sent'
                    AND o.reason = 'over')
    ) AS told
"""
_INCIDENT = f"SELECT {_COLUMNS} FROM diagnostics.incident i "


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
        "INSERT INTO diagnostics.incident (state, scope, title, advice, opened_at, began_at)"
        " VALUES ('open', %(scope)s, %(title)s, %(advice)s, %(now)s, %(now)s) RETURNING id",
        {"scope": Jsonb(dict(scope)), "title": title.strip(), "advice": advice.strip(), "now": now},
    ).fetchone()
    assert row is not None  # INSERT … RETURNING gives its row
    _add_terminals(conn, incident_id=row[0], terminals=touched, now=now)
    record(conn, incident_id=row[0], kind="declared", actor=actor, now=now, data={"terminals": len(touched)})
    return incident(conn, row[0])


def acknowledge(conn: Connection, incident_id: int, *, actor: str, now: datetime) -> Incident:
    """Say that somebody has taken an incident on; doing so twice changes nothing."""
    moved = conn.execute(
        "UPDATE diagnostics.incident SET acknowledged_at = %(now)s, acknowledged_by = %(actor)s,"
        " state = CASE state WHEN 'open' THEN 'acknowledged' ELSE state END"
        " WHERE id = %(id)s AND state IN ('open', 'clearing') AND acknowledged_at IS NULL",
        {"id": incident_id, "actor": actor, "now": now},
    ).rowcount
    if moved:
        record(conn, incident_id=incident_id, kind="acknowledged", actor=actor, now=now)
    return incident(conn, incident_id)


def comment(conn: Connection, incident_id: int, *, actor: str, text: str, now: datetime) -> Incident:
    """Add a person's words to an incident's history, whatever its state; `IncidentError` where there are none."""
    if not text.strip():
        raise IncidentError("text", "a comment needs words")
    found = incident(conn, incident_id)
    record(conn, incident_id=incident_id, kind="commented", actor=actor, detail=text.strip(), now=now)
    return found


def resolve(conn: Connection, incident_id: int, *, actor: str, detail: str, now: datetime) -> Incident:
    """Close an incident, saying how; doing so twice changes nothing. One that goes on showing is reopened by the watch."""
    moved = conn.execute(
        # What did not clear by itself is left alone for a while by the watch, also after a restart.
        "UPDATE diagnostics.incident SET state = 'closed', closed_at = %(now)s, clearing_at = NULL, latched = false"
        " WHERE id = %(id)s AND state <> 'closed'",
        {"id": incident_id, "now": now},
    ).rowcount
    if moved:
        record(conn, incident_id=incident_id, kind="resolved", actor=actor, detail=detail, now=now)
    return incident(conn, incident_id)


def reopen(conn: Connection, incident_id: int, *, actor: str, detail: str, now: datetime) -> Incident:
    """Open a closed incident again, saying why; an open one stays as it is.

    Raises:
        IncidentError: it was merged into another, which lives on in its place.
    """
    merged = conn.execute(
        "SELECT parent_id FROM diagnostics.incident i WHERE id = %(id)s AND state = 'closed'"
        " AND EXISTS (SELECT FROM diagnostics.incident_event e WHERE e.incident_id = i.id AND e.kind = 'merged')",
        {"id": incident_id},
    ).fetchone()
    if merged:
        raise IncidentError("id", f"incident {incident_id} was merged into {merged[0]}")
    moved = conn.execute(
        "UPDATE diagnostics.incident SET state = 'open', closed_at = NULL, clearing_at = NULL, acknowledged_at = NULL,"
        " acknowledged_by = NULL, reopened = reopened + 1 WHERE id = %(id)s AND state = 'closed'",
        {"id": incident_id},
    ).rowcount
    if moved:
        record(conn, incident_id=incident_id, kind="reopened", actor=actor, detail=detail, now=now)
    return incident(conn, incident_id)


def incident(conn: Connection, incident_id: int) -> Incident:
    """One incident, whatever its state; `IncidentError` where there is none."""
    with conn.cursor(row_factory=kwargs_row(_made)) as cursor:
        found = cursor.execute(_INCIDENT + "WHERE i.id = %(id)s", {"id": incident_id}).fetchone()
    if found is None:
        raise IncidentError("id", f"there is no incident {incident_id}")
    return found


def incidents_named(conn: Connection, ids: Sequence[int]) -> list[Incident]:
    """These incidents, whatever their state, newest first."""
    with conn.cursor(row_factory=kwargs_row(_made)) as cursor:
        return cursor.execute(_INCIDENT + "WHERE i.id = ANY(%(ids)s) ORDER BY i.id DESC", {"ids": list(ids)}).fetchall()


def open_incidents(conn: Connection) -> list[Incident]:
    """What is going on, newest first; acknowledged ones are still open to the shopkeeper."""
    with conn.cursor(row_factory=kwargs_row(_made)) as cursor:
        return cursor.execute(_INCIDENT + "WHERE i.state <> 'closed' ORDER BY i.opened_at DESC, i.id DESC").fetchall()


def list_incidents(
    conn: Connection,
    *,
    is_open: bool | None = None,
    states: Sequence[str] | None = None,
    trouble: str | None = None,
    dimension: str | None = None,
    value: str | None = None,
    since: datetime | None = None,
    before: int | None = None,
    limit: int,
) -> list[Incident]:
    """Incidents by id, the newest first, that meet everything given.

    `is_open` counts every state but closed. `trouble` "" means declared by a person. `dimension`: the scope names it, with this
    `value` where one is given. `since`: still open, or closed after it. `before`: an older id.
    """
    with conn.cursor(row_factory=kwargs_row(_made)) as cursor:
        return cursor.execute(
            _INCIDENT + "WHERE (%(open)s::boolean IS NULL OR (i.state <> 'closed') = %(open)s)"
            " AND (%(states)s::text[] IS NULL OR i.state = ANY(%(states)s))"
            " AND (%(trouble)s::text IS NULL OR coalesce(i.trouble, '') = %(trouble)s)"
            " AND (%(dimension)s::text IS NULL OR i.scope ? %(dimension)s)"
            " AND (%(value)s::text IS NULL OR i.scope ->> %(dimension)s = %(value)s)"
            " AND (%(since)s::timestamptz IS NULL OR i.closed_at IS NULL OR i.closed_at >= %(since)s)"
            " AND (%(before)s::bigint IS NULL OR i.id < %(before)s) ORDER BY i.id DESC LIMIT %(limit)s",
            {
                "open": is_open,
                "states": None if states is None else list(states),
                "trouble": trouble,
                "dimension": dimension,
                "value": value,
                "since": since,
                "before": before,
                "limit": limit,
            },
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
            record(conn, incident_id=one.id, kind="joined", actor=WATCH_ACTOR, data={"terminals": count}, now=now)
        joined += count
    return joined


def children_of(conn: Connection, incident_id: int) -> list[Incident]:
    """The incidents that are part of this one, or were merged into it, oldest first."""
    with conn.cursor(row_factory=kwargs_row(_made)) as cursor:
        return cursor.execute(_INCIDENT + "WHERE i.parent_id = %(id)s ORDER BY i.id", {"id": incident_id}).fetchall()


def events_of(conn: Connection, incident_id: int) -> list[IncidentEvent]:
    """Every step of an incident's life, oldest first."""
    with conn.cursor(row_factory=class_row(IncidentEvent)) as cursor:
        return cursor.execute(
            "SELECT id, incident_id, at, kind, actor, detail, data, replayed FROM diagnostics.incident_event"
            " WHERE incident_id = %(id)s ORDER BY at, id",
            {"id": incident_id},
        ).fetchall()


def minutes_of(conn: Connection, incident_id: int) -> list[Minute]:
    """What an incident's plots show, oldest first; a declared one has none."""
    with conn.cursor(row_factory=class_row(Minute)) as cursor:
        return cursor.execute(
            "SELECT at, inside_hit, inside, outside_hit, outside, z FROM diagnostics.incident_minute"
            " WHERE incident_id = %(id)s ORDER BY at",
            {"id": incident_id},
        ).fetchall()


def record(
    conn: Connection,
    *,
    incident_id: int,
    kind: str,
    actor: str,
    now: datetime,
    detail: str = "",
    data: Mapping[str, Any] | None = None,
    replayed: bool = False,
    tell: bool = True,
) -> int:
    """Add one step to an incident's history, and let `CHANNEL` hear of it when the caller commits; returns the event's id.

    With `tell` the IT department is told of it where that is due (`diagnostics.notices`); without, the caller sees to that.
    """
    row = conn.execute(
        "INSERT INTO diagnostics.incident_event (incident_id, at, kind, actor, detail, data, replayed)"
        " VALUES (%(id)s, %(now)s, %(kind)s, %(actor)s, %(detail)s, %(data)s, %(replayed)s) RETURNING id",
        {
            "id": incident_id,
            "now": now,
            "kind": kind,
            "actor": actor,
            "detail": detail,
            "data": Jsonb(dict(data or {})),
            "replayed": replayed,
        },
    ).fetchone()
    conn.execute("SELECT pg_notify(%(channel)s, %(id)s)", {"channel": CHANNEL, "id": str(incident_id)})
    assert row is not None  # INSERT … RETURNING gives its row
    if tell:
        enqueue(conn, incident=incident_id, event_kind=kind, event_id=row[0], at=now, now=now, replayed=replayed)
    return int(row[0])


def _made(**row: Any) -> Incident:
    trouble = row.pop("trouble")
    return Incident(trouble=None if trouble is None else Trouble(trouble), **row)


def _add_terminals(conn: Connection, *, incident_id: int, terminals: Sequence[Terminal], now: datetime) -> int:
    return conn.execute(
        "INSERT INTO diagnostics.incident_terminal (incident_id, terminal_id, joined_at)"
        " SELECT %(id)s, unnest(%(terminals)s::text[]), %(now)s ON CONFLICT DO NOTHING",
        {"id": incident_id, "terminals": [terminal.id for terminal in terminals], "now": now},
    ).rowcount
