"""A scenario file: which fleet, when, and what goes wrong in it."""

import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from fleet.errors import VigieError


class ScenarioError(VigieError):
    """A scenario file cannot be played; the message names the file, the line, the field and the remedy."""


class Kind(StrEnum):
    """What can befall a fleet."""

    NETWORK_OUTAGE = "network_outage"
    NETWORK_DEGRADED = "network_degraded"
    POWER_CUT = "power_cut"
    PRINTER_DEGRADED = "printer_degraded"
    PAPER_OUT = "paper_out"
    SCANNER_DEGRADED = "scanner_degraded"
    MEMORY_LEAK = "memory_leak"
    CRASH_LOOP = "crash_loop"
    SLOW_TRANSACTIONS = "slow_transactions"
    CENTRAL_OUTAGE = "central_outage"
    CLOCK_DRIFT = "clock_drift"
    OVERHEATING = "overheating"
    DISK_FULL = "disk_full"
    FROZEN_APP = "frozen_app"
    WEAK_RADIO = "weak_radio"
    SETTLEMENT_ERROR = "settlement_error"
    RACE_RUSH = "race_rush"
    EARLY_CLOSE = "early_close"
    MAINTENANCE_REBOOT = "maintenance_reboot"
    NEW_TERMINALS = "new_terminals"


HARMLESS = frozenset({Kind.RACE_RUSH, Kind.EARLY_CLOSE, Kind.MAINTENANCE_REBOOT, Kind.NEW_TERMINALS})

# The registry's dimensions; a test holds them equal to the world's.
Dimension = Literal["department", "region", "model", "hw", "firmware", "access", "carrier", "lot", "agency"]
TerminalId = Annotated[str, Field(pattern="^T[0-9]{5}$")]

REMEDIES: Mapping[str, str] = {
    "enum": "use one of the kinds that docs/scenarios.md lists",
    "extra_forbidden": "remove it, or check its spelling",
    "missing": "add it",
    "timezone_aware": "add the offset from UTC, as in 2026-11-23T09:00:00+01:00",
}


class FaultSpec(BaseModel):
    """One `[[fault]]` of a scenario; its terminals are a scope or a list, never both."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    at_min: Annotated[float, Field(ge=0)]
    minutes: Annotated[float, Field(gt=0)]
    scope: dict[Dimension, str] | None = None
    terminals: tuple[TerminalId, ...] | None = None
    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    strength: Annotated[float, Field(gt=0, le=20)] = 1.0
    expect: Literal["incident", "symptom", "nothing"]

    @model_validator(mode="after")
    def _has_one_way_to_choose_terminals(self) -> "FaultSpec":
        if (self.scope is None) == (self.terminals is None):
            raise ValueError("give either scope = {...} ({} is the whole fleet) or terminals = [...]")
        if self.terminals is not None and not self.terminals:
            raise ValueError("terminals is empty: name at least one, or use scope")
        return self

    def scope_by_name(self) -> dict[str, str]:
        """Return the scope with plain names; empty where there is none or it is the whole fleet."""
        return {str(dimension): value for dimension, value in (self.scope or {}).items()}


class Scenario(BaseModel):
    """A whole scenario; frozen, so that what was played is what was read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1)]
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    terminals: Annotated[int, Field(ge=1, le=99_999)] = 16_000
    start: AwareDatetime
    minutes: Annotated[float, Field(gt=0)]
    warmup_days: Annotated[float, Field(ge=0, le=60)] = 7
    # A demonstration cannot wait half an hour for the first shopkeeper: their delays are divided by this.
    callers_hurry: Annotated[float, Field(ge=1, le=1000)] = 1.0
    fault: tuple[FaultSpec, ...] = ()

    @property
    def start_s(self) -> int:
        """The start in seconds since the epoch."""
        return int(self.start.timestamp())

    @property
    def end_s(self) -> int:
        """The end in seconds since the epoch."""
        return self.start_s + round(self.minutes * 60)

    def starting(self, start_s: int) -> "Scenario":
        """Return the same scenario begun at another second: played live, a scenario begins now."""
        return self.model_copy(update={"start": datetime.fromtimestamp(start_s, UTC)})

    @field_validator("fault")
    @classmethod
    def _faults_are_bounded(cls, faults: tuple[FaultSpec, ...]) -> tuple[FaultSpec, ...]:
        if len(faults) > 1000:
            raise ValueError("more than 1000 faults: split the scenario")
        return faults


def load(path: Path) -> Scenario:
    """Read a scenario, or raise a ScenarioError with one line per mistake."""
    raise NotImplementedError


def parse(text: str, *, source: str) -> Scenario:
    """Check a scenario's text; `source` is the name that errors show."""
    document: dict[str, Any] = tomllib.loads(text)
    try:
        return Scenario.model_validate(document)
    except ValidationError as error:
        raise ScenarioError(source) from error
