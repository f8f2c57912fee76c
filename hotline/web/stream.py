"""The event stream of each open console."""

import logging
from collections.abc import Collection
from contextlib import suppress
from typing import Annotated

import psycopg
from anyio import to_thread
from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse
from prometheus_client import Counter
from psycopg_pool import ConnectionPool

from fleet.clock import Clock
from fleet.database import Connection
from hotline.calls import find_call, standing_calls
from hotline.masking import Onlooker
from hotline.pop import view_call
from hotline.roles import Right
from hotline.sessions import Session, still_signed_in
from hotline.stored_call import StoredCall
from hotline.terminal_day import RecentDays
from hotline.web.context import Web, web
from hotline.web.guards import Reader
from hotline.web.pages import Pages
from hotline.web.screens import Shown, Wanted

log = logging.getLogger(__name__)
router = APIRouter(include_in_schema=False)

HEARTBEAT_S = 15.0


@router.get("/console/stream")
async def stream(
    session: Annotated[Session, Depends(Reader(Right.READ, slide=False))], program: Annotated[Web, Depends(web)]
) -> StreamingResponse:
    """Every call of this agent, as it is and as it changes.

    `Last-Event-ID` needs no look: each connection is told the whole state.
    """

    def stands() -> bool:
        # While the database cannot be asked, nobody is sent away.
        with suppress(psycopg.Error), program.pool.connection() as conn:
            return still_signed_in(conn, token_digest=session.token_digest, longest=program.session_longest, now=program.now())
        return True

    async def still_welcome() -> bool:
        return await to_thread.run_sync(stands)

    body = program.hub.stream(session.agent, session.agent.language, heartbeat_s=HEARTBEAT_S, still_welcome=still_welcome)
    return StreamingResponse(body, media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


class CallReader:
    """Reads and renders calls for the hub, in its threads."""

    def __init__(self, pool: ConnectionPool[Connection], pages: Pages, clock: Clock, *, faults: Counter) -> None:
        """`faults` counts the calls that could not be shown whole."""
        self._pool = pool
        self._pages = pages
        self._clock = clock
        self._faults = faults
        self._days = RecentDays()

    def one(self, call: int, wanted: Wanted) -> Shown | None:
        """One call as it is now, for those who are to see it."""
        with self._pool.connection() as conn:
            found = find_call(conn, call=call)
            return self._show(conn, found, wanted(found)) if found else None

    def live(self, wanted: Wanted) -> list[Shown]:
        """Every call that stands on somebody's screens, for those who are to see it."""
        with self._pool.connection() as conn:
            standing = [(call, wanted(call)) for call in standing_calls(conn, now=self._clock())]
            return [self._show(conn, call, onlookers) for call, onlookers in standing if onlookers]

    def _show(self, conn: Connection, call: StoredCall, onlookers: Collection[Onlooker]) -> Shown:
        if not onlookers:
            return Shown(call, {})
        try:
            view = view_call(conn, call=call, now=self._clock(), days=self._days)
            return Shown(call, {one: self._render("call.html", one, view=view) for one in onlookers})
        except psycopg.OperationalError:
            # The next moment may bring it whole.
            raise
        except Exception:
            # One call's fault is not to keep the others off the screens, nor who rings off an agent's.
            log.exception("a call is shown without its picture", extra={"action": "show_call", "call": call.id})
            self._faults.inc()
            conn.rollback()
            return Shown(call, {one: self._render("call_bare.html", one, call=call) for one in onlookers})

    def _render(self, template: str, onlooker: Onlooker, **values: object) -> str:
        # Nobody in particular looks: a template that asks for more of the session than its floor fails here.
        return self._pages.render(template, language=onlooker.language, session=onlooker, now=self._clock(), **values)
