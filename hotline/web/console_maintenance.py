"""The console's announced maintenance: who works where and when; what breaks there meanwhile is told to nobody."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from diagnostics.maintenance_store import MaintenanceError, announce, cancel, list_maintenance
from fleet.registry import DIMENSIONS
from fleet.scope import ScopeError
from hotline.accounts import agents
from hotline.incident_words import refusal
from hotline.opening import ZONE
from hotline.roles import Right
from hotline.sessions import Session
from hotline.web.context import Web, web
from hotline.web.guards import Editor, Reader
from hotline.web.layout import page

router = APIRouter(include_in_schema=False)

ReadingSession = Annotated[Session, Depends(Reader(Right.READ))]
ActingSession = Annotated[Session, Depends(Editor(Right.DECLARE_INCIDENTS))]
Program = Annotated[Web, Depends(web)]
Dimension = Annotated[str, Form(max_length=40)]
Moment = Annotated[str, Form(max_length=20)]

PAST_SHOWN = timedelta(days=30)


@router.get("/console/maintenance")
def maintenance(request: Request, session: ReadingSession) -> Response:
    """Work that goes on, is announced, or was done lately."""
    return _page(request, session)


@router.post("/console/maintenance")
def announce_maintenance(
    *,
    request: Request,
    session: ActingSession,
    program: Program,
    note: Annotated[str, Form(max_length=500)] = "",
    starts: Moment = "",
    ends: Moment = "",
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
    """Announce work on every terminal that has all the values given; or show the form again with what is wrong."""
    given = dict(zip(DIMENSIONS, (department, region, model, hw, firmware, access, carrier, lot, agency), strict=True))
    scope = {name: value.strip() for name, value in given.items() if value.strip()}
    filled = {"note": note, "starts": starts, "ends": ends, **given}
    try:
        starts_at, ends_at = _moment(starts, "starts_at"), _moment(ends, "ends_at")
        with program.pool.connection() as conn:
            announce(
                conn, scope=scope, starts_at=starts_at, ends_at=ends_at, note=note, actor=session.agent.login, now=program.now()
            )
    except (MaintenanceError, ScopeError) as error:
        return _page(request, session, error=error.field, filled=filled, status=422)
    return RedirectResponse("/console/maintenance", status_code=303)


@router.post("/console/maintenance/{maintenance_id}/cancel")
def cancel_maintenance(maintenance_id: int, session: ActingSession, program: Program) -> Response:
    """Call work off, or end it early."""
    with program.pool.connection() as conn:
        try:
            cancel(conn, maintenance_id, actor=session.agent.login, now=program.now())
        except MaintenanceError:
            raise HTTPException(404) from None
    return RedirectResponse("/console/maintenance", status_code=303)


def _page(
    request: Request, session: Session, *, error: str | None = None, filled: Mapping[str, str] | None = None, status: int = 200
) -> Response:
    program = web(request)
    now = program.now()
    with program.pool.connection() as conn:
        found = list_maintenance(conn, since=now - PAST_SHOWN)
        names = {agent.login: agent.name for agent in agents(conn)}
    hour = now.astimezone(ZONE).replace(minute=0, second=0, microsecond=0, tzinfo=None) + timedelta(hours=1)
    suggested = {"starts": hour.isoformat(timespec="minutes"), "ends": (hour + timedelta(hours=2)).isoformat(timespec="minutes")}
    return page(
        request,
        "maintenance.html",
        session=session,
        here="incidents",
        status=status,
        current=[one for one in found if one.covers(now)],
        coming=[one for one in found if one.cancelled_at is None and one.starts_at > now][::-1],
        past=[one for one in found if one.over_at <= now],
        names=names,
        acts=session.may(Right.DECLARE_INCIDENTS),
        error=refusal(error, translate=program.pages.translate(session.agent.language)) if error else None,
        filled={**suggested, **(filled or {})},
    )


def _moment(text: str, field: str) -> datetime:
    """A local date and time as the browser's field gives it, on the hotline's wall clock."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=ZONE)
    except ValueError:
        raise MaintenanceError(field, "a date and a time are needed") from None
