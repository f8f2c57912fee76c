"""Bring a real update client for tests: Debian 12's swupdate, with its hawkBit mode, in a private folder of its own.

It is fetched only when a test or a person asks for it, and stands beside the engines.
"""

from pathlib import Path

from vigie.engines.apt import debian_architecture
from vigie.engines.layout import EngineSettings
from vigie.engines.unpacking import Recipe, Report, Trial, bring


def update_client_root(cache: Path) -> Path:
    """The folder it is unpacked into; its name changes when the recipe does."""
    return cache / "engines" / f"bookworm-swupdate-{debian_architecture()}-1"


def swupdate_of(root: Path) -> Path:
    """The program under an unpacked root."""
    return root / "usr/bin/swupdate"


RECIPE = Recipe(
    suite="bookworm",
    packages=("swupdate",),
    size_mb=40,
    programs=lambda root: [swupdate_of(root)],
    library_folders=lambda _root: [],
    trials=lambda root: [Trial((swupdate_of(root), "--version"), says="SWUpdate v")],
)


def fetch_update_client(settings: EngineSettings, report: Report) -> Path:
    """Make sure swupdate is on this machine; instantaneous when it is.

    Raises:
        VigieError: it cannot be had; nothing half-made stays behind.
    """
    root = update_client_root(settings.cache())
    program = swupdate_of(root)
    if not program.exists():
        bring(RECIPE, root, present=program.exists, settings=settings, report=report)
    return program
