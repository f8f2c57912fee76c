"""Assembles the command line; an expected failure is one clear line and status 1, never a traceback."""

import logging
import sys

import typer

from fleet.errors import VigieError
from vigie.commands import (
    engines,
    up,
)

app = typer.Typer(
    name="vigie",
    help="Watches a fleet of betting terminals and answers the shopkeepers who ring its hotline.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

for module in (
    engines,
    up,
):
    module.add_to(app)


def main() -> None:
    """Run the command line."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        app()
    except VigieError as error:
        print(f"vigie: {error}", file=sys.stderr)
        sys.exit(1)
