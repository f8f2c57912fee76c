"""`vigie simulate`, `world`, `history`, `check`: a fleet that is played, its registry and past, and whether all was heard."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from simulators.truth import Total, Truth
    from vigie.truth_check import Finding


def add_to(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(simulate)
    app.command()(world)
    app.command()(check)
    app.command()(history)


def simulate(
    scenario: Annotated[Path, typer.Argument(help="The scenario's TOML file.")],
    minutes: Annotated[float | None, typer.Option(min=0.0, help="Cut the scenario to so many minutes.")] = None,
    mqtt_url: Annotated[str | None, typer.Option(help="Terminals' door; instead of VIGIE_SIMULATE_MQTT_URL.")] = None,
    passwords: Annotated[Path | None, typer.Option(help="CSV of passwords; instead of VIGIE_SIMULATE_PASSWORDS.")] = None,
    truth: Annotated[Path | None, typer.Option(help="Where to write the truth; instead of VIGIE_SIMULATE_TRUTH.")] = None,
) -> None:
    """Play a scenario live, beginning now: terminals over MQTT, callers over the call hook; then write its truth."""
    from rich.console import Console

    from fleet.settings import read
    from simulators.crew import people
    from simulators.desk_work import DeskWork
    from simulators.play import Performance, run
    from simulators.screen import RichScreen
    from simulators.settings import SimulateSettings

    settings = read(SimulateSettings)
    performance = Performance(
        scenario=scenario,
        mqtt_url=mqtt_url or settings.simulate_mqtt_url,
        mqtt_ca_file=settings.simulate_mqtt_ca_file,
        passwords=passwords or settings.simulate_passwords,
        truth=truth or settings.simulate_truth,
        cti_url=settings.simulate_cti_url.get_secret_value(),
        desk_work=DeskWork(
            settings.simulate_api_url.rstrip("/"), settings.simulate_api_token.get_secret_value(), people(settings.simulate_staff)
        )
        if settings.simulate_api_url
        else None,
        ddi_url=settings.simulate_ddi_url,
        ddi_ca_file=settings.simulate_ddi_ca_file,
        tokens=settings.simulate_tokens,
        maker_root=settings.simulate_maker_root,
        agents=settings.simulate_agents,
        staff=settings.simulate_staff,
        resend_s=settings.simulate_resend_s,
        clock_offset_s=settings.clock_offset_s,
        minutes=minutes,
    )
    console = Console()
    with RichScreen(console) as screen:
        total = run(performance, screen=screen)
    console.print(_totals(total))


def world(
    folder: Annotated[Path, typer.Option(help="Where the two files are written.")],
    seed: Annotated[int, typer.Option(min=0, help="The world's seed; a scenario plays on the world of its own.")] = 7,
    terminals: Annotated[int, typer.Option(min=1, max=99_999, help="How many terminals.")] = 16_000,
) -> None:
    """Write the generated registry of a seed, points_of_sale.csv and terminals.csv, for `vigie registry import`."""
    from simulators.world import build_world

    made = build_world(seed, terminals)
    for path in made.write_csv(folder):
        typer.echo(f"world: {path}")


def history(
    folder: Annotated[Path, typer.Option(help="Where what was made is kept, and found the next time.")],
    seed: Annotated[int, typer.Option(min=0, help="The world's seed.")] = 7,
    terminals: Annotated[int, typer.Option(min=1, max=99_999, help="How many terminals.")] = 16_000,
) -> None:
    """Make the past week of a generated fleet, and print the file of what a watch would have learnt of it."""
    from fleet.clock import system_clock
    from fleet.settings import ClockSettings, read
    from vigie.history import history as make

    now = system_clock(read(ClockSettings).clock_offset_s)()
    told = 0

    def tell(share: float) -> None:
        nonlocal told
        if share * 100 >= told + 5:
            told = round(share * 100)
            typer.echo(f"{told} %")

    typer.echo(make(folder, seed=seed, terminals=terminals, at=now, progress=tell))


def check(
    truth: Annotated[Path, typer.Argument(help="The truth file that a simulator wrote.")],
    json_out: Annotated[Path | None, typer.Option("--json", help="Also write the result there, as JSON.")] = None,
) -> None:
    """Hold a simulator's truth against the database: status 0 if nothing is missing, twice or unexplained, else 1."""
    import msgspec
    from rich.console import Console

    from fleet.database import connect
    from fleet.settings import DatabaseSettings, read
    from simulators.truth import read as read_truth
    from vigie.truth_check import check as compare_with

    told = read_truth(truth)
    with connect(read(DatabaseSettings).database_url.get_secret_value(), program="check") as conn:
        finding = compare_with(conn, told)
    console = Console()
    console.print(_findings(told, finding))
    for line in finding.named:
        console.print(f"  {line}", highlight=False, markup=False)
    if json_out is not None:
        json_out.write_bytes(msgspec.json.encode({**msgspec.to_builtins(finding), "good": finding.good}))
    if not finding.good:
        raise typer.Exit(1)


def _totals(total: "Total") -> "Table":
    from rich.table import Table

    table = Table(title="what was played", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in (
        ("samples and events produced", total.produced),
        ("seen acknowledged", total.acknowledged),
        ("left unacknowledged", total.left),
        ("dropped by full journals", total.dropped),
        ("sent again", total.entries_sent_again),
        ("connections", total.connections),
        ("connections lost", total.connections_lost),
        ("calls", total.calls),
        ("calls that never reached the hook", total.calls_not_delivered),
    ):
        table.add_row(name, f"{value:,}")
    return table


def _findings(told: "Truth", finding: "Finding") -> "Table":
    from rich.table import Table

    verdict = "[bold green]nothing missing, nothing twice[/]" if finding.good else "[bold red]not what was sent[/]"
    table = Table(title=f"{told.play.scenario}: {verdict}", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    rows: list[tuple[str, int, bool]] = [
        ("samples and events produced", finding.produced, False),
        ("stored", finding.stored, False),
        ("missing", finding.missing, True),
        ("twice", finding.twice, True),
        ("never sent", finding.unexpected, True),
        ("dropped by full journals", finding.dropped, False),
        ("unacknowledged at the end, not stored", finding.left, False),
        ("refused for their clock", finding.refused_for_clock, False),
        ("calls", finding.calls, False),
        ("calls missing", finding.calls_missing, True),
        *((f"dead letters: {reason}", letters, False) for reason, letters in finding.dead_letters.items()),
    ]
    for name, value, must_be_zero in rows:
        table.add_row(name, f"{value:,}", style="red" if must_be_zero and value else "")
    return table
