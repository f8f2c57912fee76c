"""A scenario file: which fleet, when, and what goes wrong in it."""

import re
import tomllib
from collections import Counter
from datetime import UTC, datetime
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from fleet.errors import VigieError

SHIPPED = Path(__file__).parent / "scenarios"


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


class Effect(StrEnum):
    """What a bad release does: to a terminal that runs it, or that is to install it."""

    PRINTER_ERRORS = "printer_errors"
    SCANNER_ERRORS = "scanner_errors"
    TRANSACTION_ERRORS = "transaction_errors"
    CRASHES = "crashes"
    CALLS = "calls"
    BRICKS = "bricks"
    FALLS_BACK = "falls_back"
    LIES = "lies"
    SLOW = "slow"
    OFF = "off"


HARMLESS = frozenset({Kind.RACE_RUSH, Kind.EARLY_CLOSE, Kind.MAINTENANCE_REBOOT, Kind.NEW_TERMINALS})

# The registry's dimensions; a test holds them equal to the world's.
Dimension = Literal["department", "region", "model", "hw", "firmware", "access", "carrier", "lot", "agency"]
TerminalId = Annotated[str, Field(pattern="^T[0-9]{5}$")]


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


class ReleaseSpec(BaseModel):
    """One `[[release]]` of a scenario: what a version does to the terminals that are updated to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Annotated[str, Field(min_length=1, max_length=40)]
    effect: Effect
    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    strength: Annotated[float, Field(gt=0, le=20)] = 1.0


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
    fault: Annotated[tuple[FaultSpec, ...], Field(max_length=1000)] = ()
    release: Annotated[tuple[ReleaseSpec, ...], Field(max_length=100)] = ()

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

    @model_validator(mode="after")
    def _faults_begin_before_the_end(self) -> "Scenario":
        for order, fault in enumerate(self.fault):
            if fault.at_min >= self.minutes:
                raise _MisplacedError(order, "at_min", f"begins at minute {fault.at_min:g}, the scenario ends at {self.minutes:g}")
        return self


# The tables that a scenario may have more than once.
_TABLES: dict[str, type[BaseModel]] = {"fault": FaultSpec, "release": ReleaseSpec}


class _MisplacedError(ValueError):
    """A value that is wrong only beside another one."""

    def __init__(self, order: int, field: str, message: str) -> None:
        super().__init__(message)
        self.loc = ("fault", order, field)


def load(path: Path) -> Scenario:
    """Read a scenario, or raise a ScenarioError with one line per mistake."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ScenarioError(f"{path}: no such scenario; the ones that come with Vigie are: {', '.join(shipped())}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: cannot be read ({error}); a scenario is a UTF-8 TOML file") from error
    return parse(text, source=str(path))


def shipped() -> dict[str, Path]:
    """Return the scenarios that come with Vigie, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}


def parse(text: str, *, source: str) -> Scenario:
    """Check a scenario's text; `source` is the name that errors show."""
    try:
        document: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{source}: not TOML: {error}") from None
    try:
        return Scenario.model_validate(document)
    except ValidationError as error:
        lines = [_in_words(text, source, dict(mistake)) for mistake in error.errors()]
        raise ScenarioError("\n".join(lines)) from None


def _in_words(text: str, source: str, mistake: dict[str, Any]) -> str:
    """Say one mistake with file, line, field and remedy."""
    cause = mistake.get("ctx", {}).get("error")
    loc = cause.loc if isinstance(cause, _MisplacedError) else tuple(mistake["loc"])
    line = _line_of(text, loc)
    where = f"{source}:{line}" if line else source
    names = [
        f"{loc[0]} {part + 1}" if isinstance(part, int) and loc[0] in _TABLES and n == 1 else str(part)
        for n, part in enumerate(loc)
    ]
    field = ", ".join(name for n, name in enumerate(names) if name != "[key]" and not (n == 0 and len(names) > 1))
    message = str(mistake["msg"]).removeprefix("Value error, ")
    return f"{where}: {field or 'scenario'}: {message[:1].lower()}{message[1:]}{_remedy(mistake, loc)}"


def _remedy(mistake: dict[str, Any], loc: tuple[int | str, ...]) -> str:
    kind, value = mistake["type"], mistake.get("input")
    if kind == "extra_forbidden":
        known = (_TABLES[str(loc[0])] if len(loc) > 1 else Scenario).model_fields
        return f"; the fields are {', '.join(known)}{_did_you_mean(str(loc[-1]), list(known))}"
    if kind == "enum":
        choices = Effect if loc[0] == "release" else Kind
        return f" (got {value!r}{_did_you_mean(str(value), [str(k) for k in choices])})"
    if kind == "literal_error":
        words = get_args(Dimension) if "[key]" in loc else ("incident", "symptom", "nothing")
        return f" (got {value!r}{_did_you_mean(str(value), list(words))})"
    if kind == "missing":
        return f": add a line `{loc[-1]} = ...`"
    if kind == "timezone_aware":
        return ": add the offset from UTC, as in 2026-11-23T09:00:00+01:00"
    return "" if kind == "value_error" else f" (got {value!r})"


def _did_you_mean(word: str, known: list[str]) -> str:
    near = get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _line_of(text: str, loc: tuple[int | str, ...]) -> int | None:
    """Find the line of a field: its own, or its table's where it is missing."""
    in_table = len(loc) > 1 and loc[0] in _TABLES and isinstance(loc[1], int)
    wanted = (loc[0], loc[1]) if in_table else ("", -1)
    keys = [str(part) for part in (loc[2:] if in_table else loc)]
    here: tuple[str, int] = ("", -1)
    seen: Counter[str] = Counter()
    table_line = None
    for number, line in enumerate(text.splitlines(), start=1):
        if table := re.match(r"\s*\[\[\s*(\w+)\s*\]\]", line):
            here = (table[1], seen[table[1]])
            seen[table[1]] += 1
            table_line = number if here == wanted else table_line
        key = re.match(r"\s*\[?\s*(?:fault\.)?[\"']?(\w+)[\"']?\s*(?:=|\])", line)
        if here == wanted and key and keys and key.group(1) == keys[0]:
            return number
    return table_line
