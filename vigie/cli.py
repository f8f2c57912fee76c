"""Assembles the command line; an expected failure is one clear line and status 1, never a traceback."""

import logging
import sys

import typer

from fleet.errors import VigieError
from vigie.commands import (
    accounts,
    audit,
    calibrate,
    campaigns,
    demo,
    devices,
    engines,
    evaluate,
    evaluate_gate,
    incidents,
    maintenance,
    migrate,
    notices,
    programs,
    queues,
    registry,
    releases,
    report,
    simulate,
    status,
    typology,
    up,
)

app = typer.Typer(
    name="vigie",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

# In the order of the help: what people start with first.
for module in (
    demo,
    up,
    engines,
    registry,
    accounts,
    queues,
    status,
    releases,
    campaigns,
    devices,
    audit,
    incidents,
    maintenance,
    notices,
    typology,
    report,
    simulate,
    evaluate,
    evaluate_gate,
    calibrate,
    programs,
    migrate,
):
    module.add_to(app)


@app.callback()
def find_running_house(context: typer.Context) -> None:
    """Watches a fleet of betting terminals and answers the shopkeepers who ring its hotline."""
    # These bring up a house of their own and must not mistake a running one for an external database.
    if context.invoked_subcommand not in ("engines", "up", "demo"):
        from vigie.running import use_running_house

        use_running_house()


def main() -> None:
    """Run the command line."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    # It logs every statement of a migration; fleet.migrate says what was applied.
    logging.getLogger("yoyo").setLevel(logging.WARNING)
    # It logs the address of every request, and the call hook's holds its token.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # It logs each key that has not signed, where two of three are enough.
    logging.getLogger("tuf").setLevel(logging.WARNING)
    try:
        app(prog_name="vigie")
    except VigieError as error:
        print(f"vigie: {error}", file=sys.stderr)
        sys.exit(1)
