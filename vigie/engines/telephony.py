"""Bring a real telephone exchange for tests: Debian sid's Asterisk 22 and SIPp, unpacked into a private folder of their own.

Debian 13 has neither; the folder stands beside the engines' and is fetched only when a test or a person asks for it.
"""

from dataclasses import dataclass
from pathlib import Path

from vigie.engines.apt import debian_architecture
from vigie.engines.layout import EngineSettings
from vigie.engines.unpacking import Recipe, Report, Trial, bring


@dataclass(frozen=True)
class TelephonyLayout:
    """The programs of one unpacked exchange, and the folders that Asterisk reads."""

    asterisk: Path
    sipp: Path
    modules: Path
    data: Path

    def whole(self) -> bool:
        """Whether all of it is there."""
        return all(path.exists() for path in (self.asterisk, self.sipp, self.modules, self.data))


def telephony_root(cache: Path) -> Path:
    """The folder the exchange is unpacked into; its name changes when the recipe does."""
    return cache / "engines" / f"sid-asterisk22-{debian_architecture()}-1"


def telephony_layout(root: Path) -> TelephonyLayout:
    """The exchange's programs under an unpacked root."""
    # The folder's name has the machine's triplet in it; before unpacking there is none.
    modules = next(iter(root.glob("usr/lib/*-linux-*/asterisk/modules")), root / "usr/lib/asterisk/modules")
    return TelephonyLayout(
        asterisk=root / "usr/sbin/asterisk",
        sipp=root / "usr/bin/sipp",
        modules=modules,
        data=root / "usr/share/asterisk",
    )


RECIPE = Recipe(
    suite="sid",
    packages=("asterisk", "sip-tester"),
    size_mb=90,
    programs=lambda root: [telephony_layout(root).asterisk, telephony_layout(root).sipp],
    library_folders=lambda root: [telephony_layout(root).modules.parent],
    trials=lambda root: [
        Trial((telephony_layout(root).asterisk, "-V"), says="Asterisk 22."),
        Trial((telephony_layout(root).sipp, "-v"), says="SIPp v3."),
    ],
)


def fetch_telephony(settings: EngineSettings, report: Report) -> TelephonyLayout:
    """Make sure the exchange is on this machine; instantaneous when it is.

    Raises:
        VigieError: it cannot be had; nothing half-made stays behind.
    """
    root = telephony_root(settings.cache())
    if not telephony_layout(root).whole():
        bring(RECIPE, root, present=lambda: telephony_layout(root).whole(), settings=settings, report=report)
    return telephony_layout(root)
