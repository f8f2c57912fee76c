"""REST: call notes, by Vigie's id of the call or by the telephone system's."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from hotline.calls import find_call
from hotline.masking import shown_text
from hotline.notes import LONGEST_NOTE, NoteError, call_of_exchange, notes_of, write_note
from hotline.roles import Right
from hotline.web.context import Web, web
from hotline.web.guards import ApiGuard, Caller
from hotline.web.problems import ProblemError

router = APIRouter(prefix="/api/v1", tags=["calls"])

Program = Annotated[Web, Depends(web)]
Reading = Annotated[Caller, Depends(ApiGuard(Right.READ))]
Writing = Annotated[Caller, Depends(ApiGuard(Right.HANDLE_CALLS))]


class NoteIn(BaseModel):
    """What is written of a call."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(max_length=LONGEST_NOTE, description="In a few words; empty takes the caller's note back.")


class NoteOut(BaseModel):
    """One author's note of a call."""

    author: str
    at: datetime
    text: str


@router.get("/calls/{call}/notes", summary="What was written of a call")
def get_notes(call: int, caller: Reading, program: Program) -> list[NoteOut]:
    """Every author's note, oldest first."""
    with program.pool.connection() as conn:
        if find_call(conn, call=call) is None:
            raise ProblemError(404, "no such call", field="call")
        found = notes_of(conn, call=call)
    return [NoteOut(author=note.author_name, at=note.at, text=shown_text(note.text, viewer=caller)) for note in found]


@router.put("/calls/{call}/note", summary="Write of a call", status_code=204)
def put_note(call: int, new: NoteIn, program: Program, caller: Writing) -> None:
    """Keep the caller's note of a call in place of what they wrote before."""
    _write(program, caller, call, new.text)


@router.put("/exchange-calls/{call_id}/note", summary="Write of a call that the telephone system names", status_code=204)
def put_note_of_exchange(call_id: str, new: NoteIn, program: Program, caller: Writing) -> None:
    """The same by the telephone system's id of the call, for programs that know no other."""
    with program.pool.connection() as conn:
        call = call_of_exchange(conn, call_id=call_id)
    if call is None:
        raise ProblemError(404, "no such call", field="call_id")
    _write(program, caller, call, new.text)


def _write(program: Web, caller: Caller, call: int, text: str) -> None:
    agent_id = caller.agent.id if caller.agent else None
    try:
        with program.pool.connection() as conn:
            write_note(conn, call=call, author=caller.name, agent_id=agent_id, text=text, now=program.now())
    except NoteError as error:
        raise ProblemError(404, str(error), field="call") from None
