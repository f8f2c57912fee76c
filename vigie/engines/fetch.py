"""Bring the engines: Debian 13's own TimescaleDB and Mosquitto, unpacked into a private folder and made to run there."""

from pathlib import Path

from fleet.errors import VigieError
from vigie.engines.layout import EngineSettings, Layout, fetched_layout, private_layout, private_root, system_layout
from vigie.engines.unpacking import Recipe, Report, Trial, bring, manifest_of


def _programs(root: Path) -> list[Path]:
    layout = private_layout(root)
    return [layout.mosquitto, *layout.postgres_bin.iterdir(), *layout.mosquitto_sub.parent.glob("mosquitto*")]


def _trials(root: Path) -> list[Trial]:
    layout = private_layout(root)
    # mosquitto_sub answers --version with status 1.
    return [
        Trial((layout.postgres_bin / "postgres", "--version"), says="17."),
        Trial((layout.mosquitto_sub, "--version"), says="mosquitto_sub version"),
    ]


RECIPE = Recipe(
    suite="trixie",
    packages=("postgresql-17-timescaledb", "mosquitto", "mosquitto-clients"),
    size_mb=50,
    programs=_programs,
    library_folders=lambda root: [private_layout(root).postgres_bin.parent / "lib"],
    trials=_trials,
)


def fetch_engines(settings: EngineSettings, report: Report) -> Layout:
    """Make sure the engines are on this machine; instantaneous when they are.

    Args:
        settings: where they come from and where they go.
        report: called with one line per step.

    Raises:
        VigieError: they cannot be had; nothing half-made stays behind.
    """
    if layout := _present(settings):
        return layout
    root = private_root(settings.cache())
    bring(RECIPE, root, present=lambda: _present(settings) is not None, settings=settings, report=report)
    layout = _present(settings)
    assert layout is not None
    return layout


def manifest(settings: EngineSettings) -> dict[str, str]:
    """The versions of the unpacked packages; empty when there are none."""
    return manifest_of(private_root(settings.cache()))


def _present(settings: EngineSettings) -> Layout | None:
    if settings.engines_from != "system" and (layout := fetched_layout(settings.cache())):
        return layout
    if settings.engines_from == "private":
        return None
    layout = system_layout()
    if layout is None and settings.engines_from == "system":
        raise VigieError("VIGIE_ENGINES_FROM is `system`, but postgresql-17-timescaledb and mosquitto >= 2.0.21 are not installed")
    return layout
