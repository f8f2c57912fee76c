"""`vigie notices`: what the IT department was told, what waits, what was given up; try again, or try a channel."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from vigie.commands.transaction import transaction

if TYPE_CHECKING:
    from diagnostics.notices.outbox import Notice

group = typer.Typer(help="Notices: what the IT department is told of incidents.", no_args_is_help=True)
_STATES = ("waiting", "sent", "dead", "dropped")
_LOOK_EVERY_S = 0.2


def add_to(app: typer.Typer) -> None:
    """Add the group to the application."""
    app.add_typer(group, name="notices")


@group.command("list")
def list_them(
    state: Annotated[str, typer.Option(help="Only these: waiting, sent, dead or dropped.")] = "",
    incident: Annotated[int | None, typer.Option(help="Only this incident's.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many, the newest.")] = 40,
) -> None:
    """List notices, newest first, after the channels there are."""
    from rich.console import Console

    from diagnostics.notices.outbox import channels, list_notices
    from fleet.errors import VigieError

    if state and state not in _STATES:
        raise VigieError(f"--state {state}: one of {', '.join(_STATES)}")
    with transaction("notices") as (conn, _):
        known = channels(conn)
        found = list_notices(conn, states=[state] if state else None, incident=incident, limit=limit)
    console = Console()
    console.print(
        f"channels: {', '.join(c.name for c in known) or 'none; see VIGIE_NOTICE_… in docs/settings.md'}", highlight=False
    )
    console.print(_table(found))


@group.command()
def retry(
    notice: Annotated[list[int] | None, typer.Argument(help="Numbers of dead notices; none: all of them.")] = None,
) -> None:
    """Try dead notices again, with every attempt before them; what a later notice overtook is dropped."""
    from diagnostics.notices.outbox import retry_notices

    with transaction("notices") as (conn, now):
        count = retry_notices(conn, ids=notice or None, now=now)
    typer.echo(f"notices tried again: {count}")


@group.command("test")
def try_channels(
    channel: Annotated[str, typer.Option(help="Only this channel, as `vigie notices list` names it.")] = "",
    seconds: Annotated[float, typer.Option(min=0, help="How long to wait for the running watch to send it.")] = 15.0,
) -> None:
    """Have the running watch send a test by each channel, and say how that ended."""
    from rich.console import Console

    from diagnostics.notices.outbox import channels, enqueue_trial, list_notices
    from fleet.errors import VigieError

    with transaction("notices") as (conn, now):
        names = [known.name for known in channels(conn) if channel in ("", known.name)]
        if not names:
            raise VigieError(f"no channel {channel or 'is set'}: see `vigie notices list`, and VIGIE_NOTICE_… in docs/settings.md")
        put = {enqueue_trial(conn, channel=name, actor="vigie notices test", now=now) for name in names}
    until = time.monotonic() + seconds
    while True:
        with transaction("notices") as (conn, _):
            found = [notice for notice in list_notices(conn, limit=1000) if notice.id in put]
        # One that failed once says enough: it will be tried again, but nobody waits here for that.
        if all(notice.state != "waiting" or notice.error for notice in found) or time.monotonic() >= until:
            break
        time.sleep(_LOOK_EVERY_S)
    Console().print(_table(found))
    if missing := [notice.channel for notice in found if notice.state != "sent"]:
        raise VigieError(f"not sent: {', '.join(missing)}")


def _table(notices: "list[Notice]") -> object:
    from rich.table import Table

    table = Table("id", "made (UTC)", "incident", "kind", "channel", "state", "attempts", "what went wrong")
    for notice in notices:
        table.add_row(
            str(notice.id),
            f"{notice.made_at:%Y-%m-%d %H:%M:%S}",
            "" if notice.incident_id is None else str(notice.incident_id),
            notice.kind,
            notice.channel,
            notice.state,
            str(notice.attempts),
            notice.error,
        )
    return table
