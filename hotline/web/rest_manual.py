"""REST: calls entered by hand, and the times without telephony."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from hotline.calls import find_call
from hotline.manual_calls import Gap, ManualError, begin_gap, end_gap, enter_call, gaps_between
from hotline.roles import Right
from hotline.web.context import Web, web
from hotline.web.guards import ApiGuard, Caller
from hotline.web.problems import ProblemError
from hotline.web.rest_models import CallOut, call_out

router = APIRouter(prefix="/api/v1", tags=["calls"])

Program = Annotated[Web, Depends(web)]
Handling = Annotated[Caller, Depends(ApiGuard(Right.HANDLE_CALLS))]
Saying = Annotated[Caller, Depends(ApiGuard(Right.SAY_TELEPHONY))]


class ManualCallIn(BaseModel):
    """A call that was taken without telephony."""

    model_config = ConfigDict(extra="forbid")

    caller: str = Field(max_length=60, description="A shop's code, or the caller's number in any usual form.")
    rang_at: AwareDatetime
    minutes: int = Field(ge=0, le=240, description="Minutes on the line.")


class GapOut(BaseModel):
    """A time without telephony; `ended_at` null: it lasts."""

    id: int
    began_at: datetime
    ended_at: datetime | None
    calls: int = Field(description="Calls entered by hand meanwhile.")


@router.post("/calls", status_code=201, summary="Enter a call by hand")
def post_call(new: ManualCallIn, program: Program, caller: Handling) -> CallOut:
    """Enter a call that the session's agent took while telephony was down; a program's token answers no calls."""
    if caller.agent is None:
        raise ProblemError(409, "only a person can have taken a call", field="caller")
    try:
        with program.pool.connection() as conn:
            call = enter_call(
                conn,
                caller=new.caller,
                rang_at=new.rang_at,
                talked=timedelta(minutes=new.minutes),
                agent=caller.agent.id,
                agent_name=caller.agent.name,
                now=program.now(),
            )
            found = find_call(conn, call=call)
    except ManualError as error:
        raise ProblemError(422, str(error), field=error.field) from None
    assert found is not None
    return call_out(found, viewer=caller)


@router.get("/telephony-gaps", summary="Times without telephony, oldest first", dependencies=[Depends(ApiGuard(Right.READ))])
def get_gaps(
    program: Program,
    since: Annotated[AwareDatetime, Query(description="The period's begin.")],
    until: Annotated[AwareDatetime | None, Query(description="Its end; without it, now.")] = None,
) -> list[GapOut]:
    """Those that touch the period."""
    with program.pool.connection() as conn:
        return [_out(one) for one in gaps_between(conn, since=since, until=until or program.now())]


@router.post("/telephony/{state}", status_code=204, summary="Say that telephony is down, or works again")
def post_telephony(state: Literal["down", "up"], program: Program, caller: Saying) -> None:
    """Said twice, it changes nothing."""
    with program.pool.connection() as conn:
        say = begin_gap if state == "down" else end_gap
        say(conn, author=caller.name, now=program.now())


def _out(one: Gap) -> GapOut:
    return GapOut(id=one.id, began_at=one.began_at, ended_at=one.ended_at, calls=one.calls)
