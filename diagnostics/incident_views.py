"""What the pages of one incident read, a page at a time: where it hits, the terminals hit, worst first, and the silent shops.

`diagnostics.incidents` reads whole incidents; an incident of the whole fleet has 16,000 terminals, so here is counted and cut by
the database. An incident that a person declared counts every terminal of its scope as hit: nothing says otherwise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from psycopg.rows import class_row

from diagnostics.incidents import RINGS_WITHIN, Incident, SilentVictim
from diagnostics.troubles import Trouble
from fleet.database import Connection


@dataclass(frozen=True, slots=True)
class Headline:
    """What an incident is called by, without what is counted of it."""

    id: int
    state: str
    title: str
    trouble: Trouble | None
    scope: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DepartmentHit:
    """One department: its terminals in the incident's scope, and those hit."""

    department: str
    touched: int
    hit: int

    @property
    def share(self) -> float:
        """Hit of those in scope; a terminal that was hit before the scope was narrowed counts as well."""
        return self.hit / self.touched if self.touched else 0.0


@dataclass(frozen=True, slots=True)
class HitTerminal:
    """A terminal that an incident touches, with its state as it was last judged."""

    terminal_id: str
    point_of_sale: str
    shop: str
    department: str
    hit_at: datetime | None
    rang: bool


@dataclass(frozen=True, slots=True)
class Victims:
    """The shops that an incident hit: how many, how many of them rang, and the first of those that did not."""

    shops: int
    rang: int
    silent: list[SilentVictim]


# Each call of a shop is a signal of each of its terminals.
_RANG: Final = (
    "n.terminal_id IN (SELECT g.terminal_id FROM fleet.signal g WHERE g.kind = 'call' AND g.at >= %(began)s AND g.at <= %(until)s)"
)
_HIT: Final = "(n.hit_at IS NOT NULL OR %(declared)s)"
_TOUCHED: Final = """
    FROM diagnostics.incident_terminal n
    JOIN fleet.terminal t ON t.id = n.terminal_id
    JOIN fleet.point_of_sale s ON s.code = t.point_of_sale
"""

_IN_DEPARTMENT: Final = (
    "AND n.terminal_id IN (SELECT t.id FROM fleet.terminal t JOIN fleet.point_of_sale s ON s.code = t.point_of_sale"
    " WHERE s.department = %(department)s)"
)
_SHOPS: Final = f"""
    WITH shop AS MATERIALIZED (
        SELECT t.point_of_sale, count(*)::integer AS terminals, coalesce(min(n.hit_at), min(n.joined_at)) AS since,
            bool_or({_RANG}) AS rang
        FROM diagnostics.incident_terminal n JOIN fleet.terminal t ON t.id = n.terminal_id
        WHERE n.incident_id = %(id)s AND {_HIT} GROUP BY t.point_of_sale
    )
"""
_SILENT: Final = "shop.point_of_sale, s.name AS shop, s.department, shop.terminals, shop.since"


def departments_of(conn: Connection, incident: Incident) -> list[DepartmentHit]:
    """Every department that the incident touches, by code."""
    with conn.cursor(row_factory=class_row(DepartmentHit)) as cursor:
        return cursor.execute(
            f"SELECT s.department, count(*)::integer AS touched, (count(*) FILTER (WHERE {_HIT}))::integer AS hit {_TOUCHED}"
            " WHERE n.incident_id = %(id)s GROUP BY s.department ORDER BY s.department",
            _parameters(incident),
        ).fetchall()


def hit_terminals(
    conn: Connection, incident: Incident, *, department: str | None = None, offset: int = 0, limit: int
) -> list[HitTerminal]:
    """A page of the terminals that the incident hit (in one department, if given).

    Worst state first as last judged, then those hit first.
    """
    # The page first: names, and whether a shop rang, are asked of its rows alone.
    within = "" if department is None else _IN_DEPARTMENT
    with conn.cursor(row_factory=class_row(HitTerminal)) as cursor:
        return cursor.execute(
            "WITH n AS (SELECT n.terminal_id, n.hit_at, CASE h.state WHEN 'down' THEN 0 WHEN 'degraded' THEN 1 WHEN 'ok' THEN 3"
            " WHEN 'closed' THEN 4 ELSE 2 END AS worst FROM diagnostics.incident_terminal n"
            " LEFT JOIN diagnostics.health h ON h.terminal_id = n.terminal_id"
            f" WHERE n.incident_id = %(id)s AND {_HIT} {within}"
            " ORDER BY worst, n.hit_at, n.terminal_id LIMIT %(limit)s OFFSET %(offset)s)"
            f" SELECT n.terminal_id, s.code AS point_of_sale, s.name AS shop, s.department, n.hit_at, {_RANG} AS rang FROM n"
            " JOIN fleet.terminal t ON t.id = n.terminal_id JOIN fleet.point_of_sale s ON s.code = t.point_of_sale"
            " ORDER BY n.worst, n.hit_at, n.terminal_id",
            {**_parameters(incident), "department": department, "offset": offset, "limit": limit},
        ).fetchall()


def terminals_after(
    conn: Connection, incident: Incident, *, terminal_id: str = "", hit: bool | None = None, limit: int
) -> list[HitTerminal]:
    """The terminals that the incident touches, by id, after this one: those hit, those only in scope, or (None) both."""
    with conn.cursor(row_factory=class_row(HitTerminal)) as cursor:
        return cursor.execute(
            f"SELECT n.terminal_id, s.code AS point_of_sale, s.name AS shop, s.department, n.hit_at, {_RANG} AS rang {_TOUCHED}"
            " WHERE n.incident_id = %(id)s AND n.terminal_id > %(after)s"
            f" AND (%(hit)s::boolean IS NULL OR {_HIT} = %(hit)s) ORDER BY n.terminal_id LIMIT %(limit)s",
            {**_parameters(incident), "after": terminal_id, "hit": hit, "limit": limit},
        ).fetchall()


def silent_after(conn: Connection, incident: Incident, *, code: str = "", limit: int) -> list[SilentVictim]:
    """The shops hit that have not rung since it began, by code, after this one."""
    with conn.cursor(row_factory=class_row(SilentVictim)) as cursor:
        return cursor.execute(
            f"{_SHOPS} SELECT {_SILENT} FROM shop JOIN fleet.point_of_sale s ON s.code = shop.point_of_sale"
            " WHERE NOT shop.rang AND shop.point_of_sale > %(after)s ORDER BY shop.point_of_sale LIMIT %(limit)s",
            {**_parameters(incident), "after": code, "limit": limit},
        ).fetchall()


def victims_of(conn: Connection, incident: Incident, *, limit: int | None = None) -> Victims:
    """The shops hit, and the first `limit` of those that have not rung since it began, those hit first before others."""
    parameters = {**_parameters(incident), "limit": limit}
    rows = conn.execute(
        f"{_SHOPS}, told AS (SELECT count(*)::integer AS shops, (count(*) FILTER (WHERE rang))::integer AS rang FROM shop),"
        " first AS (SELECT * FROM shop WHERE NOT rang ORDER BY since, point_of_sale LIMIT %(limit)s)"
        " SELECT told.shops, told.rang, first.point_of_sale, s.name, s.department, first.terminals, first.since FROM told"
        " LEFT JOIN first ON true LEFT JOIN fleet.point_of_sale s ON s.code = first.point_of_sale"
        " ORDER BY first.since, first.point_of_sale",
        parameters,
    ).fetchall()
    silent = [SilentVictim(*row[2:]) for row in rows if row[2] is not None]
    return Victims(shops=rows[0][0], rang=rows[0][1], silent=silent)


def headlines_since(conn: Connection, *, since: datetime, limit: int) -> list[Headline]:
    """The incidents that are open, or closed after that time, newest first."""
    rows = conn.execute(
        "SELECT id, state, title, trouble, scope FROM diagnostics.incident WHERE closed_at IS NULL OR closed_at >= %(since)s"
        " ORDER BY id DESC LIMIT %(limit)s",
        {"since": since, "limit": limit},
    ).fetchall()
    return [Headline(id_, state, title, Trouble(name) if name else None, scope) for id_, state, title, name, scope in rows]


def hits_of(conn: Connection, terminals: Sequence[str]) -> set[tuple[int, str]]:
    """Which incidents that are open have hit which of these terminals: (incident, terminal)."""
    return set(
        conn.execute(
            "SELECT n.incident_id, n.terminal_id FROM diagnostics.incident_terminal n"
            " JOIN diagnostics.incident i ON i.id = n.incident_id AND i.state <> 'closed'"
            " WHERE n.terminal_id = ANY(%(ids)s) AND n.hit_at IS NOT NULL",
            {"ids": list(terminals)},
        ).fetchall()
    )


def _parameters(incident: Incident) -> dict[str, object]:
    # Constants, so that the planner opens only the chunks of that time.
    until = incident.closed_at + RINGS_WITHIN if incident.closed_at else datetime.max.replace(tzinfo=UTC)
    return {"id": incident.id, "declared": incident.trouble is None, "began": incident.began_at, "until": until}
