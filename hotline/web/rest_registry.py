"""REST: points of sale and terminals, with all that is known of them now and their samples over time."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from fleet import history, registry
from hotline.masking import searched_for
from hotline.phone_numbers import read_number
from hotline.pop import view_shop, view_terminals
from hotline.readings import readings
from hotline.roles import Right
from hotline.web.context import Web, web
from hotline.web.guards import ApiGuard, Caller
from hotline.web.problems import ProblemError
from hotline.web.rest_incident_models import Language
from hotline.web.rest_models import (
    Page,
    PointOfSaleDetail,
    PointOfSaleOut,
    TerminalDetail,
    TerminalOut,
    detail_out,
    from_cursor,
    page_of,
    point_out,
    terminal_out,
)

READING = ApiGuard(Right.READ)
router = APIRouter(prefix="/api/v1", tags=["registry"], dependencies=[Depends(READING)])

Program = Annotated[Web, Depends(web)]
Reading = Annotated[Caller, Depends(READING)]
Limit = Annotated[int, Query(ge=1, le=500)]
Filter = Annotated[str | None, Query(max_length=40)]
FEW = 12
# A raw answer holds a week at the open cadence; coarser steps any span that is kept.
LONGEST_RAW = timedelta(days=7)
FINEST_STEP_S, COARSEST_STEP_S = 1, 86_400
MOST_STEPS = 20_000
FIRST_YEAR, LAST_YEAR = 2000, 9998


@router.get("/points-of-sale", summary="Shops by telephone number, by what a person would type, or all")
def list_points_of_sale(
    *,
    caller: Reading,
    program: Program,
    phone: Annotated[str | None, Query(max_length=60, description="A number in any usual form.")] = None,
    q: Annotated[str | None, Query(max_length=100, description="Code, part of a name, terminal, digits of a number.")] = None,
    cursor: str | None = None,
    limit: Limit = 100,
) -> Page[PointOfSaleOut]:
    """With `phone`: every shop that has the number. With `q`: the best hits. Else: all, page by page.

    The overflow floor gets no more hits than a person reads, and not all: 403.
    """
    if not caller.may(Right.BROWSE):
        if phone is None and q is None:
            raise ProblemError(403, "give a `phone` or `q`: the overflow floor may not list every shop")
        limit = min(limit, FEW)
    with program.pool.connection() as conn:
        if phone is not None:
            number = read_number(phone)
            if number is None:
                raise ProblemError(422, "not a telephone number", field="phone")
            sharing = registry.find_points_of_sale(conn, phone=number)
            return Page(items=[point_out(shop, viewer=caller) for shop in sharing], next=None)
        if q is not None:
            hits = registry.search(conn, searched_for(q, viewer=caller), limit=limit)
            return Page(items=[point_out(shop, viewer=caller) for shop in hits], next=None)
        found = registry.points_of_sale_after(conn, code=from_cursor(cursor) if cursor else "", limit=limit + 1)
    return page_of([point_out(shop, viewer=caller) for shop in found], limit=limit, last_key="code")


@router.get("/points-of-sale/{code}", summary="A shop with its terminals, worst first")
def get_point_of_sale(code: str, caller: Reading, program: Program, language: Language) -> PointOfSaleDetail:
    """One shop, as a call shows it."""
    now = program.now()
    with program.pool.connection() as conn:
        found = view_shop(conn, code=code, now=now)
    if found is None:
        raise ProblemError(404, "no such point of sale", field="code")
    return PointOfSaleDetail(
        point_of_sale=point_out(found.shop, viewer=caller),
        open=found.is_open,
        terminals=[detail_out(view, now=now, language=language) for view in found.terminals],
    )


@router.get("/terminals", summary="Terminals by their dimensions", dependencies=[Depends(ApiGuard(Right.BROWSE))])
def list_terminals(
    *,
    program: Program,
    point_of_sale: Filter = None,
    department: Filter = None,
    region: Filter = None,
    model: Filter = None,
    hw: Filter = None,
    firmware: Filter = None,
    access: Filter = None,
    carrier: Filter = None,
    lot: Filter = None,
    agency: Filter = None,
    cursor: str | None = None,
    limit: Limit = 100,
) -> Page[TerminalOut]:
    """The terminals that meet every filter given, by id."""
    given = {
        "point_of_sale": point_of_sale,
        "department": department,
        "region": region,
        "model": model,
        "hw": hw,
        "firmware": firmware,
        "access": access,
        "carrier": carrier,
        "lot": lot,
        "agency": agency,
    }
    conditions = {name: value for name, value in given.items() if value is not None}
    with program.pool.connection() as conn:
        after = from_cursor(cursor) if cursor else ""
        found = registry.terminals_after(conn, terminal_id=after, limit=limit + 1, conditions=conditions)
    return page_of([terminal_out(terminal) for terminal in found], limit=limit, last_key="id")


@router.get("/terminals/{terminal_id}", summary="A terminal with all that is known of it now")
def get_terminal(terminal_id: str, program: Program, language: Language) -> TerminalDetail:
    """Registry, presence, health with reasons, newest sample with its age, incidents, rollout."""
    now = program.now()
    with program.pool.connection() as conn:
        found = registry.terminal(conn, terminal_id)
        if found is None:
            raise ProblemError(404, "no such terminal", field="terminal_id")
        (view,) = view_terminals(conn, terminals=[found], now=now)
    return detail_out(view, now=now, language=language)


@router.get("/terminals/{terminal_id}/samples", summary="A terminal's samples over time")
def list_samples(
    terminal_id: str,
    program: Program,
    start: Annotated[datetime | None, Query(alias="from", description="Default: a day before `to`.")] = None,
    end: Annotated[datetime | None, Query(alias="to", description="Default: now.")] = None,
    step: Annotated[
        int | None, Query(ge=FINEST_STEP_S, le=COARSEST_STEP_S, description="Seconds; without it, every sample as it came.")
    ] = None,
) -> list[dict[str, Any]]:
    """Oldest first; what was not measured is absent.

    With `step`, counters are summed and gauges averaged; from 300 s on, the 5-minute roll-up answers.
    """
    until = _aware(end, "to") or program.now()
    since = _aware(start, "from") or until - timedelta(days=1)
    if since >= until:
        raise ProblemError(422, "must be before `to`", field="from")
    if step is None and until - since > LONGEST_RAW:
        raise ProblemError(422, f"more than {LONGEST_RAW.days} days need a step", field="step")
    if step is not None and (until - since).total_seconds() / step > MOST_STEPS:
        raise ProblemError(422, f"more than {MOST_STEPS} steps: take a larger one", field="step")
    with program.pool.connection() as conn:
        if registry.terminal(conn, terminal_id) is None:
            raise ProblemError(404, "no such terminal", field="terminal_id")
        if step is None:
            raw = readings(history.samples_between(conn, terminal_id=terminal_id, start=since, end=until))
            return [{"at": r.at, "received_at": r.received_at, "boot": r.boot, "seq": r.seq, **r.figures} for r in raw]
        return history.series_between(conn, terminal_id=terminal_id, start=since, end=until, step=timedelta(seconds=step))


def _aware(moment: datetime | None, field: str) -> datetime | None:
    if moment is not None and moment.tzinfo is None:
        raise ProblemError(422, "needs an offset from UTC, as in 2026-11-23T10:00:00Z", field=field)
    # Nothing is stored outside, and a day more or less must still be a date.
    if moment is not None and not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ProblemError(422, f"must lie in the years {FIRST_YEAR} to {LAST_YEAR}", field=field)
    return moment
