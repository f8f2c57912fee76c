"""`vigie up`: the engines and the programs on one machine, watched."""

import typer


def add_to(app: typer.Typer) -> None:
    """Add the command to the application."""
