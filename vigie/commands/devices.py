"""`vigie device`: what a device needs to use the device API."""

from pathlib import Path
from typing import Annotated

import typer

from vigie.commands.transaction import transaction

group = typer.Typer(help="Devices of the device API.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add the group to the application."""
    app.add_typer(group, name="device")


@group.callback()
def devices() -> None:
    """Devices of the device API (hawkBit's DDI), through which terminals are updated."""


@group.command()
def token(terminals: Annotated[list[str], typer.Argument(help="T00012 …")]) -> None:
    """Print the token of each terminal, by which its update client shows who it is."""
    from firmware_rollout.ddi.tokens import device_token
    from fleet.contract import is_terminal_id
    from fleet.errors import VigieError
    from fleet.registry import terminal

    key = _key()
    if wrong := [one for one in terminals if not is_terminal_id(one)]:
        raise VigieError(f"terminals: {', '.join(wrong)}: a terminal's id is of the form T00012")
    with transaction("device") as (conn, _):
        unknown = [one for one in terminals if terminal(conn, one) is None]
    if unknown:
        raise VigieError(f"terminals: {', '.join(unknown)}: not in the registry (`vigie registry import`)")
    for one in terminals:
        typer.echo(f"{one} {device_token(key, one)}" if len(terminals) > 1 else device_token(key, one))


@group.command()
def tokens(
    file: Annotated[Path, typer.Argument(help="The CSV to write: terminal,token; readable by its owner only.")],
) -> None:
    """Write the tokens of all terminals of the registry to a file: for whoever puts them into the terminals, or simulates them."""
    from firmware_rollout.ddi.tokens import write_tokens
    from fleet.registry import all_terminals

    key = _key()
    with transaction("device") as (conn, _):
        terminals = [one.id for one in all_terminals(conn)]
    write_tokens(file, key, terminals)
    typer.echo(f"{len(terminals):,} tokens written to {file}")


def _key() -> str:
    from firmware_rollout.settings import DeviceKeySettings
    from fleet.errors import VigieError
    from fleet.settings import read

    key = read(DeviceKeySettings).device_key.get_secret_value()
    if not key:
        raise VigieError("settings: VIGIE_DEVICE_KEY: set the secret that the web program has (`vigie up` makes one)")
    return key
