"""What is tracked: an incident as it is at one moment, what can happen to it, and what one step of the diagnosis says.

A `Tracked` is never changed, only replaced, so that a `Change` keeps the incident as it was then. Everything in it is stored
with the incident: a restarted watch hands the stored ones to a new diagnosis, which goes on where the old one stopped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

from diagnostics.detector.observed import Signs
from diagnostics.judgement import Judgement
from diagnostics.scan.why import Evidence
from diagnostics.snapshot import I64, Index
from diagnostics.troubles import Trouble

# Conditions (dimension, value) in the order of the registry's dimensions; () is the whole fleet.
Scope = tuple[tuple[str, str], ...]

# Keys of one millisecond; more incidents than this never begin in one tick.
_KEYS_A_MS: Final = 64


class Phase(StrEnum):
    """How far an incident's life has got. A candidate is nobody's business yet: it is neither stored nor told."""

    CANDIDATE = "candidate"
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    CLEARING = "clearing"
    CLOSED = "closed"


class ChangeKind(StrEnum):
    """What happened to an incident; the values are the kinds of `diagnostics.incident_event`, but for FIGURES."""

    OPENED = "opened"
    GREW = "grew"  # half as many terminals again as were last told
    SCOPE = "scope"  # scope, or trouble, known better
    ACKNOWLEDGED = "acknowledged"
    CLEARING = "clearing"
    FLAPPING = "flapping"  # opens and clears over and over: latched from here on
    CLOSED = "closed"
    RESOLVED = "resolved"
    REOPENED = "reopened"  # came back after it was clearing or closed
    MERGED = "merged"  # was part of another one: closed, `parent` is the one that lives on
    PARENT = "parent"  # found to be part of a wider one, `parent`, and lives on under it
    APART = "apart"  # what it was part of is over, it is not: told by itself from here on
    MUTED = "muted"  # announced maintenance: told to nobody
    UNMUTED = "unmuted"  # maintenance is over, it is still wrong: told from here on
    FIGURES = "figures"  # no event: terminals, figures or evidence to be stored


@dataclass(frozen=True, slots=True, eq=False)
class Tracked:
    """An incident at one moment; times are milliseconds since the epoch.

    `rows` are the terminals that ever showed it, ascending rows of the fleet; `hit_ms` (same shape) when each first did.
    `hits` of them show it at this moment, `worst_hits` did at the worst. `told_hits` is the count last told. `returns_ms` are
    the moments at which it came back. `settled_ms` is since when the scope has been what it is. `merged`: closed as a part of
    another one, its `parent`, rather than ended under it; such a one is not read from the database again.
    """

    key: int
    trouble: Trouble
    scope: Scope
    phase: Phase
    began_ms: int
    rows: Index
    hit_ms: I64
    hits: int
    worst_hits: int
    score: float
    opened_ms: int | None = None
    acknowledged_ms: int | None = None
    clearing_ms: int | None = None
    closed_ms: int | None = None
    told_hits: int = 0
    settled_ms: int = 0
    evidence: Evidence | None = None
    parent: int | None = None
    muted: bool = False
    latched: bool = False
    reopened: int = 0
    returns_ms: tuple[int, ...] = ()
    merged: bool = False

    @property
    def lives(self) -> bool:
        """Whether it was opened and is not closed."""
        return self.phase in (Phase.OPEN, Phase.ACKNOWLEDGED, Phase.CLEARING)

    @property
    def scope_by_name(self) -> dict[str, str]:
        """The scope as the registry's functions and the database take it."""
        return dict(self.scope)


class Change(NamedTuple):
    """Something that happened to an incident, and the incident as it was then.

    `details` says what the kind needs: {"from": scope before, "trouble_from": …} for SCOPE, {"into": key} for MERGED.
    """

    kind: ChangeKind
    key: int
    at_ms: int
    tracked: Tracked
    details: Mapping[str, Any] = {}


class Said(NamedTuple):
    """What a person did to an incident since the last step: ACKNOWLEDGED, RESOLVED or REOPENED."""

    kind: ChangeKind
    key: int
    at_ms: int


class Point(NamedTuple):
    """One minute of an incident's plots: who showed it of those who could have, inside its scope and outside.

    `z` is, of each leading metric, the mean deviation inside and outside.
    """

    key: int
    at_ms: int
    inside_hit: int
    inside: int
    outside_hit: int
    outside: int
    z: Mapping[str, tuple[float, float]]


class Step(NamedTuple):
    """What one step of the diagnosis says: every terminal's judgement, the signs, what happened to incidents, their plots."""

    judged: Judgement
    signs: Signs
    changes: Sequence[Change]
    series: Sequence[Point]


def new_key(at_ms: int, serial: int) -> int:
    """A key that no other incident has or had: made of the moment, so that a restart cannot give it twice."""
    return at_ms * _KEYS_A_MS + serial % _KEYS_A_MS
