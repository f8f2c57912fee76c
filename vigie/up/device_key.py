"""The secret that devices' tokens follow from: a house makes its own, once, and keeps it beside its data."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

NAME = "device-key"
SETTING = "VIGIE_DEVICE_KEY"


def device_key(home: Path, environment: Mapping[str, str]) -> str:
    """What the environment says, else the key of this house, made if it has none yet; only its owner can read it."""
    if given := environment.get(SETTING):
        return given
    file = home / NAME
    if not file.exists():
        part = home / f".{NAME}.{os.getpid()}"
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as content:
            content.write(secrets.token_hex(32))
        part.rename(file)
    return file.read_text()
