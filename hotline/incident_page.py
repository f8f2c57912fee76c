"""What the page of one incident shows, read in one go; how it looks is the templates' business."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from diagnostics.health import Health, health_of
from diagnostics.incident_views import DepartmentHit, HitTerminal, Victims, departments_of, hit_terminals, victims_of
from diagnostics.incidents import (
    RINGS_WITHIN,
    Incident,
    IncidentEvent,
    Minute,
    children_of,
    events_of,
    incident,
    minutes_of,
)
from diagnostics.scan.why import Evidence
from diagnostics.typologies.advice import Advice, advice_for_incident
from fleet import registry
from fleet.database import Connection
from hotline.accounts import agents
from hotline.calls import calls_of_incident
from hotline.stored_call import StoredCall

TERMINALS_SHOWN: Final = 25
VICTIMS_SHOWN: Final = 12
CALLS_SHOWN: Final = 12


@dataclass(frozen=True, slots=True)
class TerminalPage:
    """A page of the terminals hit, worst first; `pages` counts from 1, of one department or of all."""

    department: str | None
    page: int
    pages: int
    total: int
    rows: Sequence[tuple[HitTerminal, Health]]


@dataclass(frozen=True, slots=True)
class IncidentPage:
    """All that one incident's page shows."""

    incident: Incident
    parent: Incident | None
    children: Sequence[Incident]
    events: Sequence[IncidentEvent]
    # People's names by login.
    names: dict[str, str]
    evidence: Evidence | None
    minutes: Sequence[Minute]
    departments: Sequence[DepartmentHit]
    terminals: TerminalPage
    victims: Victims
    calls: Sequence[StoredCall]
    calls_count: int
    # Names of the shops that rang, by code.
    shops: dict[str, str]
    answer: Advice | None

    @property
    def hit(self) -> int:
        """How many terminals it ever hit; of a declared one, its scope."""
        return sum(one.hit for one in self.departments)

    @property
    def worst_departments(self) -> list[DepartmentHit]:
        """The departments where it hits; first where it hits many, and a large share of them: one of one terminal says little."""
        return sorted((one for one in self.departments if one.hit), key=lambda one: (-one.hit * one.share, one.department))


def read_incident_page(
    conn: Connection, incident_id: int, *, department: str | None = None, page: int = 1, now: datetime
) -> IncidentPage:
    """Read all that the page shows; `IncidentError` where there is no such incident."""
    found = incident(conn, incident_id)
    count, calls = calls_of_incident(
        conn,
        incident=found.id,
        since=found.began_at,
        until=found.closed_at + RINGS_WITHIN if found.closed_at else None,
        limit=CALLS_SHOWN,
    )
    departments = departments_of(conn, found)
    return IncidentPage(
        incident=found,
        parent=incident(conn, found.parent_id) if found.parent_id else None,
        children=children_of(conn, found.id),
        events=events_of(conn, found.id),
        names={agent.login: agent.name for agent in agents(conn)},
        evidence=Evidence.from_json(found.evidence) if found.evidence else None,
        minutes=minutes_of(conn, found.id),
        departments=departments,
        terminals=_terminals(conn, found, departments, department=department, page=page, now=now),
        victims=victims_of(conn, found, limit=VICTIMS_SHOWN),
        calls=calls,
        calls_count=count,
        shops=_names(conn, calls),
        answer=advice_for_incident(conn, incident_id=found.id),
    )


def _names(conn: Connection, calls: Sequence[StoredCall]) -> dict[str, str]:
    codes = sorted({call.point_of_sale for call in calls if call.point_of_sale})
    return {shop.code: shop.name for shop in registry.points_of_sale(conn, codes)}


def _terminals(
    conn: Connection, found: Incident, departments: Sequence[DepartmentHit], *, department: str | None, page: int, now: datetime
) -> TerminalPage:
    total = sum(one.hit for one in departments if department in (None, one.department))
    rows = hit_terminals(conn, found, department=department, offset=(page - 1) * TERMINALS_SHOWN, limit=TERMINALS_SHOWN)
    health = health_of(conn, [row.terminal_id for row in rows], now=now)
    return TerminalPage(
        department=department,
        page=page,
        pages=max(1, -(-total // TERMINALS_SHOWN)),
        total=total,
        rows=[(row, health[row.terminal_id]) for row in rows],
    )
