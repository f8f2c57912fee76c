"""REST: orders to terminals."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from fleet import registry
from fleet.database import Connection
from hotline.commands import Command, Fate, Order, ask, commands_of, fate_of
from hotline.roles import Right
from hotline.web.context import Web, web
from hotline.web.guards import ApiGuard, Caller
from hotline.web.problems import ProblemError

router = APIRouter(prefix="/api/v1", tags=["commands"])

Program = Annotated[Web, Depends(web)]
Testing = Annotated[Caller, Depends(ApiGuard(Right.TEST_TERMINALS))]
Rebooting = Annotated[Caller, Depends(ApiGuard(Right.REBOOT_TERMINALS))]


class CommandOut(BaseModel):
    """An order and what became of it; `detail` is the terminal's own words."""

    id: int
    terminal_id: str
    name: Order
    fate: Fate
    asked_by: str
    asked_at: datetime
    sent_at: datetime | None
    answered_at: datetime | None
    detail: str | None


@router.get("/terminals/{terminal_id}/commands", summary="A terminal's last orders", dependencies=[Depends(ApiGuard(Right.READ))])
def get_commands(terminal_id: str, program: Program) -> list[CommandOut]:
    """Newest first."""
    now = program.now()
    with program.pool.connection() as conn:
        _known(conn, terminal_id)
        return [_out(one, now=now) for one in commands_of(conn, terminal_id=terminal_id, limit=50)]


@router.post("/terminals/{terminal_id}/ping", summary="Ask a terminal whether it hears us", status_code=202)
def post_ping(terminal_id: str, program: Program, caller: Testing) -> CommandOut:
    """Its answer is told by the list of its orders."""
    return _order(program, caller, terminal_id, Order.PING)


@router.post("/terminals/{terminal_id}/print-test", summary="Let a terminal print a test ticket", status_code=202)
def post_print_test(terminal_id: str, program: Program, caller: Testing) -> CommandOut:
    """Its answer is told by the list of its orders."""
    return _order(program, caller, terminal_id, Order.PRINT_TEST)


@router.post("/terminals/{terminal_id}/reboot", summary="Restart a terminal", status_code=202)
def post_reboot(terminal_id: str, program: Program, caller: Rebooting) -> CommandOut:
    """Its answer is told by the list of its orders; the shop sells nothing meanwhile."""
    return _order(program, caller, terminal_id, Order.REBOOT)


def _order(program: Web, caller: Caller, terminal_id: str, name: Order) -> CommandOut:
    if not program.settings.gives_commands:
        raise ProblemError(409, "orders to terminals are not set up: VIGIE_COMMAND_MQTT_URL")
    now = program.now()
    with program.pool.connection() as conn:
        _known(conn, terminal_id)
        return _out(ask(conn, terminal_id=terminal_id, name=name, asked_by=caller.name, now=now), now=now)


def _known(conn: Connection, terminal_id: str) -> None:
    if registry.terminal(conn, terminal_id) is None:
        raise ProblemError(404, "no such terminal", field="terminal_id")


def _out(command: Command, *, now: datetime) -> CommandOut:
    return CommandOut(
        id=command.id,
        terminal_id=command.terminal_id,
        name=command.name,
        fate=fate_of(command, now=now),
        asked_by=command.asked_by,
        asked_at=command.asked_at,
        sent_at=command.sent_at,
        answered_at=command.answered_at,
        detail=command.detail,
    )
