"""Short scenarios for the simulators' tests."""

from datetime import datetime
from typing import Any

from simulators.scenario import FaultSpec, Scenario

SEED = 5
# A Tuesday morning in Paris: shops are open, races are still to come.
MORNING = "2026-11-24T10:00:00+01:00"


def make_scenario(
    *faults: dict[str, Any], start: str = MORNING, minutes: float = 120, terminals: int = 2400, **more: Any
) -> Scenario:
    """Make a scenario of the small world with these `[[fault]]`s."""
    specs = tuple(FaultSpec.model_validate({"expect": "incident", **fault}) for fault in faults)
    settings: dict[str, Any] = {"name": "a test", "seed": SEED, "terminals": terminals, "minutes": minutes, **more}
    return Scenario(start=datetime.fromisoformat(start), fault=specs, **settings)
