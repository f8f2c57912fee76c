"""What the diagnosis said while a scenario was played, kept small: the life of each incident, each symptom's beginning and end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from diagnostics.detector.metrics import GAUGES
from diagnostics.snapshot import EVENTS, Bool, Index
from diagnostics.tracking.tracked import ChangeKind, Scope, Tracked
from diagnostics.troubles import TROUBLES, Trouble
from simulators.happenings import FaultTruth
from vigie.evaluate.player import Player, Tick

# How often it is looked which terminals of a fault stand in open shops.
_LOOK_S: Final = 60
# Events this young are named beside a symptom.
_RECENT_S: Final = 1800
_ENDS: Final = frozenset({ChangeKind.CLOSED, ChangeKind.RESOLVED, ChangeKind.MERGED})


class Moment(NamedTuple):
    """One thing that happened to an incident."""

    second: int
    kind: ChangeKind
    scope: Scope
    hits: int
    score: float


@dataclass
class Life:
    """An incident from its opening on.

    `told_s` is when the IT department was first told of it as an incident of its own; None: never, as it was muted by
    maintenance, or from the start a part of another one.
    """

    key: int
    trouble: Trouble
    opened_s: int
    rows_then: Index  # the terminals that showed it when it was told
    last: Tracked
    told_s: int | None = None
    closed_s: int | None = None
    moments: list[Moment] = field(default_factory=list)


@dataclass
class Symptom:
    """One terminal's trouble, from the tick that found it."""

    row: int
    trouble: Trouble
    found_s: int
    value: float
    p: float
    # What else was known of the terminal then, in words; empty unless asked for.
    context: str = ""
    ended_s: int | None = None


class Said(Protocol):
    """What was said in a play: incidents by key, symptoms; and, of each fault by its order, who of it stood in an open shop."""

    @property
    def lives(self) -> Mapping[int, Life]:
        """Incidents, also untold ones."""

    @property
    def symptoms(self) -> Sequence[Symptom]:
        """In the order in which they were found."""

    @property
    def was_open(self) -> Mapping[int, Bool]:
        """Bool over the fault's terminals."""


class Record:
    """Fed with every tick of a player, the settling hour left out; `explain` keeps what was known at each symptom."""

    def __init__(self, player: Player, *, explain: bool = False) -> None:
        n = len(player.world)
        self.lives: dict[int, Life] = {}
        self.symptoms: list[Symptom] = []
        self.took_s: list[float] = []
        self._player, self._explain = player, explain
        # What was ill already before the scenario began is no finding of the scenario.
        before = player.last_signs
        self._was: Bool = before.symptom.copy() if before is not None else np.zeros((n, len(TROUBLES)), bool)
        self._open: dict[tuple[int, int], Symptom] = {}
        # Of each fault, by its order: which of its terminals stood in an open shop while it acted on them.
        self.was_open: dict[int, Bool] = {}

    def note(self, tick: Tick) -> None:
        """Take in one tick."""
        self.took_s.append(tick.took_s)
        self._note_symptoms(tick)
        for change in tick.step.changes:
            self._note_change(change.kind, change.tracked, change.at_ms // 1000)
        if tick.second % _LOOK_S == 0:
            for fault in self._player.population.truth():
                self._note_open(fault, tick.second)

    def _note_symptoms(self, tick: Tick) -> None:
        signs = tick.step.signs
        turned = signs.symptom ^ self._was
        if turned.any():
            for row, column in zip(*(places.tolist() for places in np.nonzero(turned)), strict=True):
                if signs.symptom[row, column]:
                    context = self._known_of(row, tick) if self._explain else ""
                    value, p = float(signs.value[row, column]), float(signs.p[row, column])
                    found = Symptom(row, TROUBLES[column], tick.second, value, p, context)
                    self._open[row, column] = found
                    self.symptoms.append(found)
                elif (row, column) in self._open:
                    self._open.pop((row, column)).ended_s = tick.second
            self._was = signs.symptom.copy()

    def _note_change(self, kind: ChangeKind, tracked: Tracked, second: int) -> None:
        life = self.lives.get(tracked.key)
        if life is None:
            life = Life(tracked.key, tracked.trouble, second, tracked.rows, tracked)
            self.lives[tracked.key] = life
        if life.told_s is None and not tracked.muted and tracked.parent is None and tracked.lives:
            life.told_s, life.rows_then = second, tracked.rows
        life.last = tracked
        if kind in _ENDS:
            life.closed_s = second
        elif kind is ChangeKind.REOPENED:
            life.closed_s = None
        if kind is not ChangeKind.FIGURES:
            life.moments.append(Moment(second, kind, tracked.scope, tracked.hits, tracked.score))

    def _note_open(self, fault: FaultTruth, second: int) -> None:
        if fault.onset_s.min(initial=second) <= second < fault.over_s:
            acting: NDArray[np.bool_] = (fault.onset_s <= second) & (second < fault.until_s)
            now = acting & self._player.population.is_open(second - 1)[fault.terminals]
            self.was_open[fault.order] = self.was_open.get(fault.order, np.zeros(len(now), bool)) | now

    def _known_of(self, row: int, tick: Tick) -> str:
        """Recent events, silence and the largest deviations of one terminal."""
        snapshot, z = self._player.diagnosis.snapshot, np.nan_to_num(tick.step.signs.z[row])
        ago_s = tick.second - snapshot.event_ms[row] // 1000
        words = [f"{EVENTS[code]} {ago_s[code]} s ago" for code in np.argsort(ago_s) if ago_s[code] < _RECENT_S]
        words.append(f"heard {tick.second - int(snapshot.heard_ms[row]) // 1000} s ago")
        words += [f"z({GAUGES[k].field}) {z[k]:+.1f}" for k in np.argsort(-np.abs(z))[:3] if abs(z[k]) >= 1]
        return ", ".join(words)
