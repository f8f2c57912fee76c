"""The console's hand-overs: level 1 passes a caller on, level 2 sees who waits and takes the call with all that was noted."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from fleet import registry
from fleet.database import Connection
from hotline.calls import calls_by_id
from hotline.handovers import LONGEST_REASON, Handover, HandoverError, hand_over, take_over, waited_in_all, waiting, withdraw
from hotline.notes import CallNote, notes_of
from hotline.reach import out_of_reach
from hotline.roles import Right
from hotline.sessions import Session
from hotline.web.context import Web, web
from hotline.web.guards import Editor, Reader
from hotline.web.layout import fragment, page

router = APIRouter(include_in_schema=False)

ReadingSession = Annotated[Session, Depends(Reader(Right.HANDLE_CALLS))]
PollingSession = Annotated[Session, Depends(Reader(Right.HANDLE_CALLS, slide=False))]
HandlingSession = Annotated[Session, Depends(Editor(Right.HANDLE_CALLS))]
TakingSession = Annotated[Session, Depends(Editor(Right.TAKE_OVER))]
Program = Annotated[Web, Depends(web)]


@router.get("/console/handovers")
def handovers(request: Request, session: ReadingSession, program: Program) -> Response:
    """Who waits for level 2."""
    return page(request, "handovers.html", session=session, here="handovers", too_late=False, **_read(program, session))


@router.get("/console/handovers/now")
def handovers_now(request: Request, session: PollingSession, program: Program) -> Response:
    """The part of the page that renews itself."""
    return fragment(request, "handover_list.html", session=session, too_late=False, **_read(program, session))


@router.get("/console/handovers/count")
def handovers_count(request: Request, session: PollingSession, program: Program) -> Response:
    """How many wait, for the link on every page."""
    with program.pool.connection() as conn:
        count = len(_waiting(conn, session, now=program.now()))
    return fragment(request, "handover_count.html", session=session, count=count)


@router.post("/console/calls/{call}/handover")
def pass_on(
    call: int, session: HandlingSession, program: Program, reason: Annotated[str, Form(max_length=LONGEST_REASON)] = ""
) -> Response:
    """Pass the caller on; the call's form comes back as it is then."""
    with program.pool.connection() as conn:
        try:
            hand_over(conn, call=call, reason=reason, author=session.agent.login, agent=session.agent.id, now=program.now())
        except HandoverError as error:
            # That it is over, or waits already, the form shows by itself.
            if error.field == "call":
                raise HTTPException(404) from None
    return _form(call)


@router.post("/console/handovers/{handover}/withdraw")
def take_back(handover: int, session: HandlingSession, program: Program) -> Response:
    """Take back what was passed on."""
    del session
    with program.pool.connection() as conn:
        try:
            return _form(withdraw(conn, handover=handover, now=program.now()).call)
        except HandoverError:
            raise HTTPException(404) from None


@router.post("/console/handovers/{handover}/take")
def take(request: Request, handover: int, session: TakingSession, program: Program) -> Response:
    """Take a caller over and go to the call; or see that another was quicker."""
    with program.pool.connection() as conn:
        try:
            taken = take_over(conn, handover=handover, agent=session.agent.id, now=program.now())
        except HandoverError:
            taken = None
    if taken is None:
        return page(
            request, "handovers.html", session=session, here="handovers", status=409, too_late=True, **_read(program, session)
        )
    return RedirectResponse(f"/console/calls/{taken.call}", status_code=303)


def _form(call: int) -> Response:
    return RedirectResponse(f"/console/calls/{call}/qualification", status_code=303)


def _read(program: Web, session: Session) -> dict[str, Any]:
    now = program.now()
    with program.pool.connection() as conn:
        found = _waiting(conn, session, now=now)
        calls = {call.id: call for call in calls_by_id(conn, [one.call for one in found])}
        codes = sorted({call.point_of_sale for call in calls.values() if call.point_of_sale})
        shops = {shop.code: shop.name for shop in registry.points_of_sale(conn, codes)}
        waits: Mapping[int, timedelta] = {call.id: waited_in_all(conn, call, now=now) for call in calls.values()}
        notes = _notes(conn, list(calls))
    return {"found": found, "calls": calls, "shops": shops, "waits": waits, "notes": notes}


def _waiting(conn: Connection, session: Session, *, now: datetime) -> list[Handover]:
    """Who waits; the overflow floor sees whom it passed on."""
    found = waiting(conn, now=now)
    hidden = out_of_reach(conn, "handover", [one.id for one in found], floor=session.floor)
    return [one for one in found if one.id not in hidden]


def _notes(conn: Connection, calls: list[int]) -> dict[int, list[CallNote]]:
    return {call: notes_of(conn, call=call) for call in calls}
