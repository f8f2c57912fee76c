"""The console's incidents: what is open, and for those who watch, declaring and resolving by hand."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from diagnostics.incidents import IncidentError, declare, open_incidents, resolve
from fleet.registry import DIMENSIONS
from fleet.scope import ScopeError
from hotline.roles import Right, may
from hotline.sessions import Session
from hotline.web.context import Web, web
from hotline.web.guards import Editor, Reader
from hotline.web.layout import page

router = APIRouter(include_in_schema=False)

ReadingSession = Annotated[Session, Depends(Reader(Right.READ))]
DeclaringSession = Annotated[Session, Depends(Editor(Right.DECLARE_INCIDENTS))]
Program = Annotated[Web, Depends(web)]
Dimension = Annotated[str, Form(max_length=40)]


@router.get("/console/incidents")
def incidents(request: Request, session: ReadingSession) -> Response:
    """Open incidents, newest first."""
    return _page(request, session)


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
            declare(conn, scope=scope, title=title, advice=advice, actor=session.agent.login, now=program.now())
    except (IncidentError, ScopeError) as error:
        return _page(request, session, error=str(error), filled={"title": title, "advice": advice, **given}, status=422)
    return RedirectResponse("/console/incidents", status_code=303)


@router.post("/console/incidents/{incident}/resolve")
def resolve_incident(
    incident: int, session: DeclaringSession, program: Program, detail: Annotated[str, Form(max_length=500)] = ""
) -> Response:
    """Close an incident, saying how."""
    try:
        with program.pool.connection() as conn:
            resolve(conn, incident, actor=session.agent.login, detail=detail, now=program.now())
    except IncidentError:
        raise HTTPException(404) from None
    return RedirectResponse("/console/incidents", status_code=303)


def _page(
    request: Request, session: Session, *, error: str | None = None, filled: dict[str, Any] | None = None, status: int = 200
) -> Response:
    program = web(request)
    with program.pool.connection() as conn:
        found = open_incidents(conn)
    return page(
        request,
        "incidents.html",
        session=session,
        here="incidents",
        status=status,
        incidents=found,
        may_declare=may(session.agent.role, Right.DECLARE_INCIDENTS),
        error=error,
        filled=filled or {},
    )
