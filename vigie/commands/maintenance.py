"""`vigie maintenance`: announced work, during which what breaks in its scope is recorded and told to nobody."""

from datetime import datetime, timedelta
from typing import Annotated

import typer

from fleet.errors import VigieError
from vigie.commands.transaction import transaction

group = typer.Typer(help="Announced work: what breaks in its scope meanwhile is told to nobody.", no_args_is_help=True)
Actor = Annotated[str, typer.Option("--by", help="Who does this, for the record.")]
# As people on the phone say it; a time zone of its own (…+01:00) counts where one is given.
_ZONE = "Europe/Paris"
_WRITE = "2026-11-24 02:00, in Paris"


def add_to(app: typer.Typer) -> None:
    """Add the group to the application."""
    app.add_typer(group, name="maintenance")


@group.command()
def announce(
    *,
    note: Annotated[str, typer.Argument(help="What is done, in a few words.")],
    by: Actor,
    where: Annotated[
        list[str] | None, typer.Option(help="What it touches, dimension=value (may be repeated); default: the whole fleet.")
    ] = None,
    starts: Annotated[str, typer.Option("--from", help=f"When it starts: {_WRITE}; default: now.")] = "",
    ends: Annotated[str, typer.Option("--until", help=f"When it ends: {_WRITE}.")] = "",
    minutes: Annotated[float, typer.Option(min=0, help="Instead of --until: how long it takes.")] = 0,
) -> None:
    """Announce work on every terminal in a scope."""
    from diagnostics.maintenance_store import announce as store
    from fleet.scope import parse_scope

    if bool(ends) == bool(minutes):
        raise VigieError("say either --until or --minutes")
    with transaction("maintenance") as (conn, now):
        starts_at = _moment("--from", starts) if starts else now
        ends_at = _moment("--until", ends) if ends else starts_at + timedelta(minutes=minutes)
        made = store(conn, scope=parse_scope(where or []), starts_at=starts_at, ends_at=ends_at, note=note, actor=by, now=now)
    typer.echo(f"maintenance {made.id} announced: {_shown(made.starts_at)} to {_shown(made.ends_at)}, {_scope(made.scope)}")


@group.command()
def cancel(maintenance: int, by: Actor) -> None:
    """Call work off, or say that it ended early."""
    from diagnostics.maintenance_store import cancel as call_off

    with transaction("maintenance") as (conn, now):
        done = call_off(conn, maintenance, actor=by, now=now)
    typer.echo(f"maintenance {done.id} cancelled: {done.note}")


@group.command("list")
def list_announced(
    *, everything: Annotated[bool, typer.Option("--all", help="Also what is over, the last two hundred.")] = False
) -> None:
    """List announced work that is not over, what starts last first."""
    from rich.console import Console
    from rich.table import Table

    from diagnostics.maintenance_store import list_maintenance

    with transaction("maintenance") as (conn, now):
        found = list_maintenance(conn, since=None if everything else now)
    table = Table("id", "now", "from (Paris)", "until", "scope", "what", "by")
    for one in found:
        state = "under way" if one.covers(now) else "cancelled" if one.cancelled_at else "over" if one.over_at <= now else "planned"
        table.add_row(str(one.id), state, _shown(one.starts_at), _shown(one.over_at), _scope(one.scope), one.note, one.actor)
    Console().print(table)


def _moment(option: str, text: str) -> datetime:
    from zoneinfo import ZoneInfo

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise VigieError(f"{option} {text}: write it as {_WRITE}") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(_ZONE))


def _shown(moment: datetime) -> str:
    from zoneinfo import ZoneInfo

    return f"{moment.astimezone(ZoneInfo(_ZONE)):%Y-%m-%d %H:%M}"


def _scope(scope: dict[str, str]) -> str:
    return " & ".join(f"{dimension}={value}" for dimension, value in scope.items()) or "the whole fleet"
