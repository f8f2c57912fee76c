"""REST: calls attached to incidents."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from diagnostics.incidents import IncidentError, incident
from hotline.attachments import MOST_CALLS, Attachment, AttachmentError, attach, attachments_of, undo
from hotline.reach import out_of_reach
from hotline.roles import Right
from hotline.web.context import Web, web
from hotline.web.guards import ApiGuard, Caller
from hotline.web.problems import ProblemError

router = APIRouter(prefix="/api/v1", tags=["incidents"])

Program = Annotated[Web, Depends(web)]
Handling = Annotated[Caller, Depends(ApiGuard(Right.HANDLE_CALLS))]


class CallsIn(BaseModel):
    """Calls to attach."""

    model_config = ConfigDict(extra="forbid")

    calls: list[int] = Field(
        min_length=1, max_length=MOST_CALLS, description="Vigie's ids; what is attached already stays where it is."
    )


class AttachmentOut(BaseModel):
    """One action that attached calls to an incident."""

    id: int
    incident: int
    author: str
    at: datetime
    undone_at: datetime | None
    calls: list[int]
    closed: int = Field(description="How many of them ended with the incident.")


@router.get(
    "/incidents/{incident_id}/calls", summary="What was attached, newest first", dependencies=[Depends(ApiGuard(Right.READ))]
)
def get_attachments(incident_id: int, program: Program) -> list[AttachmentOut]:
    """Every action on an incident, undone ones too."""
    with program.pool.connection() as conn:
        try:
            incident(conn, incident_id)
        except IncidentError as error:
            raise ProblemError(404, str(error), field="incident_id") from None
        return [_out(one) for one in attachments_of(conn, incident=incident_id)]


@router.post("/incidents/{incident_id}/calls", status_code=201, summary="Attach calls to an incident")
def post_calls(incident_id: int, new: CallsIn, program: Program, caller: Handling) -> AttachmentOut:
    """Attach them in one action, which can be undone as one; the overflow floor attaches its own calls."""
    try:
        with program.pool.connection() as conn:
            if out_of_reach(conn, "call", new.calls, floor=caller.floor):
                raise ProblemError(403, "one of them is the other floor's", field="calls")
            agent = caller.agent.id if caller.agent else None
            made = attach(conn, incident=incident_id, calls=new.calls, author=caller.name, agent=agent, now=program.now())
    except IncidentError as error:
        raise ProblemError(404, str(error), field="incident_id") from None
    except AttachmentError as error:
        raise ProblemError(422, str(error), field=error.field) from None
    return _out(made)


@router.post("/attachments/{attachment}/undo", summary="Undo an attachment")
def post_undo(attachment: int, program: Program, caller: Handling) -> AttachmentOut:
    """Detach its calls, and take back what the incident's end did to them; 409 where it does not stand."""
    try:
        with program.pool.connection() as conn:
            return _out(undo(conn, attachment_id=attachment, author=caller.name, now=program.now()))
    except AttachmentError as error:
        raise ProblemError(409, str(error), field=error.field) from None


def _out(one: Attachment) -> AttachmentOut:
    return AttachmentOut(
        id=one.id,
        incident=one.incident,
        author=one.author_name,
        at=one.at,
        undone_at=one.undone_at,
        calls=one.calls,
        closed=one.closed,
    )
