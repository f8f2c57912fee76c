"""`vigie calibrate`: the thresholds of detection, found by letting quiet history pass once more."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from diagnostics.detector.calibration import Calibration
    from vigie.evaluate.calibrating import Replay


def add_to(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(calibrate)


def calibrate(
    *,
    scenario: Annotated[
        list[Path] | None, typer.Option(help="A quiet scenario to play (may be repeated); default: generated days of its own.")
    ] = None,
    from_database: Annotated[bool, typer.Option("--from-database", help="Replay the house's own last days instead.")] = False,
    days: Annotated[float, typer.Option(min=0.05, max=60, help="So many days of history (generated: at most 6).")] = 4,
    false_incidents_per_day: Annotated[float, typer.Option(min=1e-4, help="Wanted, over the whole fleet.")] = 0.1,
    false_symptoms_per_day: Annotated[float, typer.Option(min=1e-3, help="Wanted, over the whole fleet.")] = 5.0,
    calibration: Annotated[
        Path | None, typer.Option(help="Begin with these thresholds; default: those that hold, or come with this release.")
    ] = None,
    keep: Annotated[Path | None, typer.Option(help="Keep generated warm-ups in this folder for the next time.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the thresholds there, as JSON.")] = None,
    store: Annotated[
        bool, typer.Option("--store", help="Store them in the database; the watch takes them when it starts.")
    ] = False,
) -> None:
    """Find the thresholds of detection on quiet history, for the wanted rates of false alarms."""
    from contextlib import ExitStack

    from rich.console import Console

    from diagnostics.calibration_store import load_calibration, save_calibration
    from diagnostics.detector.calibration import default_calibration
    from simulators.scenario import load
    from vigie.commands.transaction import transaction
    from vigie.evaluate.calibrating import generated, other_days, stored, wanting
    from vigie.evaluate.evaluation import calibration_of

    if from_database and scenario:
        raise typer.BadParameter("give either --scenario or --from-database")
    with ExitStack() as stack:
        conn, now = stack.enter_context(transaction("calibrate")) if from_database or store else (None, None)
        if from_database and conn is not None and now is not None:
            replays = [stored(conn, days=days, now=now)]
        else:
            quiet = [load(path) for path in scenario] if scenario else other_days(round(days))
            replays = [generated(one, keep=keep) for one in quiet]
        before = calibration_of(calibration) if calibration else load_calibration(conn) if conn else default_calibration()
        before = wanting(before, false_incidents_per_day=false_incidents_per_day, false_symptoms_per_day=false_symptoms_per_day)
        found = _replayed(Console(stderr=True), replays, before)
        Console().print(_table(before, found, replays))
        if out is not None:
            out.write_text(found.to_json(), encoding="utf-8")
            typer.echo(f"calibrate: {out}")
        if store and conn is not None and now is not None:
            version = save_calibration(conn, found, source="; ".join(replay.name for replay in replays), now=now)
            typer.echo(f"calibrate: version {version} is stored, and taken by the watch at its next start")


def _replayed(console: "Console", replays: "list[Replay]", before: "Calibration") -> "Calibration":
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    from vigie.evaluate.calibrating import calibrate as find

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:
        # The last is number -1: the passage on which the tails of well terminals are measured.
        names = [*(replay.name for replay in replays), f"{replays[0].name}: tails"]
        tasks = [bars.add_task(name, total=1.0, start=False) for name in names]

        def advance(number: int, part: float) -> None:
            bars.start_task(tasks[number])
            bars.update(tasks[number], completed=part)

        return find(replays, before, progress=advance)


def _table(before: "Calibration", found: "Calibration", replays: "list[Replay]") -> "Table":
    from rich.table import Table

    days = sum(replay.days for replay in replays)
    table = Table(title=f"thresholds, from {days:.3g} quiet days (before → found)")
    table.add_column("trouble")
    for name in ("weak signs, of well terminals", "symptom, p", "incident, score"):
        table.add_column(name, justify="right")
    for trouble in found.sign_rate:
        table.add_row(
            trouble,
            f"{before.sign_rate[trouble]:.1e} → {found.sign_rate[trouble]:.1e}",
            f"{before.symptom_p[trouble]:.0e} → {found.symptom_p[trouble]:.0e}",
            f"{before.open_score[trouble]:.1f} → {found.open_score[trouble]:.1f}",
        )
    wanted = f"{found.false_symptoms_per_day:g} false a day", f"{found.false_incidents_per_day:g} false a day"
    table.add_row("wanted", "", *wanted, style="dim")
    return table
