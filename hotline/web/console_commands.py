"""The console's remote commands: a terminal's orders with what became of each, and a button for each that the reader may give."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from fleet import presence, registry
from hotline import command_words
from hotline.commands import ON_ITS_WAY, Order, ask, commands_of, fate_of
from hotline.roles import Right
from hotline.sessions import Session
from hotline.web.context import Web, web
from hotline.web.guards import Editor, Reader
from hotline.web.layout import fragment

router = APIRouter(include_in_schema=False)

# A page asks for it by itself.
PollingSession = Annotated[Session, Depends(Reader(Right.READ, slide=False))]
TestingSession = Annotated[Session, Depends(Editor(Right.TEST_TERMINALS))]
RebootingSession = Annotated[Session, Depends(Editor(Right.REBOOT_TERMINALS))]
Program = Annotated[Web, Depends(web)]
# Where on a page it stands: one terminal may be shown by several calls at once.
_PLACE = "^[a-z][0-9]{0,18}$"
PlaceAsked = Annotated[str, Query(pattern=_PLACE)]
PlaceSent = Annotated[str, Form(pattern=_PLACE)]

ORDERS_SHOWN = 5


@router.get("/console/terminals/{terminal_id}/commands")
def orders(request: Request, terminal_id: str, session: PollingSession, program: Program, place: PlaceAsked = "t") -> Response:
    """A terminal's last orders, and what it can be told."""
    return _fragment(request, terminal_id, session, program, place)


@router.post("/console/terminals/{terminal_id}/ping")
def ping(request: Request, terminal_id: str, session: TestingSession, program: Program, place: PlaceSent = "t") -> Response:
    """Ask a terminal whether it hears us."""
    return _order(request, terminal_id, session, program, place, name=Order.PING)


@router.post("/console/terminals/{terminal_id}/print-test")
def print_test(request: Request, terminal_id: str, session: TestingSession, program: Program, place: PlaceSent = "t") -> Response:
    """Let a terminal print a test ticket."""
    return _order(request, terminal_id, session, program, place, name=Order.PRINT_TEST)


@router.post("/console/terminals/{terminal_id}/reboot")
def reboot(request: Request, terminal_id: str, session: RebootingSession, program: Program, place: PlaceSent = "t") -> Response:
    """Restart a terminal."""
    return _order(request, terminal_id, session, program, place, name=Order.REBOOT)


def _order(request: Request, terminal_id: str, session: Session, program: Web, place: str, *, name: Order) -> Response:
    if not program.settings.gives_commands:
        raise HTTPException(409)
    with program.pool.connection() as conn:
        if registry.terminal(conn, terminal_id) is None:
            raise HTTPException(404)
        ask(conn, terminal_id=terminal_id, name=name, asked_by=session.agent.login, now=program.now())
    return _fragment(request, terminal_id, session, program, place)


def _fragment(request: Request, terminal_id: str, session: Session, program: Web, place: str) -> Response:
    now = program.now()
    with program.pool.connection() as conn:
        if registry.terminal(conn, terminal_id) is None:
            raise HTTPException(404)
        found = [(one, fate_of(one, now=now)) for one in commands_of(conn, terminal_id=terminal_id, limit=ORDERS_SHOWN)]
        connected = presence.load(conn, [terminal_id]).get(terminal_id)
    return fragment(
        request,
        "commands.html",
        session=session,
        terminal_id=terminal_id,
        place=place,
        orders=found,
        on_its_way=any(fate in ON_ITS_WAY for _, fate in found),
        connected=connected is not None and connected.online,
        gives_commands=program.settings.gives_commands,
        may_test=session.may(Right.TEST_TERMINALS),
        may_reboot=session.may(Right.REBOOT_TERMINALS),
        command_words=command_words,
    )
