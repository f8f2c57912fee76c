"""`vigie evaluate-gate`: how often the rollout's gate is right, over many seeded campaigns."""

from pathlib import Path
from typing import Annotated

import typer

_SAVED_EVERY = 50


def add_to(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(evaluate_gate)


def evaluate_gate(
    *,
    seeds: Annotated[int, typer.Option(min=1, help="So many seeds; each plays every case.")] = 100,
    first_seed: Annotated[int, typer.Option(min=0, help="The first seed.")] = 0,
    json_out: Annotated[Path | None, typer.Option("--json", help="Also write figures and campaigns there, as JSON.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the campaigns that the JSON file already holds.")] = False,
    jobs: Annotated[int, typer.Option(min=1, help="So many seeds at a time, each in a process of its own.")] = 1,
    target: Annotated[
        str, typer.Option(help="At whom the campaigns aim: fleet, 2000-shops, 1000-shops, 300-shops, model-a or model-c.")
    ] = "fleet",
    rivals: Annotated[bool, typer.Option(help="Also judge each campaign in three simpler ways.")] = True,
) -> None:
    """Play campaigns over a simulated fleet through the gate of live ones: false halts, and how soon bad releases are stopped.

    The status is 1 where a figure to reach is missed.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from fleet.errors import VigieError
    from vigie.evaluate_gate.cases import Target
    from vigie.evaluate_gate.evaluating import GATE, METHODS, play_all
    from vigie.evaluate_gate.report import missed, read_campaigns, summaries, table, write_json

    if resume and json_out is None:
        raise VigieError("resume: name the file to go on from by --json")
    if target not in list(Target):
        raise VigieError(f"target: {target!r} is none of {', '.join(Target)}")
    aim = Target(target)
    played = read_campaigns(json_out, aim) if resume and json_out is not None else []
    known = {one.seed for one in played}
    wanted = [seed for seed in range(first_seed, first_seed + seeds) if seed not in known]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task("seeds", total=len(wanted))
        methods = tuple(METHODS) if rivals else (GATE,)
        for number, campaigns in enumerate(play_all(wanted, methods=methods, target=aim, jobs=jobs), start=1):
            played += campaigns
            bars.advance(task)
            # A long run that is broken off has not been for nothing.
            if json_out is not None and number % _SAVED_EVERY == 0:
                write_json(json_out, played, aim)
    console = Console()
    if not console.is_terminal:
        # A file or a pipe has no width of its own; the table needs this much.
        console.width = 170
    console.print(table(played, aim))
    if json_out is not None:
        write_json(json_out, played, aim)
    if found := missed(summaries(played, aim)):
        typer.echo(f"missed: {', '.join(dict.fromkeys(found))}", err=True)
        raise typer.Exit(1)
