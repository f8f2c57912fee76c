"""The console's callbacks: whom to call back, the most urgent first; an agent takes one on, and says when it is done."""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from fleet import registry
from fleet.database import Connection
from hotline.callbacks import Callback, CallbackError, done, drop, ended_since, give_back, open_callbacks, take
from hotline.reach import out_of_reach
from hotline.roles import Right
from hotline.sessions import Session
from hotline.web.context import Web, web
from hotline.web.guards import Editor, Reader
from hotline.web.layout import fragment, page

router = APIRouter(include_in_schema=False)

ReadingSession = Annotated[Session, Depends(Reader(Right.READ))]
PollingSession = Annotated[Session, Depends(Reader(Right.READ, slide=False))]
HandlingSession = Annotated[Session, Depends(Editor(Right.HANDLE_CALLS))]
Program = Annotated[Web, Depends(web)]

ENDED_BACK, ENDED_SHOWN = timedelta(hours=24), 40

_CHANGES: Final[dict[str, Callable[[Connection, int, Session, Web], Callback]]] = {
    "take": lambda conn, callback, session, _program: take(conn, callback=callback, agent=session.agent.id),
    "give-back": lambda conn, callback, session, _program: give_back(conn, callback=callback, agent=session.agent.id),
    "done": lambda conn, callback, session, program: done(conn, callback=callback, agent=session.agent.id, now=program.now()),
    "drop": lambda conn, callback, session, program: drop(conn, callback=callback, agent=session.agent.id, now=program.now()),
}


@router.get("/console/callbacks")
def callbacks(request: Request, session: ReadingSession, program: Program) -> Response:
    """Every shop to call back, and what became of the last ones."""
    with program.pool.connection() as conn:
        values = _read(conn, session, program)
    return page(request, "callbacks.html", session=session, here="callbacks", refused=False, **values)


@router.get("/console/callbacks/now")
def callbacks_now(request: Request, session: PollingSession, program: Program) -> Response:
    """The part of the page that renews itself."""
    with program.pool.connection() as conn:
        values = _read(conn, session, program)
    return fragment(request, "callback_list.html", session=session, refused=False, **values)


@router.post("/console/callbacks/{callback}/{change}")
def change_callback(
    request: Request,
    callback: int,
    change: Literal["take", "give-back", "done", "drop"],
    session: HandlingSession,
    program: Program,
) -> Response:
    """Take a callback on, leave it to others, say that it is done or not needed; the list comes back as it is then."""
    refused = False
    with program.pool.connection() as conn:
        try:
            _CHANGES[change](conn, callback, session, program)
        except CallbackError:
            # Another was quicker: the list tells who.
            refused = True
        values = _read(conn, session, program)
    return fragment(request, "callback_list.html", session=session, refused=refused, **values)


def _read(conn: Connection, session: Session, program: Web) -> dict[str, Any]:
    waiting = open_callbacks(conn)
    ended = ended_since(conn, since=program.now() - ENDED_BACK, limit=ENDED_SHOWN)
    hidden = out_of_reach(conn, "callback", [one.id for one in (*waiting, *ended)], floor=session.floor)
    waiting, ended = ([one for one in some if one.id not in hidden] for some in (waiting, ended))
    codes = sorted({one.point_of_sale for one in (*waiting, *ended) if one.point_of_sale})
    return {
        "waiting": waiting,
        "ended": ended,
        "shops": {shop.code: shop for shop in registry.points_of_sale(conn, codes)},
        "acts": session.may(Right.HANDLE_CALLS),
        "me": session.agent.id,
    }
