"""REST: incidents, their course, whom they hit, and what people do about them."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from diagnostics.incident_views import silent_after, terminals_after
from diagnostics.incidents import (
    Incident,
    IncidentError,
    acknowledge,
    children_of,
    comment,
    declare,
    events_of,
    incident,
    list_incidents,
    minutes_of,
    reopen,
    resolve,
)
from diagnostics.troubles import Trouble
from fleet.database import Connection
from fleet.registry import DIMENSIONS
from fleet.scope import ScopeError
from hotline.roles import Right
from hotline.web.context import Web, web
from hotline.web.guards import ApiGuard, Caller
from hotline.web.problems import ProblemError
from hotline.web.rest_incident_models import (
    EventOut,
    HitTerminalOut,
    IncidentDetail,
    IncidentOut,
    Language,
    MinuteOut,
    SilentVictimOut,
    event_out,
    hit_terminal_out,
    incident_detail,
    incident_out,
    minute_out,
    silent_out,
)
from hotline.web.rest_models import Page, from_cursor, page_of

router = APIRouter(prefix="/api/v1", tags=["incidents"])

Program = Annotated[Web, Depends(web)]
Acting = Annotated[Caller, Depends(ApiGuard(Right.DECLARE_INCIDENTS))]
READING = ApiGuard(Right.READ)
Reading = Depends(READING)
Browsing = Depends(ApiGuard(Right.BROWSE))
ReadBy = Annotated[Caller, Depends(READING)]
Limit = Annotated[int, Query(ge=1, le=500)]


class NewIncident(BaseModel):
    """What declares an incident."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field(min_length=1, max_length=200)
    advice: str = Field("", max_length=2000, description="What to say to shopkeepers.")
    scope: dict[str, str] = Field(default_factory=dict, description="Dimension and value; empty: the whole fleet.")


class Said(BaseModel):
    """A comment."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=2000)


class Reason(BaseModel):
    """How it was resolved, or why it is open again."""

    model_config = ConfigDict(extra="forbid")

    detail: str = Field("", max_length=2000)


@router.get("/incidents", summary="Incidents, newest first", dependencies=[Browsing])
def get_incidents(
    *,
    program: Program,
    language: Language,
    state: Annotated[
        Literal["open", "acknowledged", "clearing", "closed"] | None,
        Query(description="`open` is every state but `closed`; without it, all."),
    ] = None,
    trouble: Annotated[Trouble | Literal["declared"] | None, Query(description="`declared`: by a person.")] = None,
    dimension: Annotated[str | None, Query(max_length=20, description="The scope names it.")] = None,
    value: Annotated[str | None, Query(max_length=40, description="With this value of `dimension`.")] = None,
    since: Annotated[datetime | None, Query(description="Still open, or closed after it.")] = None,
    cursor: str | None = None,
    limit: Limit = 100,
) -> Page[IncidentOut]:
    """Incidents that meet every filter given, page by page."""
    if dimension is not None and dimension not in DIMENSIONS:
        raise ProblemError(422, f"not a dimension; known: {', '.join(DIMENSIONS)}", field="dimension")
    if value is not None and dimension is None:
        raise ProblemError(422, "needs a `dimension`", field="value")
    if since is not None and since.tzinfo is None:
        raise ProblemError(422, "needs an offset from UTC, as in 2026-11-23T10:00:00Z", field="since")
    with program.pool.connection() as conn:
        found = list_incidents(
            conn,
            is_open=None if state is None else state != "closed",
            states=[state] if state in ("acknowledged", "clearing") else None,
            trouble="" if trouble == "declared" else trouble,
            dimension=dimension,
            value=value,
            since=since,
            before=_number(from_cursor(cursor)) if cursor else None,
            limit=limit + 1,
        )
    return page_of([incident_out(one, language) for one in found], limit=limit, last_key="id")


@router.get("/incidents/{incident_id}", summary="One incident with its evidence", dependencies=[Reading])
def get_incident(incident_id: int, program: Program, language: Language) -> IncidentDetail:
    """One incident, whatever its state."""
    with program.pool.connection() as conn:
        return _detail(conn, _find(conn, incident_id), language)


@router.get("/incidents/{incident_id}/events", summary="Its course")
def get_events(
    *, incident_id: int, caller: ReadBy, program: Program, language: Language, cursor: str | None = None, limit: Limit = 100
) -> Page[EventOut]:
    """Every step of its life, oldest first."""
    after = _number(from_cursor(cursor)) if cursor else 0
    translate = program.pages.translate(language)
    with program.pool.connection() as conn:
        found = sorted(events_of(conn, _find(conn, incident_id).id), key=lambda event: event.id)
    later = [event for event in found if event.id > after][: limit + 1]
    shown = [event_out(event, language, translate=translate, viewer=caller) for event in later]
    return page_of(shown, limit=limit, last_key="id")


@router.get("/incidents/{incident_id}/terminals", summary="The terminals it touches", dependencies=[Browsing])
def get_terminals(
    *,
    incident_id: int,
    program: Program,
    hit: Annotated[bool | None, Query(description="True: those that showed it; false: those only in its scope.")] = None,
    cursor: str | None = None,
    limit: Limit = 100,
) -> Page[HitTerminalOut]:
    """Terminals by id, page by page."""
    with program.pool.connection() as conn:
        after = from_cursor(cursor) if cursor else ""
        found = terminals_after(conn, _find(conn, incident_id), terminal_id=after, hit=hit, limit=limit + 1)
    return page_of([hit_terminal_out(one) for one in found], limit=limit, last_key="terminal_id")


@router.get("/incidents/{incident_id}/silent-victims", summary="Shops hit that have not rung", dependencies=[Browsing])
def get_silent_victims(
    *, incident_id: int, program: Program, cursor: str | None = None, limit: Limit = 100
) -> Page[SilentVictimOut]:
    """Shops by code, page by page."""
    with program.pool.connection() as conn:
        after = from_cursor(cursor) if cursor else ""
        found = silent_after(conn, _find(conn, incident_id), code=after, limit=limit + 1)
    return page_of([silent_out(one) for one in found], limit=limit, last_key="point_of_sale")


@router.get("/incidents/{incident_id}/minutes", summary="Its figures, minute by minute", dependencies=[Reading])
def get_minutes(incident_id: int, program: Program) -> list[MinuteOut]:
    """From half an hour before it began, oldest first; one that a person declared has none."""
    with program.pool.connection() as conn:
        return [minute_out(one) for one in minutes_of(conn, _find(conn, incident_id).id)]


@router.post("/incidents", status_code=201, summary="Declare an incident")
def post_incident(new: NewIncident, program: Program, caller: Acting, language: Language) -> IncidentDetail:
    """Open an incident over every terminal that meets the scope."""
    try:
        with program.pool.connection() as conn:
            made = declare(conn, scope=new.scope, title=new.title, advice=new.advice, actor=caller.name, now=program.now())
            return _detail(conn, made, language)
    except ScopeError as error:
        raise ProblemError(422, str(error), field=f"scope.{error.field}") from None
    except IncidentError as error:
        raise ProblemError(422, str(error), field=error.field) from None


@router.post("/incidents/{incident_id}/acknowledge", summary="Take it on")
def post_acknowledge(incident_id: int, program: Program, caller: Acting, language: Language) -> IncidentDetail:
    """Say that somebody has taken it on; doing so twice changes nothing."""
    now = program.now()
    return _act(program, incident_id, language, lambda conn: acknowledge(conn, incident_id, actor=caller.name, now=now))


@router.post("/incidents/{incident_id}/comments", status_code=201, summary="Comment it")
def post_comment(incident_id: int, said: Said, program: Program, caller: Acting, language: Language) -> IncidentDetail:
    """Add a comment to its course, whatever its state."""
    return _act(
        program,
        incident_id,
        language,
        lambda conn: comment(conn, incident_id, actor=caller.name, text=said.text, now=program.now()),
    )


@router.post("/incidents/{incident_id}/resolve", summary="Close it")
def post_resolve(incident_id: int, how: Reason, program: Program, caller: Acting, language: Language) -> IncidentDetail:
    """Close it, saying how; one that goes on showing is reopened by the watch."""
    return _act(
        program,
        incident_id,
        language,
        lambda conn: resolve(conn, incident_id, actor=caller.name, detail=how.detail, now=program.now()),
    )


@router.post("/incidents/{incident_id}/reopen", summary="Open it again")
def post_reopen(incident_id: int, why: Reason, program: Program, caller: Acting, language: Language) -> IncidentDetail:
    """Open a closed one again, saying why; 409 where it was merged into another."""
    return _act(
        program,
        incident_id,
        language,
        lambda conn: reopen(conn, incident_id, actor=caller.name, detail=why.detail, now=program.now()),
    )


def _act(program: Web, incident_id: int, language: str, act: Callable[[Connection], Incident]) -> IncidentDetail:
    with program.pool.connection() as conn:
        _find(conn, incident_id)
        try:
            return _detail(conn, act(conn), language)
        except IncidentError as error:
            raise ProblemError(409 if error.field == "id" else 422, str(error), field=error.field) from None


def _find(conn: Connection, incident_id: int) -> Incident:
    try:
        return incident(conn, incident_id)
    except IncidentError as error:
        raise ProblemError(404, str(error), field="incident_id") from None


def _detail(conn: Connection, found: Incident, language: str) -> IncidentDetail:
    return incident_detail(found, language, children=[part.id for part in children_of(conn, found.id)])


def _number(key: str) -> int:
    if not key.isascii() or not key.isdigit():
        raise ProblemError(422, "not a cursor of ours", field="cursor")
    return int(key)
