"""The console's pages: calls, shops, terminals."""

import json
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

from diagnostics.health import counts
from diagnostics.incidents import open_incidents
from fleet import history, registry
from fleet.database import Connection
from hotline.calls import choose_point_of_sale, events_of, find_call
from hotline.floors import Floor
from hotline.masking import searched_for
from hotline.matching import sees
from hotline.opening import ZONE, day_bounds
from hotline.pop import view_call, view_shop, view_terminals
from hotline.reach import newest_calls
from hotline.readings import readings
from hotline.roles import Right
from hotline.sessions import Session
from hotline.stored_call import StoredCall
from hotline.stored_legs import legs_of
from hotline.terminal_firmware import read_firmware
from hotline.terminal_history import read_history
from hotline.web.context import Web, web
from hotline.web.guards import Editor, Reader
from hotline.web.layout import fragment, page, telemetry_state

router = APIRouter(include_in_schema=False)

ReadingSession = Annotated[Session, Depends(Reader(Right.READ))]
# What a page asks by itself does not count as use of the session.
PollingSession = Annotated[Session, Depends(Reader(Right.READ, slide=False))]
HandlingSession = Annotated[Session, Depends(Editor(Right.HANDLE_CALLS))]
Program = Annotated[Web, Depends(web)]

TODAY_SHOWN, LIST_SHOWN, INCIDENTS_SHOWN = 30, 100, 5
# As long as a shop that rings again is the same matter.
OVERFLOW_BACK = timedelta(days=7)
SAMPLE_COLUMNS = (
    "tickets",
    "tx_ms",
    "tx_timeouts",
    "rtt_ms",
    "loss_pct",
    "signal_dbm",
    "print_errors",
    "paper_pct",
    "board_c",
    "mem_mb",
)


@router.get("/console")
def home(request: Request, session: ReadingSession, program: Program) -> Response:
    """Where an agent waits for calls."""
    with program.pool.connection() as conn:
        values = _today(conn, floor=session.floor, now=program.now())
    return page(request, "home.html", session=session, here="console", **values)


@router.get("/console/today")
def today(request: Request, session: PollingSession, program: Program) -> Response:
    """The part of the home page that renews itself."""
    with program.pool.connection() as conn:
        values = _today(conn, floor=session.floor, now=program.now())
    return fragment(request, "today.html", session=session, **values)


@router.get("/console/banners")
def banners(request: Request, session: PollingSession, program: Program) -> Response:
    """The banners, renewed on every page."""
    with program.pool.connection() as conn:
        state = telemetry_state(conn, now=program.now())
    return fragment(request, "banners.html", session=session, clock_offset_s=program.settings.clock_offset_s, **state)


@router.get("/console/calls")
def calls(request: Request, session: ReadingSession, program: Program, before: int | None = None) -> Response:
    """Every call, newest first; on the overflow floor, those of late that it has had a part in."""
    since = None if session.may(Right.BROWSE) else program.now() - OVERFLOW_BACK
    with program.pool.connection() as conn:
        found = newest_calls(conn, floor=session.floor, since=since, before=before, limit=LIST_SHOWN + 1)
        shops = _shop_names(conn, found)
    older = found[LIST_SHOWN - 1].id if len(found) > LIST_SHOWN else None
    return page(request, "calls.html", session=session, here="calls", calls=found[:LIST_SHOWN], shops=shops, older=older)


@router.get("/console/calls/{call}")
def call_page(request: Request, call: int, session: ReadingSession, program: Program) -> Response:
    """One call, whatever its age: what its agent saw, as it is now."""
    with program.pool.connection() as conn:
        found = _call(conn, call)
        view = view_call(conn, call=found, now=program.now())
        events = events_of(conn, call_id=found.call_id)
        legs = legs_of(conn, call=call)
    return page(request, "call_page.html", session=session, here="calls", view=view, events=events, legs=legs)


@router.get("/console/calls/{call}/pop")
def pop(request: Request, call: int, session: PollingSession, program: Program) -> Response:
    """A call on screen, renewed; one that has left this agent's screens says so."""
    now = program.now()
    with program.pool.connection() as conn:
        found = _call(conn, call)
        if not request.headers.get("HX-Current-URL", "").endswith(f"/console/calls/{call}") and not sees(
            found, session.agent, now=now
        ):
            return Response(status_code=204, headers={"HX-Trigger": json.dumps({"vigie:left": {"call": call}})})
        view = view_call(conn, call=found, now=now)
    return fragment(request, "call.html", session=session, view=view)


@router.get("/console/calls/{call}/shops")
def shops_to_pick(
    request: Request, call: int, session: ReadingSession, program: Program, q: Annotated[str, Query(max_length=100)] = ""
) -> Response:
    """Shops a caller may belong to, by what the agent types."""
    with program.pool.connection() as conn:
        found = registry.search(conn, searched_for(q, viewer=session), limit=12) if len(q.strip()) >= 2 else []
    return fragment(request, "picks.html", session=session, shops=found, call=call, q=q)


@router.post("/console/calls/{call}/point-of-sale")
def pick_shop(call: int, session: HandlingSession, program: Program, code: Annotated[str, Form(max_length=40)]) -> Response:
    """Say which shop a call is from; the event stream brings the changed call to every screen."""
    del session
    with program.pool.connection() as conn:
        _call(conn, call)
        if registry.point_of_sale(conn, code) is None:
            raise HTTPException(404)
        choose_point_of_sale(conn, call=call, code=code)
    return Response(status_code=204)


@router.get("/console/points-of-sale/{code}")
def point_of_sale(request: Request, code: str, session: ReadingSession, program: Program) -> Response:
    """One shop with its terminals."""
    with program.pool.connection() as conn:
        shop = view_shop(conn, code=code, now=program.now())
    if shop is None:
        raise HTTPException(404)
    return page(request, "point_of_sale.html", session=session, shop=shop)


@router.get("/console/terminals/{terminal_id}")
def terminal(request: Request, terminal_id: str, session: ReadingSession, program: Program) -> HTMLResponse:
    """One terminal with its last day, and its last hour in figures."""
    now = program.now()
    with program.pool.connection() as conn:
        found = registry.terminal(conn, terminal_id)
        if found is None:
            raise HTTPException(404)
        (view,) = view_terminals(conn, terminals=[found], now=now)
        shop = registry.point_of_sale(conn, found.point_of_sale)
        past = read_history(conn, terminal_id=terminal_id, now=now)
        firmware = read_firmware(conn, terminal_id) if session.may(Right.SEE_ROLLOUT) else None
        samples = readings(history.samples_between(conn, terminal_id=terminal_id, start=now - timedelta(hours=1), end=now))
    known: dict[str, Any] = {"view": view, "shop": shop, "past": past, "samples": samples[::-1], "columns": SAMPLE_COLUMNS}
    return page(request, "terminal.html", session=session, firmware=firmware, **known)


def _call(conn: Connection, call: int) -> StoredCall:
    found = find_call(conn, call=call)
    if found is None:
        raise HTTPException(404)
    return found


def _today(conn: Connection, *, floor: Floor, now: datetime) -> dict[str, Any]:
    """The home page's figures, incidents and calls since midnight."""
    midnight, _ = day_bounds(now.astimezone(ZONE).date())
    found = newest_calls(conn, floor=floor, since=midnight, limit=TODAY_SHOWN + 1)
    # Parts of a wider one and what is under announced maintenance stand on the incidents' own page.
    incidents = [one for one in open_incidents(conn) if one.parent_id is None and not one.muted]
    return {
        "fleet": counts(conn, now=now),
        "incidents": incidents[:INCIDENTS_SHOWN],
        "more_incidents": max(0, len(incidents) - INCIDENTS_SHOWN),
        "calls": found[:TODAY_SHOWN],
        "more": len(found) > TODAY_SHOWN,
        "shops": _shop_names(conn, found),
    }


def _shop_names(conn: Connection, found: list[StoredCall]) -> dict[str, str]:
    codes = {call.point_of_sale for call in found if call.point_of_sale}
    return {shop.code: shop.name for shop in registry.points_of_sale(conn, sorted(codes))}
