"""`vigie typology`: what is known, and putting things into typologies now instead of waiting for the watch."""

from typing import Annotated

import typer

from vigie.commands.transaction import connection, transaction

group = typer.Typer(help="Typologies: named classes of incidents and calls, with an adapted answer.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add the group to the application."""
    app.add_typer(group, name="typology")


@group.command("list")
def list_known() -> None:
    """List the typologies with their counts of the last week, those that grow first."""
    from rich.console import Console
    from rich.table import Table

    from diagnostics.typologies.daily import day_of
    from diagnostics.typologies.overview import overview

    with transaction("typologies") as (conn, now):
        found = overview(conn, last=day_of(now))
    table = Table("id", "typology", "incidents", "alone", "notes", "grows", "answer")
    for one in found:
        kept = one.typology
        week = [str(one.last(kind, 7)) for kind in ("incident", "symptom", "note")]
        name, number = (kept.name("fr"), str(kept.id)) if kept else ("(of none)", "")
        table.add_row(number, name, *week, " ".join(one.growing), f"version {kept.version}" if kept and kept.version else "")
    Console().print(table)


@group.command()
def sort(*, groups: Annotated[bool, typer.Option(help="Also look for groups among what matches nothing.")] = True) -> None:
    """Match incidents, symptoms and notes with the typologies now; delivered ones that are missing are added."""
    from diagnostics.typologies.sorting import Sorter
    from diagnostics.typologies.store import deliver

    with connection("typologies") as (conn, now):
        with conn.transaction():
            added = deliver(conn, now=now)
        done = Sorter().step(conn, now=now, regroup=groups)
    told = f"{done.incidents:,} incidents, {done.symptoms:,} symptoms and {done.notes:,} notes matched"
    offered = "" if done.offered is None else f"; {done.offered} groups match nothing"
    typer.echo(f"{told}{offered}" + (f"; {added} delivered typologies added" if added else ""))
