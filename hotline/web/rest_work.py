"""REST: what agents do with a call: qualifications and callbacks."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from hotline import callbacks
from hotline.callbacks import Callback, CallbackError, CallbackState
from hotline.calls import find_call
from hotline.masking import Viewer, number_for_programs
from hotline.qualification import (
    Given,
    Outcome,
    Qualification,
    QualificationError,
    StaleError,
    Subject,
    qualification_of,
    qualify,
)
from hotline.roles import Right, level_of
from hotline.web.context import Web, web
from hotline.web.guards import ApiGuard, Caller
from hotline.web.problems import ProblemError
from hotline.web.rest_models import Page, from_cursor, page_of

router = APIRouter(prefix="/api/v1", tags=["calls"])

Program = Annotated[Web, Depends(web)]
Handling = Annotated[Caller, Depends(ApiGuard(Right.HANDLE_CALLS))]
Browsing = Annotated[Caller, Depends(ApiGuard(Right.BROWSE))]


class QualificationIn(BaseModel):
    """What somebody says of a call."""

    model_config = ConfigDict(extra="forbid")

    subject: Subject
    outcome: Outcome
    typology: int | None = None
    callback_at: AwareDatetime | None = Field(None, description="With the outcome `callback`; without it, an hour from now.")
    version: int = Field(0, ge=0, description="The version that was read before; 0 where there was none.")


class QualificationOut(BaseModel):
    """What a call was about and how it ended."""

    call: int
    version: int
    subject: Subject
    typology: int | None
    outcome: Outcome
    level: int
    author: str
    at: datetime


class CallbackOut(BaseModel):
    """A shop to call back, or that was."""

    id: int
    call: int
    made_by_abandon: bool = Field(description="Nobody answered the call; else an agent promised it.")
    point_of_sale: str | None
    number: str
    made_at: datetime
    due_at: datetime
    state: CallbackState
    reason: str = Field(description="Why it was dropped; else empty.")
    agent: str | None = Field(description="Who has it, or did it.")
    done_at: datetime | None


@router.get(
    "/calls/{call}/qualification",
    summary="What a call was about and how it ended",
    dependencies=[Depends(ApiGuard(Right.READ))],
)
def get_qualification(call: int, program: Program) -> QualificationOut:
    """The qualification that stands; 404 while there is none."""
    with program.pool.connection() as conn:
        found = qualification_of(conn, call=call)
        if found is None:
            missing = "no such call" if find_call(conn, call=call) is None else "not qualified yet"
            raise ProblemError(404, missing, field="call")
    return _qualification_out(found)


@router.put("/calls/{call}/qualification", summary="Say what a call was about and how it ended")
def put_qualification(call: int, new: QualificationIn, program: Program, caller: Handling) -> QualificationOut:
    """Keep it in place of what was said before; 409 where another saved since `version`."""
    try:
        with program.pool.connection() as conn:
            return _qualification_out(
                qualify(
                    conn,
                    call=call,
                    given=Given(new.subject, new.outcome, new.typology, new.callback_at),
                    seen=new.version,
                    level=level_of(caller.role),
                    author=caller.name,
                    agent=caller.agent.id if caller.agent else None,
                    now=program.now(),
                )
            )
    except StaleError as error:
        raise ProblemError(409, str(error), field="version") from None
    except QualificationError as error:
        raise ProblemError(404 if error.field == "call" else 422, str(error), field=error.field) from None


@router.get("/callbacks", summary="Callbacks, newest first")
def get_callbacks(
    program: Program,
    caller: Browsing,
    state: CallbackState | None = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Page[CallbackOut]:
    """Callbacks in a state or in any, page by page."""
    key = from_cursor(cursor) if cursor else None
    if key is not None and not (key.isascii() and key.isdigit()):
        raise ProblemError(422, "not a cursor of ours", field="cursor")
    with program.pool.connection() as conn:
        found = callbacks.list_callbacks(conn, state=state, before=int(key) if key else None, limit=limit + 1)
    return page_of([_callback_out(one, viewer=caller) for one in found], limit=limit, last_key="id")


@router.post("/callbacks/{callback}/{change}", summary="Say that a shop was called back, or need not be")
def post_change(callback: int, change: Literal["done", "drop"], program: Program, caller: Handling) -> CallbackOut:
    """Close a callback; 409 where it is not open."""
    close: Callable[..., Callback] = callbacks.done if change == "done" else callbacks.drop
    try:
        with program.pool.connection() as conn:
            agent = caller.agent.id if caller.agent else None
            return _callback_out(close(conn, callback=callback, agent=agent, now=program.now()), viewer=caller)
    except CallbackError as error:
        raise ProblemError(409, str(error), field="callback") from None


def _qualification_out(one: Qualification) -> QualificationOut:
    return QualificationOut(
        call=one.call,
        version=one.version,
        subject=one.subject,
        typology=one.typology,
        outcome=one.outcome,
        level=one.level,
        author=one.author_name,
        at=one.at,
    )


def _callback_out(one: Callback, *, viewer: Viewer) -> CallbackOut:
    return CallbackOut(
        id=one.id,
        call=one.call,
        made_by_abandon=one.made_by_abandon,
        point_of_sale=one.point_of_sale,
        number=number_for_programs(one.number, viewer=viewer),
        made_at=one.made_at,
        due_at=one.due_at,
        state=one.state,
        reason=one.reason,
        agent=one.agent_name,
        done_at=one.done_at,
    )
