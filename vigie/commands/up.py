"""`vigie up`: the engines and the programs on one machine, watched."""

from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(up)


def up(
    *,
    clock: Annotated[str, typer.Option(help="Move every program's clock: 14:00 in Paris, or `Th 14:00`.")] = "",
    throw_away: Annotated[bool, typer.Option("--throw-away", help="Data in a temporary folder, free ports.")] = False,
    minutes: Annotated[float, typer.Option(min=0, help="End by itself after so many minutes; 0: never.")] = 0,
    listen: Annotated[str, typer.Option(help="Address for terminals and the console.")] = "127.0.0.1",
    web_port: Annotated[int, typer.Option(help="The console.")] = 8080,
    terminals_port: Annotated[int, typer.Option(help="The broker's door for terminals.")] = 1883,
    services_port: Annotated[int, typer.Option(help="The broker's door for Vigie's programs.")] = 1884,
    database_port: Annotated[int, typer.Option(help="The embedded database.")] = 5433,
) -> None:
    """Start the engines and the four programs, restart what dies, and stop all of it cleanly on Ctrl-C.

    VIGIE_DATABASE_URL and VIGIE_MQTT_URL, where set, name an existing database and broker to use instead;
    VIGIE_AMI_URL adds the program that listens to a telephone exchange.
    """
    from vigie.up.house import Options, free_ports
    from vigie.up.plan import Ports
    from vigie.up.run import external_engines, has_exchange, offset_to, run

    database_url, mqtt_url = external_engines()
    options = Options(
        ports=free_ports() if throw_away else Ports(database_port, terminals_port, services_port, web_port),
        listen=listen,
        clock_offset_s=offset_to(clock),
        throw_away=throw_away,
        database_url=database_url,
        mqtt_url=mqtt_url,
        exchange=has_exchange(),
    )
    run(options, minutes=minutes)
