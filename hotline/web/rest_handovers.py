"""REST: callers passed on from level 1 to level 2."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from hotline.handovers import LONGEST_REASON, Handover, HandoverError, hand_over, take_over, waiting, withdraw
from hotline.masking import Viewer, shown_text
from hotline.reach import out_of_reach
from hotline.roles import Right
from hotline.web.context import Web, web
from hotline.web.guards import ApiGuard, Caller
from hotline.web.problems import ProblemError

router = APIRouter(prefix="/api/v1", tags=["calls"])

Program = Annotated[Web, Depends(web)]
Handling = Annotated[Caller, Depends(ApiGuard(Right.HANDLE_CALLS))]
Taking = Annotated[Caller, Depends(ApiGuard(Right.TAKE_OVER))]


class HandoverIn(BaseModel):
    """Why a caller is passed on."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field("", max_length=LONGEST_REASON, description="What level 2 must know.")


class HandoverOut(BaseModel):
    """A caller passed on."""

    id: int
    call: int
    author: str
    at: datetime
    reason: str
    state: Literal["waiting", "taken", "withdrawn"]
    taken_by: str | None
    settled_at: datetime | None


@router.get("/handovers", summary="Callers who wait for level 2")
def get_handovers(program: Program, caller: Handling) -> list[HandoverOut]:
    """Who waits, the first passed on first; on the overflow floor, whom it passed on."""
    with program.pool.connection() as conn:
        found = waiting(conn, now=program.now())
        hidden = out_of_reach(conn, "handover", [one.id for one in found], floor=caller.floor)
    return [_out(one, viewer=caller) for one in found if one.id not in hidden]


@router.post("/calls/{call}/handover", status_code=201, summary="Pass a caller on to level 2")
def post_handover(call: int, new: HandoverIn, program: Program, caller: Handling) -> HandoverOut:
    """Pass the caller on; 409 where the call is over or waits already."""
    agent = caller.agent.id if caller.agent else None
    try:
        with program.pool.connection() as conn:
            made = hand_over(conn, call=call, reason=new.reason, author=caller.name, agent=agent, now=program.now())
    except HandoverError as error:
        raise ProblemError(404 if error.field == "call" else 409, str(error), field=error.field) from None
    return _out(made, viewer=caller)


@router.post("/handovers/{handover}/withdraw", summary="Take back what was passed on")
def post_withdraw(handover: int, program: Program, caller: Handling) -> HandoverOut:
    """Level 1 goes on with the caller; 409 where nobody waits by it."""
    try:
        with program.pool.connection() as conn:
            return _out(withdraw(conn, handover=handover, now=program.now()), viewer=caller)
    except HandoverError as error:
        raise ProblemError(409, str(error), field=error.field) from None


@router.post("/handovers/{handover}/take", summary="Take a caller over")
def post_take(handover: int, program: Program, caller: Taking) -> HandoverOut:
    """Take the caller; 409 where another was quicker. A program's token cannot: somebody must speak."""
    if caller.agent is None:
        raise ProblemError(409, "only a person can take a caller over", field="handover")
    try:
        with program.pool.connection() as conn:
            return _out(take_over(conn, handover=handover, agent=caller.agent.id, now=program.now()), viewer=caller)
    except HandoverError as error:
        raise ProblemError(409, str(error), field=error.field) from None


def _out(one: Handover, *, viewer: Viewer) -> HandoverOut:
    return HandoverOut(
        id=one.id,
        call=one.call,
        author=one.author_name,
        at=one.at,
        reason=shown_text(one.reason, viewer=viewer),
        state=one.state,
        taken_by=one.taken_by_name,
        settled_at=one.settled_at,
    )
