"""`vigie evaluate`: how well the detector finds what scenarios make go wrong, at full speed and without an engine."""

from pathlib import Path
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(evaluate)


def evaluate(
    files: Annotated[list[Path], typer.Argument(help="Scenarios (TOML files).")],
    *,
    json_out: Annotated[Path | None, typer.Option("--json", help="Also write the result there, as JSON.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="So many scenarios at a time, each in a process of its own.")] = 1,
    calibration: Annotated[
        Path | None, typer.Option(help="Thresholds that `vigie calibrate` wrote; default: those of this release.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Keep in this folder what warming up learnt, and begin from it the next time.")
    ] = None,
    trace: Annotated[
        bool, typer.Option("--trace", help="Also tell each incident's life and each symptom without a cause.")
    ] = False,
) -> None:
    """Play scenarios through the decision code of the watch, and hold what it said against the truth."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    from vigie.evaluate.evaluation import Options, calibration_of, evaluate_all
    from vigie.evaluate.report import scenario_table, total_table, write_json

    chosen = calibration_of(calibration) if calibration else None
    shown = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=shown) as bars:
        tasks = [bars.add_task(file.stem, total=1.0, start=False) for file in files]

        def advance(number: int, part: float) -> None:
            bars.start_task(tasks[number])
            bars.update(tasks[number], completed=part)

        results = evaluate_all(files, Options(chosen, keep, trace), jobs=jobs, progress=advance)
    console = Console()
    if not console.is_terminal:
        # A file or a pipe has no width of its own; the tables need this much.
        console.width = 132
    for one in results if trace else ():
        console.rule(one.file)
        for line in one.trace:
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(scenario_table(results))
    console.print(total_table(results))
    if json_out is not None:
        write_json(json_out, results)
