"""The console's call notes: a field below each call that is spoken or over, where an agent types what it was about."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from hotline.notes import LONGEST_NOTE, NoteError, notes_of, write_note
from hotline.reach import out_of_reach
from hotline.roles import Right
from hotline.sessions import Session
from hotline.web.context import Web, web
from hotline.web.guards import Editor, Reader
from hotline.web.layout import fragment

router = APIRouter(include_in_schema=False)

# A page asks for it by itself.
PollingSession = Annotated[Session, Depends(Reader(Right.READ, slide=False))]
HandlingSession = Annotated[Session, Depends(Editor(Right.HANDLE_CALLS))]
Program = Annotated[Web, Depends(web)]


@router.get("/console/calls/{call}/notes")
def notes(request: Request, call: int, session: PollingSession, program: Program) -> Response:
    """What was written of a call, with the reader's own note to go on with."""
    return _fragment(request, call, session, program, saved=False)


@router.post("/console/calls/{call}/notes")
def write(
    request: Request,
    call: int,
    session: HandlingSession,
    program: Program,
    text: Annotated[str, Form(max_length=2 * LONGEST_NOTE)] = "",
) -> Response:
    """Keep the agent's note of a call."""
    try:
        with program.pool.connection() as conn:
            write_note(conn, call=call, author=session.agent.login, agent_id=session.agent.id, text=text, now=program.now())
    except NoteError:
        raise HTTPException(404) from None
    return _fragment(request, call, session, program, saved=True)


def _fragment(request: Request, call: int, session: Session, program: Web, *, saved: bool) -> Response:
    with program.pool.connection() as conn:
        found = notes_of(conn, call=call)
        reached = not out_of_reach(conn, "call", [call], floor=session.floor)
    login = session.agent.login
    return fragment(
        request,
        "call_notes.html",
        session=session,
        call=call,
        own=next((note.text for note in found if note.author == login), ""),
        others=[note for note in found if note.author != login],
        longest=LONGEST_NOTE,
        saved=saved,
        may_write=session.may(Right.HANDLE_CALLS) and reached,
    )
