"""What an incident, a symptom or a typology looks like, in a form in which any two can be compared.

Five blocks: the trouble, the dimensions that bound it, how the metrics deviate, which events come, and what the calls are
about. Values (which carrier, which region) are left out: tomorrow's outage is another carrier's. A block that is not known
is None and is passed over when compared; known and empty says that there is none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from diagnostics.troubles import TROUBLES, Trouble
from fleet.contract import SAMPLE_FIELDS, EventCode
from fleet.registry import DIMENSIONS

F32 = NDArray[np.float32]
Bool = NDArray[np.bool_]

# Beside the registry's dimensions: bounded by nothing, and a single terminal.
WHOLE_FLEET, ONE_TERMINAL = "all", "one"
BOUNDS: Final = (*DIMENSIONS, WHOLE_FLEET, ONE_TERMINAL)
# What may deviate.
METRICS: Final = SAMPLE_FIELDS
# Shops opening and closing tell of no fault.
CODES: Final = tuple(code for code in EventCode if code not in (EventCode.OPEN, EventCode.CLOSE))
# A mean deviation beyond this says no more.
LARGEST_Z: Final = 8.0
# Below these a deviation, or a rate of events, is no likeness to anything: a constant component beside the real ones.
_QUIET_Z, _QUIET_EVENTS = 1.5, 0.2
# Events of fewer hit terminals than this are everyday's.
FEWEST_EVENTS: Final = 0.02

BLOCKS: Final = ("trouble", "scope", "z", "events", "words")
# Calls at the same time may be about anything: beside telemetry they only support.
_USUAL: Final = {"trouble": 0.4, "scope": 0.15, "z": 0.3, "events": 0.2, "words": 0.15}
# Where no telemetry tells of it, what the calls say decides, and their silence counts against a likeness.
_BY_CALLS: Final = {"trouble": 0.15, "scope": 0.05, "z": 0.0, "events": 0.0, "words": 0.8}


@dataclass(frozen=True, slots=True)
class Signature:
    """`troubles`: weight of each, the usual one 1. `scope`: of `BOUNDS`; a typology weighs them.

    `z`: mean clipped deviation of hit terminals by metric. `events`: of each code, how many per hit terminal. `words`: share of
    the calls' notes by the typology they match.
    """

    troubles: Mapping[str, float] = field(default_factory=dict)
    scope: frozenset[str] | Mapping[str, float] | None = None
    z: Mapping[str, float] | None = None
    events: Mapping[str, float] | None = None
    words: Mapping[int, float] | None = None

    @property
    def told_by_calls(self) -> bool:
        """Whether no telemetry tells of it."""
        return not self.troubles or max(self.troubles, key=lambda name: self.troubles[name]) == Trouble.CALLS

    def to_json(self) -> dict[str, Any]:
        """As the database keeps it."""
        return {
            "troubles": {name: round(weight, 3) for name, weight in self.troubles.items()},
            "scope": dict(self.scope) if isinstance(self.scope, Mapping) else None if self.scope is None else sorted(self.scope),
            "z": None if self.z is None else {name: round(value, 2) for name, value in self.z.items()},
            "events": None if self.events is None else {code: round(rate, 3) for code, rate in self.events.items()},
            "words": None if self.words is None else {str(typology): round(share, 3) for typology, share in self.words.items()},
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Signature":
        """What `to_json` gave; an empty object is a signature of which nothing is known."""
        scope, words = stored.get("scope"), stored.get("words")
        return cls(
            troubles=dict(stored.get("troubles") or {}),
            scope=scope if scope is None or isinstance(scope, Mapping) else frozenset(scope),
            z=stored.get("z"),
            events=stored.get("events"),
            words=None if words is None else {int(typology): share for typology, share in words.items()},
        )


@dataclass(frozen=True, eq=False)
class Table:
    """Signatures as arrays, a row each: every block unit-free, and `known` (n, blocks) says which blocks there are."""

    trouble: F32
    scope: F32
    z: F32
    events: F32
    words: F32
    known: Bool
    by_calls: Bool

    def __len__(self) -> int:
        return len(self.known)


def table(signatures: Sequence[Signature], typologies: Sequence[int]) -> Table:
    """Lay signatures out as arrays; `typologies` are the ids that the words' columns stand for."""
    count = len(signatures)
    known = np.zeros((count, len(BLOCKS)), bool)
    trouble = np.zeros((count, len(TROUBLES)), np.float32)
    scope = np.zeros((count, len(BOUNDS)), np.float32)
    z = np.zeros((count, len(METRICS) + 1), np.float32)
    events = np.zeros((count, len(CODES) + 1), np.float32)
    words = np.zeros((count, len(typologies)), np.float32)
    z[:, -1], events[:, -1] = _QUIET_Z, _QUIET_EVENTS
    for row, one in enumerate(signatures):
        _fill(trouble[row], TROUBLES, one.troubles)
        _fill(scope[row], BOUNDS, _weights(one.scope))
        _fill(z[row], METRICS, {name: _clipped(value) for name, value in (one.z or {}).items()})
        # A rate counts less and less the higher it is: the first crash tells the most.
        _fill(events[row], CODES, {code: rate**0.5 for code, rate in (one.events or {}).items() if rate >= FEWEST_EVENTS})
        _fill(words[row], typologies, one.words or {})
        known[row] = (
            bool(one.troubles),
            one.scope is not None,
            one.z is not None,
            # What has not come yet may still come; what came counts.
            bool(events[row, :-1].any()),
            one.words is not None or one.told_by_calls,
        )
    by_calls = np.array([one.told_by_calls for one in signatures], bool)
    return Table(trouble, scope, z, events, words, known, by_calls)


def likeness(things: Table, typologies: Table, *, blocks: Bool | None = None) -> F32:
    """How similar each thing is to each typology (things, typologies), 0 to 1; typology i's words are column i.

    `blocks` (blocks,) leaves others out, so that things are compared by the same.
    """
    words = np.zeros((len(things), len(typologies)), np.float32)
    words[:, : things.words.shape[1]] = things.words[:, : len(typologies)]
    scope_size = np.maximum(things.scope.sum(axis=1, keepdims=True), 1)
    parts = np.stack(
        [
            np.minimum(things.trouble @ typologies.trouble.T / _squares(things.trouble), 1),
            things.scope @ typologies.scope.T / scope_size,
            np.maximum(_unit(things.z) @ _unit(typologies.z).T, 0),
            np.maximum(_unit(things.events) @ _unit(typologies.events).T, 0),
            np.minimum(words, 1),
        ]
    )
    usual, by_calls = (np.array([weights[block] for block in BLOCKS], np.float32) for weights in (_USUAL, _BY_CALLS))
    weights = np.where(things.by_calls[:, None], by_calls, usual) * things.known
    if blocks is not None:
        weights = weights * blocks
    # A typology that says nothing of a block is compared by the others.
    both = weights[:, None, :] * (typologies.known | np.array([False, False, False, True, True]))[None, :, :]
    total = both.sum(axis=2)
    found: F32 = np.where(total > 0, (both * np.moveaxis(parts, 0, 2)).sum(axis=2) / np.maximum(total, 1e-6), 0).astype(np.float32)
    return found


def mean_of(signatures: Sequence[Signature], *, prior: Signature | None = None, prior_weight: float = 5.0) -> Signature:
    """The signature that members share; `prior` counts as so many members, and stands alone where there are none."""
    weighted = [(one, 1.0) for one in signatures] + ([(prior, prior_weight)] if prior is not None else [])
    if not weighted:
        return Signature()
    troubles = _mean([(one.troubles, weight) for one, weight in weighted])
    most = max(troubles.values(), default=1.0)
    scoped = [(_weights(one.scope), weight) for one, weight in weighted if one.scope is not None]
    deviating = [(one.z, weight) for one, weight in weighted if one.z is not None]
    telling = [(one.events, weight) for one, weight in weighted if one.events is not None]
    return Signature(
        troubles={name: value / most for name, value in troubles.items()},
        scope=_mean(scoped) if scoped else None,
        z=_mean(deviating) if deviating else None,
        events=_mean(telling) if telling else None,
    )


def _mean(parts: Sequence[tuple[Mapping[str, float], float]]) -> dict[str, float]:
    total = sum(weight for _, weight in parts)
    names = {name for part, _ in parts for name in part}
    return {name: sum(part.get(name, 0.0) * weight for part, weight in parts) / total for name in sorted(names)}


def _fill(row: F32, names: Sequence[Any], values: Mapping[Any, float]) -> None:
    """Set the named columns; a name of an older or newer release is passed over."""
    for column, name in enumerate(names):
        row[column] = values.get(name, 0.0)


def _weights(scope: frozenset[str] | Mapping[str, float] | None) -> Mapping[str, float]:
    return scope if isinstance(scope, Mapping) else dict.fromkeys(sorted(scope or ()), 1.0)


def _clipped(value: float) -> float:
    return min(max(value, -LARGEST_Z), LARGEST_Z)


def _unit(rows: F32) -> F32:
    found: F32 = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    return found


def _squares(rows: F32) -> F32:
    found: F32 = np.maximum((rows**2).sum(axis=1, keepdims=True), 1e-6)
    return found
