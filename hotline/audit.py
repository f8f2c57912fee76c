"""The audit: who saw and who changed what, in rows that come and are never changed.

What was written of a call or an incident is kept by its own tables, with versions where it matters; here stands who did it,
when, and to what. Telephone numbers in what was searched for are hidden, so that these rows need not be forgotten with them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from fleet.database import Connection
from hotline.floors import Floor
from hotline.masking import mask_digits, mask_text

SAW: Final = "saw"
CHANGED: Final = "changed"
SIGNED_IN: Final = "signed_in"
SIGN_IN_REFUSED: Final = "sign_in_refused"
ACTIONS: Final = (SAW, CHANGED, SIGNED_IN, SIGN_IN_REFUSED)
# What is typed to look for something, by its name in an address.
SEARCHES: Final = frozenset({"q", "phone", "what"})
# Values are there to be recognised, not to be read at length.
LONGEST_VALUE = 200


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it: an agent, or a program by its token's name."""

    name: str
    agent: int | None
    floor: Floor


COMMAND_LINE: Final = Actor("command line", None, Floor.OWN)


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that somebody saw or did; `route` is the page or resource with its parameters' names in braces."""

    actor: Actor
    action: str
    route: str
    subject: Mapping[str, str]
    address: str = ""
    status: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the audit."""

    id: int
    at: datetime
    actor: str
    agent_name: str | None
    floor: Floor
    address: str
    action: str
    route: str
    subject: dict[str, str]
    status: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "floor", Floor(self.floor))


def record(conn: Connection, deeds: Sequence[Deed], *, now: datetime) -> None:
    """Keep these deeds for good, once the caller commits."""
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO hotline.audit (at, actor, agent, floor, address, action, route, subject, status)"
            " VALUES (%(now)s, %(actor)s, %(agent)s, %(floor)s, %(address)s, %(action)s, %(route)s, %(subject)s, %(status)s)",
            [
                {
                    "now": now,
                    "actor": deed.actor.name,
                    "agent": deed.actor.agent,
                    "floor": deed.actor.floor,
                    "address": deed.address,
                    "action": deed.action,
                    "route": deed.route,
                    "subject": Jsonb(presentable(deed.subject)),
                    "status": deed.status,
                }
                for deed in deeds
            ],
        )


def presentable(subject: Mapping[str, str]) -> dict[str, str]:
    """What was asked for, as it may be kept: no telephone number or part of one, nothing long, nothing that no column holds."""
    kept = {}
    for name, value in subject.items():
        text = mask_text(value.replace("\x00", ""))
        # Digits that somebody looked for begin or end a number; those of a path are ids.
        is_part = name in SEARCHES and not any(map(str.isalpha, text))
        kept[name] = (mask_digits(text) if is_part else text)[:LONGEST_VALUE]
    return kept


def entries(
    conn: Connection,
    *,
    actor: str = "",
    action: str = "",
    containing: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Entry]:
    """Rows, newest first; `containing` is sought in the route and as a whole value of the subject."""
    conditions, routes = ["true"], list[str]()
    if actor:
        conditions.append("e.actor = %(actor)s")
    if action:
        conditions.append("e.action = %(action)s")
    if containing:
        routes = [route for route in _routes(conn) if containing in route]
        in_subject = "e.id IN (SELECT id FROM about)"
        conditions.append(f"(e.route = ANY(%(routes)s) OR {in_subject})" if routes else in_subject)
    if since is not None:
        conditions.append("e.at >= %(since)s")
    if until is not None:
        conditions.append("e.at < %(until)s")
    if before is not None:
        conditions.append("e.id < %(before)s")
    with conn.cursor(row_factory=class_row(Entry)) as cursor:
        return cursor.execute(
            # Materialized, for the order would lead the planner through every row, newest first, instead of to the index.
            "WITH about AS MATERIALIZED (SELECT id FROM hotline.audit"
            " WHERE jsonb_path_query_array(subject, '$.*') @> to_jsonb(%(containing)s::text))"
            " SELECT e.id, e.at, e.actor, a.name AS agent_name, e.floor, e.address, e.action, e.route, e.subject, e.status"
            f" FROM hotline.audit e LEFT JOIN hotline.agent a ON a.id = e.agent WHERE {' AND '.join(conditions)}"
            " ORDER BY e.id DESC LIMIT %(limit)s",
            {
                "actor": actor,
                "action": action,
                "containing": containing,
                "routes": routes,
                "since": since,
                "until": until,
                "before": before,
                "limit": limit,
            },
        ).fetchall()


def _routes(conn: Connection) -> list[str]:
    """Every route that stands in the audit, one step in the index for each."""
    rows = conn.execute(
        "WITH RECURSIVE known AS ("
        " (SELECT route FROM hotline.audit ORDER BY route LIMIT 1)"
        " UNION ALL SELECT (SELECT e.route FROM hotline.audit e WHERE e.route > known.route ORDER BY e.route LIMIT 1)"
        " FROM known WHERE known.route IS NOT NULL"
        ") SELECT route FROM known WHERE route IS NOT NULL"
    ).fetchall()
    return [row[0] for row in rows]
