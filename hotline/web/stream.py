"""The event stream of each open console."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

import psycopg
from anyio import to_thread
from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse
from psycopg_pool import ConnectionPool

from fleet.clock import Clock
from fleet.database import Connection
from hotline.calls import find_call, live_calls
from hotline.masking import Onlooker
from hotline.pop import view_call
from hotline.roles import Right
from hotline.sessions import Session, still_signed_in
from hotline.stored_call import StoredCall
from hotline.web.context import Web, web
from hotline.web.guards import Reader
from hotline.web.hub import Shown
from hotline.web.pages import Pages

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

    def __init__(self, pool: ConnectionPool[Connection], pages: Pages, clock: Clock) -> None:
        self._pool = pool
        self._pages = pages
        self._clock = clock

    def one(self, call: int, onlookers: Sequence[Onlooker]) -> Shown | None:
        """One call as it is now."""
        with self._pool.connection() as conn:
            found = find_call(conn, call=call)
            return self._show(conn, found, onlookers) if found else None

    def live(self, onlookers: Sequence[Onlooker]) -> list[Shown]:
        """Every call that rings or is spoken."""
        with self._pool.connection() as conn:
            return [self._show(conn, call, onlookers) for call in live_calls(conn, now=self._clock())]

    def _show(self, conn: Connection, call: StoredCall, onlookers: Sequence[Onlooker]) -> Shown:
        now = self._clock()
        view = view_call(conn, call=call, now=now)
        return Shown(
            call,
            {
                # Nobody in particular looks: a template that asks for more of the session than its floor fails here.
                onlooker: self._pages.render("call.html", language=onlooker.language, session=onlooker, view=view, now=now)
                for onlooker in onlookers
            },
        )
