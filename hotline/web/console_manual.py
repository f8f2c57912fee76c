"""The console while telephony is down: who says so, and calls entered by hand."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from hotline.manual_calls import OLDEST, ManualError, begin_gap, end_gap, enter_call, gaps_between, open_gap
from hotline.opening import ZONE
from hotline.roles import Right
from hotline.sessions import Session
from hotline.web.context import Web, web
from hotline.web.guards import Editor, Reader
from hotline.web.layout import page
from hotline.work_words import refusal

router = APIRouter(include_in_schema=False)

ReadingSession = Annotated[Session, Depends(Reader(Right.HANDLE_CALLS))]
HandlingSession = Annotated[Session, Depends(Editor(Right.HANDLE_CALLS))]
SayingSession = Annotated[Session, Depends(Editor(Right.SAY_TELEPHONY))]
Program = Annotated[Web, Depends(web)]

HOME = "/console/manual-calls"
# How long a call is thought to have lasted, until its agent says it.
USUAL = timedelta(minutes=5)


@router.get("/console/manual-calls")
def manual_calls(request: Request, session: ReadingSession, program: Program) -> Response:
    """The form for a call, and whether telephony is down."""
    return _page(request, session, program)


@router.post("/console/manual-calls")
def enter(
    *,
    request: Request,
    session: HandlingSession,
    program: Program,
    caller: Annotated[str, Form(max_length=60)] = "",
    rang_at: Annotated[str, Form(max_length=20)] = "",
    minutes: Annotated[int, Form(ge=0, le=240)] = 0,
) -> Response:
    """Enter a call and go to its page, to note and qualify it; or show the form again with what is wrong."""
    now = program.now()
    try:
        with program.pool.connection() as conn:
            call = enter_call(
                conn,
                caller=caller,
                rang_at=_moment(rang_at),
                talked=timedelta(minutes=minutes),
                agent=session.agent.id,
                agent_name=session.agent.name,
                now=now,
            )
    except ManualError as error:
        filled = {"caller": caller, "rang_at": rang_at, "minutes": str(minutes)}
        return _page(request, session, program, error=error.field, filled=filled, status=422)
    return RedirectResponse(f"/console/calls/{call}", status_code=303)


@router.post("/console/telephony/{state}")
def say_telephony(state: Literal["down", "up"], session: SayingSession, program: Program) -> Response:
    """Say that telephony is down, or works again: everybody sees it, and the figures."""
    with program.pool.connection() as conn:
        say = begin_gap if state == "down" else end_gap
        say(conn, author=session.agent.name, now=program.now())
    return RedirectResponse(HOME, status_code=303)


def _moment(text: str) -> datetime:
    """A local date and time as the browser's field gives it, on the hotline's wall clock."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=ZONE)
    except ValueError:
        raise ManualError("rang_at", "is no date and time") from None


def _page(
    request: Request,
    session: Session,
    program: Web,
    *,
    error: str | None = None,
    filled: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    now = program.now()
    with program.pool.connection() as conn:
        gap = open_gap(conn)
        gaps = gaps_between(conn, since=now - OLDEST, until=now)[::-1]
    # Most calls are entered once they are over.
    moment = (now - USUAL).astimezone(ZONE).replace(tzinfo=None).isoformat(timespec="minutes")
    return page(
        request,
        "manual_calls.html",
        session=session,
        here="calls",
        status=status,
        gap=gap,
        gaps=gaps,
        error=refusal(error, translate=program.pages.translate(session.agent.language)) if error else None,
        filled=filled or {"caller": "", "rang_at": moment, "minutes": str(USUAL // timedelta(minutes=1))},
    )
