"""`vigie demo`: the whole fleet, live, with faults and callers, on throw-away data."""

from pathlib import Path
from typing import Annotated

import typer

# The afternoon's races, on a day on which nearly every shop is open (many close on Sunday afternoons, some on Mondays).
CLOCK = "Th 14:00"


def add_to(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(demo)


def demo(
    *,
    minutes: Annotated[float, typer.Option(min=0, help="End by itself after so many minutes; 0: when the scenario ends.")] = 0,
    scenario: Annotated[Path | None, typer.Option(help="Another scenario than the demonstration's.")] = None,
    clock: Annotated[str, typer.Option(help="What time it is in Paris when it starts; empty: now.")] = CLOCK,
    listen: Annotated[str, typer.Option(help="Address for terminals and the console.")] = "127.0.0.1",
    web_port: Annotated[int, typer.Option(help="The console; 0: 8080 or, if that is taken, a free port.")] = 0,
    campaigns: Annotated[bool, typer.Option(help="With two campaigns under way, a day of theirs in a minute and a half.")] = True,
) -> None:
    """Generate a fleet, bring everything up, play a scenario, and hold what was stored against what was sent."""
    from vigie.demo import DEMONSTRATION, run_demo

    played = scenario or DEMONSTRATION
    good = run_demo(minutes=minutes, scenario=played, clock=clock, listen=listen, web_port=web_port, campaigns=campaigns)
    if not good:
        raise typer.Exit(1)
