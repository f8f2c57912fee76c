"""REST: incidents."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from diagnostics.incidents import IncidentError, declare, incident, list_incidents
from fleet.scope import ScopeError
from hotline.roles import Right
from hotline.web.context import Web, web
from hotline.web.guards import ApiGuard, Caller
from hotline.web.problems import ProblemError
from hotline.web.rest_models import IncidentOut, Page, from_cursor, incident_out, page_of

router = APIRouter(prefix="/api/v1", tags=["incidents"])

Program = Annotated[Web, Depends(web)]
Reading = Depends(ApiGuard(Right.READ))


class NewIncident(BaseModel):
    """What declares an incident."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field(min_length=1, max_length=200)
    advice: str = Field("", max_length=2000, description="What to say to shopkeepers.")
    scope: dict[str, str] = Field(default_factory=dict, description="Dimension and value; empty: the whole fleet.")


@router.get("/incidents", summary="Incidents, newest first", dependencies=[Reading])
def get_incidents(
    program: Program,
    state: Annotated[
        Literal["open", "closed"] | None, Query(description="`open` includes acknowledged ones; without it, all.")
    ] = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Page[IncidentOut]:
    """Incidents, page by page."""
    before = _number(from_cursor(cursor)) if cursor else None
    with program.pool.connection() as conn:
        found = list_incidents(conn, is_open=None if state is None else state == "open", before=before, limit=limit + 1)
    return page_of([incident_out(one) for one in found], limit=limit, last_key="id")


@router.get("/incidents/{incident_id}", summary="One incident", dependencies=[Reading])
def get_incident(incident_id: int, program: Program) -> IncidentOut:
    """One incident, whatever its state."""
    with program.pool.connection() as conn:
        try:
            return incident_out(incident(conn, incident_id))
        except IncidentError as error:
            raise ProblemError(404, str(error), field="incident_id") from None


@router.post("/incidents", status_code=201, summary="Declare an incident")
def post_incident(
    new: NewIncident, program: Program, caller: Annotated[Caller, Depends(ApiGuard(Right.DECLARE_INCIDENTS))]
) -> IncidentOut:
    """Open an incident over every terminal that meets the scope."""
    try:
        with program.pool.connection() as conn:
            opened = declare(conn, scope=new.scope, title=new.title, advice=new.advice, actor=caller.name, now=program.now())
    except ScopeError as error:
        raise ProblemError(422, str(error), field=f"scope.{error.field}") from None
    except IncidentError as error:
        raise ProblemError(422, str(error), field=error.field) from None
    return incident_out(opened)


def _number(key: str) -> int:
    if not key.isascii() or not key.isdigit():
        raise ProblemError(422, "not a cursor of ours", field="cursor")
    return int(key)
