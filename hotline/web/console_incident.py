"""The console's page of one incident: what, where, why, whom it hits, who has not rung, and what people do about it."""

import csv
import io
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from diagnostics.incident_views import Victims, victims_of
from diagnostics.incidents import IncidentError, acknowledge, comment, incident, reopen, resolve
from diagnostics.notices.outbox import list_notices
from diagnostics.typography import percent
from fleet import registry
from fleet.departments import NAMES, department_name
from hotline import incident_words
from hotline.incident_page import IncidentPage, read_incident_page
from hotline.incident_plots import IncidentPlots
from hotline.roles import Right
from hotline.sessions import Session
from hotline.translations import mark as _
from hotline.web import france_map
from hotline.web.context import Web, web
from hotline.web.guards import Editor, Reader
from hotline.web.layout import fragment, language_of, page
from hotline.web.spreadsheets import plain

router = APIRouter(include_in_schema=False)

ReadingSession = Annotated[Session, Depends(Reader(Right.READ))]
PollingSession = Annotated[Session, Depends(Reader(Right.READ, slide=False))]
ExportingSession = Annotated[Session, Depends(Reader(Right.EXPORT))]
ActingSession = Annotated[Session, Depends(Editor(Right.DECLARE_INCIDENTS))]
Program = Annotated[Web, Depends(web)]
Department = Annotated[str, Query(max_length=3)]
PageNumber = Annotated[int, Query(ge=1, le=10_000)]
Words = Annotated[str, Form(max_length=2000)]

_MAP_TITLE = _("%(department)s: %(hit)s of %(touched)s terminals in scope hit (%(share)s)")
_MAP_NONE = _("%(department)s: no terminal in scope")
_MAP_LABEL = _("Map of France: share of the terminals in scope that are hit, by department; the list beside it says the same")
CSV_PIECE = 64 * 1024
CSV_COLUMNS = ("point_of_sale", "name", "department", "phones", "terminals_hit", "hit_since")


@router.get("/console/incidents/{incident_id}")
def incident_page(
    *,
    request: Request,
    incident_id: int,
    session: ReadingSession,
    program: Program,
    department: Department = "",
    terminals: PageNumber = 1,
) -> Response:
    """One incident, whatever its state."""
    values = _read(request, session, program, incident_id, department=department, terminals=terminals)
    return page(request, "incident.html", session=session, here="incidents", error=None, **values)


@router.get("/console/incidents/{incident_id}/now")
def incident_now(
    *,
    request: Request,
    incident_id: int,
    session: PollingSession,
    program: Program,
    department: Department = "",
    terminals: PageNumber = 1,
) -> Response:
    """The part of the page that renews itself."""
    values = _read(request, session, program, incident_id, department=department, terminals=terminals)
    return fragment(request, "incident_now.html", session=session, **values)


@router.get("/console/incidents/{incident_id}/silent.csv")
def silent_csv(incident_id: int, session: ExportingSession, program: Program) -> Response:
    """The shops hit that have not rung, with their numbers, as a file for whoever calls them."""
    del session
    with program.pool.connection() as conn:
        try:
            found = victims_of(conn, incident(conn, incident_id), limit=None)
        except IncidentError:
            raise HTTPException(404) from None
        shops = registry.points_of_sale(conn, [victim.point_of_sale for victim in found.silent])
    phones = {shop.code: " ".join(shop.phones) for shop in shops}
    return StreamingResponse(
        _csv_lines(found, phones),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="incident-{incident_id}-silent-shops.csv"'},
    )


@router.post("/console/incidents/{incident_id}/acknowledge")
def acknowledge_incident(incident_id: int, session: ActingSession, program: Program) -> Response:
    """Say that one has taken it on."""
    with program.pool.connection() as conn:
        try:
            acknowledge(conn, incident_id, actor=session.agent.login, now=program.now())
        except IncidentError:
            raise HTTPException(404) from None
    return _back(incident_id)


@router.post("/console/incidents/{incident_id}/comments")
def comment_incident(request: Request, incident_id: int, session: ActingSession, program: Program, text: Words = "") -> Response:
    """Add a comment."""
    with program.pool.connection() as conn:
        try:
            comment(conn, incident_id, actor=session.agent.login, text=text, now=program.now())
        except IncidentError as error:
            return _refused(request, session, program, incident_id, error)
    return _back(incident_id)


@router.post("/console/incidents/{incident_id}/resolve")
def resolve_incident(incident_id: int, session: ActingSession, program: Program, detail: Words = "") -> Response:
    """Close it, saying how."""
    with program.pool.connection() as conn:
        try:
            resolve(conn, incident_id, actor=session.agent.login, detail=detail, now=program.now())
        except IncidentError:
            raise HTTPException(404) from None
    return _back(incident_id)


@router.post("/console/incidents/{incident_id}/reopen")
def reopen_incident(request: Request, incident_id: int, session: ActingSession, program: Program, detail: Words = "") -> Response:
    """Open it again, saying why."""
    with program.pool.connection() as conn:
        try:
            reopen(conn, incident_id, actor=session.agent.login, detail=detail, now=program.now())
        except IncidentError as error:
            return _refused(request, session, program, incident_id, error)
    return _back(incident_id)


def _back(incident_id: int) -> Response:
    return RedirectResponse(f"/console/incidents/{incident_id}", status_code=303)


def _refused(request: Request, session: Session, program: Web, incident_id: int, error: IncidentError) -> Response:
    """The page again, with what was wrong."""
    values = _read(request, session, program, incident_id, department="", terminals=1)
    return page(
        request,
        "incident.html",
        session=session,
        here="incidents",
        status=422,
        error=incident_words.refusal(error.field, translate=program.pages.translate(session.agent.language)),
        **values,
    )


def _read(request: Request, session: Session, program: Web, incident_id: int, *, department: str, terminals: int) -> dict[str, Any]:
    """What the page's templates take."""
    with program.pool.connection() as conn:
        try:
            # Who may not browse the registry sees where an incident is, not every shop of it page by page.
            wanted, number = (department or None, terminals) if session.may(Right.BROWSE) else (None, 1)
            view = read_incident_page(conn, incident_id, department=wanted, page=number, now=program.now())
        except IncidentError:
            raise HTTPException(404) from None
        notices = list_notices(conn, incident=incident_id, limit=20)
    language = language_of(request, session)
    translate = program.pages.translate(language)
    return {
        "view": view,
        "incident": view.incident,
        "notices": notices,
        "csrf": session.csrf,
        "acts": session.may(Right.DECLARE_INCIDENTS),
        "exports": session.may(Right.EXPORT),
        "browses": session.may(Right.BROWSE),
        "plots": IncidentPlots(translate=translate, language=language),
        "map": _draw_map(view, translate=translate, language=language),
        "legend": france_map.LEGEND,
        "swatch": france_map.swatch,
        "query": f"department={department}&terminals={terminals}",
    }


def _draw_map(view: IncidentPage, *, translate: Any, language: str) -> Any:
    titles = {code: translate(_MAP_NONE) % {"department": department_name(code)} for code in NAMES}
    for one in view.departments:
        known = {"department": department_name(one.department), "hit": one.hit, "touched": one.touched}
        titles[one.department] = translate(_MAP_TITLE) % {**known, "share": percent(one.share, language)}
    return france_map.draw(view.departments, view.worst_departments, titles=titles, label=translate(_MAP_LABEL))


def _csv_lines(found: Victims, phones: dict[str, str]) -> Iterator[str]:
    """Lines of the file; a byte-order mark lets spreadsheets read the accents."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    buffer.write("\N{BYTE ORDER MARK}")
    writer.writerow(CSV_COLUMNS)
    for victim in found.silent:
        since = victim.since.isoformat(timespec="seconds")
        phone = phones.get(victim.point_of_sale, "")
        writer.writerow([victim.point_of_sale, plain(victim.shop), victim.department, plain(phone), victim.terminals, since])
        # A piece at a time, not a line: each takes its turn among the threads.
        if buffer.tell() >= CSV_PIECE:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()
