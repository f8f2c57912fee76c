"""REST: announced maintenance."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from diagnostics.maintenance_store import MaintenanceError, announce, cancel, list_maintenance, maintenance
from fleet.scope import ScopeError
from hotline.roles import Right
from hotline.web.context import Web, web
from hotline.web.guards import ApiGuard, Caller
from hotline.web.problems import ProblemError
from hotline.web.rest_incident_models import MaintenanceOut, maintenance_out
from hotline.web.rest_models import Page, from_cursor, page_of

router = APIRouter(prefix="/api/v1", tags=["maintenance"])

Program = Annotated[Web, Depends(web)]
Acting = Annotated[Caller, Depends(ApiGuard(Right.DECLARE_INCIDENTS))]
Reading = Depends(ApiGuard(Right.READ))


class NewMaintenance(BaseModel):
    """What announces work."""

    model_config = ConfigDict(extra="forbid")

    note: str = Field(min_length=1, max_length=500, description="What is done.")
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    scope: dict[str, str] = Field(default_factory=dict, description="Dimension and value; empty: the whole fleet.")


@router.get("/maintenance-windows", summary="Announced maintenance, what starts last first", dependencies=[Reading])
def get_maintenance_windows(
    program: Program,
    since: Annotated[datetime | None, Query(description="Not over at this moment; without it, all ever announced.")] = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Page[MaintenanceOut]:
    """Announced work, page by page."""
    if since is not None and since.tzinfo is None:
        raise ProblemError(422, "needs an offset from UTC, as in 2026-11-23T10:00:00Z", field="since")
    key = from_cursor(cursor) if cursor else None
    if key is not None and not (key.isascii() and key.isdigit()):
        raise ProblemError(422, "not a cursor of ours", field="cursor")
    with program.pool.connection() as conn:
        found = list_maintenance(conn, since=since, before=int(key) if key else None, limit=limit + 1)
    return page_of([maintenance_out(one) for one in found], limit=limit, last_key="id")


@router.get("/maintenance-windows/{maintenance_id}", summary="One announced maintenance", dependencies=[Reading])
def get_maintenance_window(maintenance_id: int, program: Program) -> MaintenanceOut:
    """One, whatever became of it."""
    with program.pool.connection() as conn:
        try:
            return maintenance_out(maintenance(conn, maintenance_id))
        except MaintenanceError as error:
            raise ProblemError(404, str(error), field="maintenance_id") from None


@router.post("/maintenance-windows", status_code=201, summary="Announce maintenance")
def post_maintenance_window(new: NewMaintenance, program: Program, caller: Acting) -> MaintenanceOut:
    """Announce work on every terminal that meets the scope."""
    try:
        with program.pool.connection() as conn:
            return maintenance_out(announce(conn, **new.model_dump(), actor=caller.name, now=program.now()))
    except ScopeError as error:
        raise ProblemError(422, str(error), field=f"scope.{error.field}") from None
    except MaintenanceError as error:
        raise ProblemError(422, str(error), field=error.field) from None


@router.post("/maintenance-windows/{maintenance_id}/cancel", summary="Call it off, or end it early")
def post_cancel(maintenance_id: int, program: Program, caller: Acting) -> MaintenanceOut:
    """What is wrong in its scope is told from now on; 409 where it is over already."""
    with program.pool.connection() as conn:
        try:
            maintenance(conn, maintenance_id)
        except MaintenanceError as error:
            raise ProblemError(404, str(error), field="maintenance_id") from None
        try:
            return maintenance_out(cancel(conn, maintenance_id, actor=caller.name, now=program.now()))
        except MaintenanceError as error:
            raise ProblemError(409, str(error), field=error.field) from None
