"""`vigie engines`: bring, start, stop and show the embedded TimescaleDB and Mosquitto."""

from pathlib import Path
from typing import Annotated

import typer

group = typer.Typer(help="The embedded engines: TimescaleDB and Mosquitto.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add the group to the application."""
    app.add_typer(group, name="engines")


@group.command()
def fetch(
    *,
    telephony: Annotated[bool, typer.Option("--telephony", help="The telephone exchange that tests ring, instead.")] = False,
    update_client: Annotated[bool, typer.Option("--update-client", help="The swupdate that tests update by, instead.")] = False,
) -> None:
    """Unpack the engines into the cache, if they are not there yet."""
    from fleet.settings import read
    from vigie.engines.fetch import fetch_engines
    from vigie.engines.layout import EngineSettings
    from vigie.engines.telephony import fetch_telephony
    from vigie.engines.update_client import fetch_update_client

    if update_client:
        _say(f"ready ({fetch_update_client(read(EngineSettings), _say)})")
        return
    if telephony:
        exchange = fetch_telephony(read(EngineSettings), _say)
        _say(f"ready ({exchange.asterisk}, {exchange.sipp})")
        return
    layout = fetch_engines(read(EngineSettings), _say)
    _say(f"ready ({layout.postgres_bin / 'postgres'}, {layout.mosquitto})")


@group.command()
def start(
    *,
    listen: Annotated[str, typer.Option(help="Address of the broker's door for terminals.")] = "127.0.0.1",
    terminals_port: Annotated[int, typer.Option(help="The broker's door for terminals.")] = 1883,
    services_port: Annotated[int, typer.Option(help="The broker's door for Vigie's programs.")] = 1884,
    database_port: Annotated[int, typer.Option(help="The database.")] = 5433,
) -> None:
    """Start both as daemons on the kept data, with the schema and the registry's accounts."""
    from fleet.settings import read
    from vigie.engines.accounts import SERVICE_PASSWORDS
    from vigie.engines.daemon import start_daemons
    from vigie.engines.fetch import fetch_engines
    from vigie.engines.layout import EngineSettings
    from vigie.engines.mosquitto import Door, terminals_tls

    settings = read(EngineSettings)
    doors = Door(terminals_port, listen, terminals_tls(settings)), Door(services_port)
    layout = fetch_engines(settings, _say)
    start_daemons(layout, settings.state(), database_port=database_port, doors=doors, report=_say)
    _say("other `vigie` commands on this machine find the database by themselves")
    _say(f"the programs' broker passwords are in {settings.state() / 'mosquitto' / SERVICE_PASSWORDS}")


@group.command()
def certificates(
    folder: Annotated[Path, typer.Argument(help="Where ca.pem, server.pem and server.key are written.")],
    host: Annotated[list[str] | None, typer.Option(help="Name or address terminals connect to (may be repeated).")] = None,
) -> None:
    """Make a throw-away authority and a server certificate, to try TLS; a real installation brings its own."""
    from vigie.engines.certificates import make_certificates

    made = make_certificates(folder, host or ("localhost", "127.0.0.1"))
    _say(f"VIGIE_TERMINALS_CERTIFICATE_FILE={made.certificate} VIGIE_TERMINALS_KEY_FILE={made.key}")
    _say(f"terminals trust {made.ca}")


@group.command()
def stop() -> None:
    """Stop the daemons; what they keep stays."""
    from fleet.settings import read
    from vigie.engines.daemon import stop_daemons
    from vigie.engines.layout import EngineSettings

    stop_daemons(read(EngineSettings).state(), _say)


@group.command()
def status() -> None:
    """Show what is fetched and what runs; status 1 when the daemons do not run."""
    from rich.console import Console
    from rich.table import Table

    from fleet.settings import read
    from vigie.engines.daemon import read_daemons
    from vigie.engines.fetch import manifest
    from vigie.engines.layout import EngineSettings, find_layout

    settings = read(EngineSettings)
    layout = find_layout(settings)
    versions = manifest(settings)
    daemons = {daemon.name: daemon for daemon in read_daemons(settings.state())}
    table = Table("engine", "version", "daemon")
    packages = {"postgres": "postgresql-17", "timescaledb": "postgresql-17-timescaledb", "mosquitto": "mosquitto"}
    for name, package in packages.items():
        daemon = daemons.get(name)
        running = f"pid {daemon.pid}, port {daemon.port}" if daemon is not None and daemon.alive() else "not running"
        shown = "in postgres" if name == "timescaledb" else running
        table.add_row(name, versions.get(package, "the system's"), shown)
    console = Console()
    console.print(table)
    for line in (f"programs  {layout.postgres_bin}, {layout.mosquitto}", f"data      {settings.state()}"):
        console.print(line, soft_wrap=True, highlight=False)
    if not daemons or not all(daemon.alive() for daemon in daemons.values()):
        raise typer.Exit(1)


def _say(line: str) -> None:
    typer.echo(f"engines: {line}")
