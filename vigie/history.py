"""The past of a generated fleet, so that a demonstration knows from its first minute what is usual: made, not waited for.

A week of a quiet scenario is lived through at the steps of the roll-up, and what a watch would have learnt of it is kept in the
cache: the same fleet at the same hour of the same week is learnt once.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from simulators.scenario import Scenario
from vigie.evaluate.player import Player, fingerprint

DAYS: Final = 7
# Old weeks are of no use any more.
_KEPT: Final = 4


def history(folder: Path, *, seed: int, terminals: int, at: datetime, progress: Callable[[float], None]) -> Path:
    """The file that holds what is learnt of the week before the hour of `at`; made unless the folder has it."""
    hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    quiet = Scenario(name="the week before", seed=seed, terminals=terminals, start=hour, minutes=1, warmup_days=DAYS)
    place = folder / f"{fingerprint(quiet)}.learnt"
    if not place.exists():
        player = Player(quiet)
        player.warm_up(progress=progress)
        folder.mkdir(parents=True, exist_ok=True)
        partial = place.with_suffix(".partial")
        partial.write_bytes(player.diagnosis.learnt().to_bytes())
        partial.rename(place)
        for old in sorted(folder.glob("*.learnt"), key=lambda path: path.stat().st_mtime)[:-_KEPT]:
            old.unlink(missing_ok=True)
    return place
