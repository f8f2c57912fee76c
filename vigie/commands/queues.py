"""`vigie queue`: which level and floor the telephone system's queues stand for."""

from typing import Annotated

import typer

from hotline.floors import Floor

queue = typer.Typer(help="Queues of the telephone system: the level and the floor behind each.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The queue's name, as the telephone system has it.")]


def add_to(app: typer.Typer) -> None:
    """Add the group to the application."""
    app.add_typer(queue, name="queue")


@queue.command("set")
def set_queue(
    name: Name,
    *,
    level: Annotated[int, typer.Option(min=1, max=2, help="1: who answers first; 2: who is asked.")] = 1,
    floor: Annotated[Floor, typer.Option(help="own: our floor; overflow: the outsourced one.")] = Floor.OWN,
) -> None:
    """Say what a queue stands for, from now on."""
    from fleet.database import connect
    from fleet.settings import DatabaseSettings, read
    from hotline import queues

    with connect(read(DatabaseSettings).database_url.get_secret_value(), program="queue") as conn:
        queues.set_queue(conn, name=name, level=level, floor=floor)
    typer.echo(f"{name}: level {level}, {floor} floor")


@queue.command("list")
def list_queues() -> None:
    """Show every queue; one that is not here counts as level 1 of our own floor."""
    from rich.console import Console
    from rich.table import Table

    from fleet.database import connect
    from fleet.settings import DatabaseSettings, read
    from hotline import queues

    with connect(read(DatabaseSettings).database_url.get_secret_value(), program="queue") as conn:
        found = queues.queues(conn)
    table = Table("queue", "level", "floor")
    for one in found.values():
        table.add_row(one.name, str(one.level), one.floor)
    Console().print(table)


@queue.command("remove")
def remove_queue(name: Name) -> None:
    """Forget a queue: it counts as level 1 of our own floor again."""
    from fleet.database import connect
    from fleet.settings import DatabaseSettings, read
    from hotline import queues

    with connect(read(DatabaseSettings).database_url.get_secret_value(), program="queue") as conn:
        queues.remove_queue(conn, name=name)
    typer.echo(f"{name}: removed")
