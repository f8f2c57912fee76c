"""How other commands on this machine find the running house: a file (0600) in its folder, read when nothing else is set.

So `vigie status` beside `vigie up` needs no settings, and a setting of the environment always wins.
"""

import os
from collections.abc import Mapping
from pathlib import Path

FILE = "environment"


def save_environment(home: Path, environment: Mapping[str, str]) -> None:
    """Write the settings that point at the house in this folder."""
    temporary = home / f".{FILE}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as content:
        content.writelines(f"{name}={value}\n" for name, value in environment.items())
    temporary.rename(home / FILE)


def forget_environment(home: Path) -> None:
    """Remove them: the house is down."""
    (home / FILE).unlink(missing_ok=True)


def read_environment(home: Path) -> dict[str, str]:
    """The settings saved there; none when no house is up or they belong to somebody else."""
    try:
        lines = (home / FILE).read_text().splitlines()
    except OSError:
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line)


def use_running_house() -> None:
    """Fill in the settings that the environment leaves open and a running house on this machine answers."""
    if "VIGIE_DATABASE_URL" in os.environ:
        return
    from fleet.settings import read
    from vigie.engines.layout import EngineSettings

    for name, value in read_environment(read(EngineSettings).state()).items():
        os.environ.setdefault(name, value)
