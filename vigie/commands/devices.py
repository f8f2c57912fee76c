"""`vigie device`: what a device needs to use the device API."""

from typing import Annotated

import typer

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
    from firmware_rollout.settings import DeviceKeySettings
    from fleet.contract import is_terminal_id
    from fleet.errors import VigieError
    from fleet.settings import read

    key = read(DeviceKeySettings).device_key.get_secret_value()
    if not key:
        raise VigieError("settings: VIGIE_DEVICE_KEY: set the secret that the web program has (`vigie up` makes one)")
    if wrong := [one for one in terminals if not is_terminal_id(one)]:
        raise VigieError(f"terminals: {', '.join(wrong)}: a terminal's id is of the form T00012")
    for one in terminals:
        typer.echo(f"{one} {device_token(key, one)}" if len(terminals) > 1 else device_token(key, one))
