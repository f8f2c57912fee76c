"""The console's calls of an incident: which are attached to it, which could be, and the undoing of what was attached."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from diagnostics.incidents import RINGS_WITHIN, IncidentError, incident
from fleet import registry
from fleet.database import Connection
from hotline.attachments import AttachmentError, attach, attached_to, attachments_of, undo
from hotline.calls import calls_by_id, calls_of_incident
from hotline.floors import Floor
from hotline.reach import out_of_reach
from hotline.roles import Right
from hotline.sessions import Session
from hotline.web.context import Web, web
from hotline.web.guards import Editor, ForbiddenError, Reader
from hotline.web.layout import page

router = APIRouter(include_in_schema=False)

ReadingSession = Annotated[Session, Depends(Reader(Right.READ))]
HandlingSession = Annotated[Session, Depends(Editor(Right.HANDLE_CALLS))]
Program = Annotated[Web, Depends(web)]

CALLS_SHOWN: Final = 300


@router.get("/console/incidents/{incident_id}/calls")
def incident_calls(request: Request, incident_id: int, session: ReadingSession, program: Program) -> Response:
    """Calls attached to an incident, and calls of the shops it hits that could be."""
    return _page(request, session, program, incident_id)


@router.post("/console/incidents/{incident_id}/calls")
def attach_calls(
    request: Request,
    incident_id: int,
    session: HandlingSession,
    program: Program,
    call: Annotated[list[int] | None, Form()] = None,
) -> Response:
    """Attach the calls that were ticked, in one action; or show the page again where none could be."""
    try:
        with program.pool.connection() as conn:
            if out_of_reach(conn, "call", call or [], floor=session.floor):
                raise ForbiddenError
            attach(
                conn,
                incident=incident_id,
                calls=call or [],
                author=session.agent.login,
                agent=session.agent.id,
                now=program.now(),
            )
    except IncidentError:
        raise HTTPException(404) from None
    except AttachmentError:
        return _page(request, session, program, incident_id, refused=True, status=422)
    return _back(incident_id)


@router.post("/console/attachments/{attachment}/undo")
def undo_attachment(request: Request, attachment: int, session: HandlingSession, program: Program) -> Response:
    """Take one action back as a whole."""
    del request
    try:
        with program.pool.connection() as conn:
            undone = undo(conn, attachment_id=attachment, author=session.agent.login, now=program.now())
    except AttachmentError:
        raise HTTPException(404) from None
    return _back(undone.incident)


def _back(incident_id: int) -> Response:
    return RedirectResponse(f"/console/incidents/{incident_id}/calls", status_code=303)


def _page(
    request: Request, session: Session, program: Web, incident_id: int, *, refused: bool = False, status: int = 200
) -> Response:
    with program.pool.connection() as conn:
        try:
            values = _read(conn, incident_id, floor=session.floor)
        except IncidentError:
            raise HTTPException(404) from None
    return page(
        request,
        "incident_calls.html",
        session=session,
        here="incidents",
        status=status,
        refused=refused,
        acts=session.may(Right.HANDLE_CALLS),
        **values,
    )


def _read(conn: Connection, incident_id: int, *, floor: Floor) -> dict[str, Any]:
    found = incident(conn, incident_id)
    actions = attachments_of(conn, incident=incident_id)
    until = found.closed_at + RINGS_WITHIN if found.closed_at else None
    count, offered = calls_of_incident(conn, incident=incident_id, since=found.began_at, until=until, limit=CALLS_SHOWN)
    taken = attached_to(conn, calls=[call.id for call in offered])
    listed = [call.id for call in offered] + [call for one in actions for call in one.calls]
    hidden = out_of_reach(conn, "call", listed, floor=floor)
    free = [call for call in offered if call.id not in taken and call.id not in hidden]
    attached = {call.id: call for call in calls_by_id(conn, sorted({call for one in actions for call in one.calls} - hidden))}
    codes = {call.point_of_sale for call in (*free, *attached.values()) if call.point_of_sale}
    return {
        "incident": found,
        "actions": actions,
        "theirs": out_of_reach(conn, "attachment", [one.id for one in actions], floor=floor),
        "attached": attached,
        "free": free,
        "not_shown": max(0, count - len(offered)),
        "elsewhere": sum(1 for other in taken.values() if other != incident_id),
        "shops": {shop.code: shop.name for shop in registry.points_of_sale(conn, sorted(codes))},
    }
