"""REST: calls."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from hotline.call_state import State
from hotline.calls import find_call, list_calls
from hotline.phone_numbers import read_number
from hotline.roles import Right
from hotline.stored_legs import legs_of
from hotline.web.context import Web, web
from hotline.web.guards import ApiGuard, Caller
from hotline.web.problems import ProblemError
from hotline.web.rest_models import CallDetail, CallOut, Page, call_detail_out, call_out, from_cursor, page_of

router = APIRouter(prefix="/api/v1", tags=["calls"])

Program = Annotated[Web, Depends(web)]
Reading = Annotated[Caller, Depends(ApiGuard(Right.READ))]
Browsing = Annotated[Caller, Depends(ApiGuard(Right.BROWSE))]


@router.get("/calls", summary="Calls, newest first")
def get_calls(
    *,
    caller: Browsing,
    program: Program,
    point_of_sale: Annotated[str | None, Query(max_length=40)] = None,
    phone: Annotated[str | None, Query(max_length=60, description="A number in any usual form.")] = None,
    state: State | None = None,
    since: datetime | None = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Page[CallOut]:
    """Calls that meet every filter given, page by page."""
    number = read_number(phone) if phone is not None else None
    if phone is not None and number is None:
        raise ProblemError(422, "not a telephone number", field="phone")
    if since is not None and since.tzinfo is None:
        raise ProblemError(422, "needs an offset from UTC, as in 2026-11-23T10:00:00Z", field="since")
    key = from_cursor(cursor) if cursor else None
    if key is not None and not (key.isascii() and key.isdigit()):
        raise ProblemError(422, "not a cursor of ours", field="cursor")
    with program.pool.connection() as conn:
        found = list_calls(
            conn,
            point_of_sale=point_of_sale,
            number=number,
            state=state,
            since=since,
            before=int(key) if key else None,
            limit=limit + 1,
        )
    return page_of([call_out(call, viewer=caller) for call in found], limit=limit, last_key="id")


@router.get("/calls/{call}", summary="One call")
def get_call(call: int, caller: Reading, program: Program) -> CallDetail:
    """One call by Vigie's id, with its legs."""
    with program.pool.connection() as conn:
        found = find_call(conn, call=call)
        legs = legs_of(conn, call=call)
    if found is None:
        raise ProblemError(404, "no such call", field="call")
    return call_detail_out(found, legs, viewer=caller)
