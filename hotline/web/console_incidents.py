"""The console's list of incidents: open ones first, filtered, parts folded under their whole; and declaring one by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from diagnostics.incidents import Incident, IncidentError, declare, list_incidents
from diagnostics.notices.outbox import dead_notices
from diagnostics.troubles import Trouble
from fleet.database import Connection
from fleet.registry import DIMENSIONS
from fleet.scope import ScopeError
from hotline.accounts import agents
from hotline.incident_words import refusal
from hotline.roles import Right
from hotline.sessions import Session
from hotline.web.context import Web, web
from hotline.web.guards import Editor, Reader
from hotline.web.layout import fragment, page

router = APIRouter(include_in_schema=False)

ReadingSession = Annotated[Session, Depends(Reader(Right.READ))]
# What a page asks by itself does not count as use of the session.
PollingSession = Annotated[Session, Depends(Reader(Right.READ, slide=False))]
DeclaringSession = Annotated[Session, Depends(Editor(Right.DECLARE_INCIDENTS))]
Program = Annotated[Web, Depends(web)]
Dimension = Annotated[str, Form(max_length=40)]

LIVE_SHOWN, CLOSED_SHOWN, DEAD_SHOWN = 500, 50, 5
LIVE_STATES: Final = ("open", "acknowledged", "clearing")
PERIODS_D: Final = (1, 7, 30, 365)
# What the trouble filter calls an incident that a person declared.
DECLARED: Final = "declared"


@dataclass(frozen=True, slots=True)
class Filters:
    """What of the incidents is asked for; empty: all, of the last week where they are over."""

    state: str
    trouble: str
    dimension: str
    value: str
    days: int
    before: int | None

    def __post_init__(self) -> None:
        # A filter that is none of ours filters nothing: a link from another release still shows something.
        object.__setattr__(self, "state", self.state if self.state in (*LIVE_STATES, "closed") else "")
        object.__setattr__(self, "trouble", self.trouble if self.trouble in (*Trouble, DECLARED) else "")
        object.__setattr__(self, "dimension", self.dimension if self.dimension in DIMENSIONS else "")
        object.__setattr__(self, "days", self.days if self.days in PERIODS_D else 7)

    def conditions(self) -> dict[str, Any]:
        """As `list_incidents` takes them."""
        return {
            "trouble": "" if self.trouble == DECLARED else self.trouble or None,
            "dimension": self.dimension or None,
            "value": self.value.strip() if self.dimension and self.value.strip() else None,
        }


def filters_of(
    *,
    state: Annotated[str, Query(max_length=20)] = "",
    trouble: Annotated[str, Query(max_length=20)] = "",
    dimension: Annotated[str, Query(max_length=20)] = "",
    value: Annotated[str, Query(max_length=40)] = "",
    days: Annotated[int, Query(ge=1, le=3650)] = 7,
    before: int | None = None,
) -> Filters:
    """The filters of an address."""
    return Filters(state, trouble, dimension, value, days, before)


Filtered = Annotated[Filters, Depends(filters_of)]


@router.get("/console/incidents")
def incidents(request: Request, session: ReadingSession, filters: Filtered) -> Response:
    """Incidents: what is open, then what is over."""
    return _page(request, session, filters)


@router.get("/console/incidents/now")
def incidents_now(request: Request, session: PollingSession, program: Program, filters: Filtered) -> Response:
    """The part of the page that renews itself."""
    with program.pool.connection() as conn:
        values = _lists(conn, filters, program)
    return fragment(request, "incident_list.html", session=session, query=request.url.query, **values)


@router.post("/console/incidents")
def declare_incident(
    *,
    request: Request,
    session: DeclaringSession,
    program: Program,
    title: Annotated[str, Form(max_length=200)],
    advice: Annotated[str, Form(max_length=2000)] = "",
    department: Dimension = "",
    region: Dimension = "",
    model: Dimension = "",
    hw: Dimension = "",
    firmware: Dimension = "",
    access: Dimension = "",
    carrier: Dimension = "",
    lot: Dimension = "",
    agency: Dimension = "",
) -> Response:
    """Declare an incident over every terminal that has all the values given; or show the form again with what is wrong."""
    given = dict(zip(DIMENSIONS, (department, region, model, hw, firmware, access, carrier, lot, agency), strict=True))
    scope = {name: value.strip() for name, value in given.items() if value.strip()}
    try:
        with program.pool.connection() as conn:
            made = declare(conn, scope=scope, title=title, advice=advice, actor=session.agent.login, now=program.now())
    except (IncidentError, ScopeError) as error:
        filled = {"title": title, "advice": advice, **given}
        return _page(request, session, Filters("", "", "", "", 7, None), error=error.field, filled=filled, status=422)
    return RedirectResponse(f"/console/incidents/{made.id}", status_code=303)


def _page(
    request: Request,
    session: Session,
    filters: Filters,
    *,
    error: str | None = None,
    filled: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    program = web(request)
    acts = session.may(Right.DECLARE_INCIDENTS)
    with program.pool.connection() as conn:
        values = _lists(conn, filters, program)
        dead = dead_notices(conn) if acts else []
    return page(
        request,
        "incidents.html",
        session=session,
        here="incidents",
        status=status,
        query=request.url.query if request.method == "GET" else "",
        acts=acts,
        dead=dead[:DEAD_SHOWN],
        dead_count=len(dead),
        troubles=[*Trouble],
        live_states=LIVE_STATES,
        periods=PERIODS_D,
        declared=DECLARED,
        error=refusal(error, translate=program.pages.translate(session.agent.language)) if error else None,
        filled=filled or {},
        **values,
    )


def _lists(conn: Connection, filters: Filters, program: Web) -> dict[str, Any]:
    """What is open and what is over, each with its parts folded under it."""
    conditions = filters.conditions()
    live: list[Incident] = []
    if filters.state != "closed" and filters.before is None:
        states = [filters.state] if filters.state else None
        live = list_incidents(conn, is_open=True, states=states, limit=LIVE_SHOWN, **conditions)
    over: list[Incident] = []
    if filters.state in ("", "closed"):
        since = program.now() - timedelta(days=filters.days)
        over = list_incidents(conn, is_open=False, since=since, before=filters.before, limit=CLOSED_SHOWN + 1, **conditions)
    more = over[CLOSED_SHOWN - 1].id if len(over) > CLOSED_SHOWN else None
    told, muted = [one for one in live if not one.muted], [one for one in live if one.muted]
    return {
        "filters": filters,
        "live": fold(told),
        "live_count": len(told),
        "muted": fold(muted),
        "over": fold(over[:CLOSED_SHOWN]),
        "older": more,
        "names": {agent.login: agent.name for agent in agents(conn)},
    }


def fold(found: Sequence[Incident]) -> list[tuple[Incident, list[Incident]]]:
    """Incidents with the parts of each that are among them; a part whose whole is not stands for itself."""
    known = {one.id for one in found}
    parts: dict[int, list[Incident]] = {}
    for one in found:
        if one.parent_id in known and one.parent_id is not None:
            parts.setdefault(one.parent_id, []).append(one)
    folded = {part.id for children in parts.values() for part in children}
    # Parts of parts stand beside them, under the whole.
    return [(one, _under(one.id, parts)) for one in found if one.id not in folded]


def _under(whole: int, parts: Mapping[int, list[Incident]]) -> list[Incident]:
    below: list[Incident] = []
    for part in parts.get(whole, []):
        below += [part, *_under(part.id, parts)]
    return below
