"""`vigie incident`: incidents declared by hand, and what becomes of them."""

from typing import Annotated

import typer

from vigie.commands.transaction import transaction

group = typer.Typer(help="Incidents: one cause, one scope, and the shops it touches.", no_args_is_help=True)
Actor = Annotated[str, typer.Option("--by", help="Who does this, for the incident's history.")]


def add_to(app: typer.Typer) -> None:
    """Add the group to the application."""
    app.add_typer(group, name="incident")


@group.command()
def declare(
    title: Annotated[str, typer.Argument(help="What is wrong, in a few words.")],
    by: Actor,
    where: Annotated[
        list[str] | None, typer.Option(help="What it touches, dimension=value (may be repeated); default: the whole fleet.")
    ] = None,
    advice: Annotated[str, typer.Option(help="What agents should answer.")] = "",
) -> None:
    """Open an incident over every terminal in its scope."""
    from diagnostics.incidents import declare as open_one
    from fleet.scope import parse_scope

    with transaction("incidents") as (conn, now):
        made = open_one(conn, scope=parse_scope(where or []), title=title, advice=advice, actor=by, now=now)
    typer.echo(f"incident {made.id} open: {made.terminals:,} terminals")


@group.command()
def acknowledge(incident: int, by: Actor) -> None:
    """Say that somebody has taken an incident on."""
    from diagnostics.incidents import acknowledge as take_on

    with transaction("incidents") as (conn, now):
        found = take_on(conn, incident, actor=by, now=now)
    typer.echo(f"incident {found.id} {found.state}")


@group.command()
def resolve(incident: int, by: Actor, how: Annotated[str, typer.Option(help="What ended it.")] = "") -> None:
    """Close an incident."""
    from diagnostics.incidents import resolve as close

    with transaction("incidents") as (conn, now):
        found = close(conn, incident, actor=by, detail=how, now=now)
    typer.echo(f"incident {found.id} {found.state}")


@group.command("list")
def list_open() -> None:
    """List what is going on, newest first."""
    from rich.console import Console
    from rich.table import Table

    from diagnostics.incidents import open_incidents
    from diagnostics.wording import title as title_of

    with transaction("incidents") as (conn, _):
        found = open_incidents(conn)
    table = Table("id", "state", "since (UTC)", "scope", "terminals", "title")
    for one in found:
        scope = " & ".join(f"{dimension}={value}" for dimension, value in one.scope.items()) or "the whole fleet"
        title = one.title or (title_of(one.trouble, one.scope, "en") if one.trouble else "")
        table.add_row(str(one.id), one.state, f"{one.opened_at:%Y-%m-%d %H:%M}", scope, f"{one.terminals:,}", title)
    Console().print(table)
