"""`vigie engines`: bring, start, stop and show the embedded TimescaleDB and Mosquitto."""

import typer

group = typer.Typer(help="The embedded engines: TimescaleDB and Mosquitto.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add the group to the application."""
    app.add_typer(group, name="engines")


@group.command()
def fetch() -> None:
    """Unpack the engines into the cache, if they are not there yet."""
    from fleet.settings import read
    from vigie.engines.fetch import fetch_engines
    from vigie.engines.layout import EngineSettings

    layout = fetch_engines(read(EngineSettings), lambda line: typer.echo(f"engines: {line}"))
    typer.echo(f"engines: ready ({layout.postgres_bin / 'postgres'}, {layout.mosquitto})")
