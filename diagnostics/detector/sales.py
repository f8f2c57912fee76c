"""Who sells nothing although others do: what a terminal would have sold since its last customer, at the fleet's pace now.

Between two races nobody sells anywhere; a pause of the whole fleet is no terminal's trouble.
"""

from collections.abc import Mapping
from typing import ClassVar, Final

import numpy as np

from diagnostics.snapshot import F32, I64, Bool, Index

# The fleet's pace is taken over about so long, s ...
_PACE_S: Final = 120.0
# ... and where few report, the last hour's counts as so many seconds of one terminal.
_LABOUR_S: Final = 400.0
_SLOW_S: Final = 3600.0
_PRIOR_TERMINAL_S: Final = 600.0
# Custom comes in bursts: as if each terminal's rate were gamma with this shape.
_BURST: Final = np.float32(5.0)
# An average terminal's bets in a second, before anything is known (a first guess that an hour replaces): 26 an hour.
_USUAL_PACE: Final = 26 / 3600
# A shop that has had no customer for so many expected ones, and for so long, may hang.
_MISSED, _PAUSE_MS = np.float32(0.8), 85_000
_LONGEST_S: Final = np.float32(120)


class Sales:
    """`idle` (n,): bets that would have been tried since the last one; `sold_ms` when that was."""

    TERMINAL_AXIS: ClassVar[Mapping[str, int]] = {"idle": 0, "sold_ms": 0, "_at_ms": 0}

    def __init__(self, n: int) -> None:
        self.idle: F32 = np.zeros(n, np.float32)
        self.sold_ms: I64 = np.zeros(n, np.int64)
        self._at_ms: I64 = np.zeros(n, np.int64)
        self._sold = self._exposed = 0.0
        self._slow_sold, self._slow_exposed = _USUAL_PACE * _PRIOR_TERMINAL_S, _PRIOR_TERMINAL_S
        self._paced_ms = 0
        self._busy = 0.0

    @property
    def pace(self) -> float:
        """Bets a second that an average terminal makes now."""
        slow = self._slow_sold / self._slow_exposed
        return (self._sold + slow * _PRIOR_TERMINAL_S) / (self._exposed + _PRIOR_TERMINAL_S)

    @property
    def busy(self) -> float:
        """The pace of the last minutes' busiest: a machine labours on for a while when a race has begun and custom stops."""
        return max(self.pace, self._busy)

    @property
    def before(self) -> float:
        """The pace of the last hour, and half as much again: what a usual day may have had at this time."""
        return 1.5 * self._slow_sold / self._slow_exposed

    def fade(self, now_ms: int) -> None:
        """Let what was sold before count less by now."""
        over_s = min(max((now_ms - self._paced_ms) / 1000, 0.0), 3 * _SLOW_S) if self._paced_ms else 0.0
        self._paced_ms = now_ms
        self._busy = max(self._busy * float(np.exp(-over_s / _LABOUR_S)), self.pace)
        quick, slow = float(np.exp(-over_s / _PACE_S)), float(np.exp(-over_s / _SLOW_S))
        self._sold, self._exposed = self._sold * quick, self._exposed * quick
        self._slow_sold = max(self._slow_sold * slow, 1e-3 * _USUAL_PACE)
        self._slow_exposed = max(self._slow_exposed * slow, 1e-3)

    def take(self, rows: Index, at_ms: I64, tickets: F32, active: Bool, custom: F32) -> F32:
        """Take in samples of open shops (each row once); returns the seconds that each covers, float32 (rows,)."""
        before = self._at_ms[rows]
        over_s = np.where(before > 0, (at_ms - before) / 1000, 30).astype(np.float32)
        over_s = np.clip(over_s, 0, _LONGEST_S)
        exposed = float((custom * over_s).sum())
        sold = float(np.minimum(tickets, 20).sum())
        self._sold, self._exposed = self._sold + sold, self._exposed + exposed
        self._slow_sold, self._slow_exposed = self._slow_sold + sold, self._slow_exposed + exposed
        self._at_ms[rows] = np.maximum(before, at_ms)
        self.idle[rows] = np.where(active, 0, self.idle[rows] + custom * np.float32(self.pace) * over_s)
        # Who has just begun is counted from there.
        sold_ms = self.sold_ms[rows]
        self.sold_ms[rows] = np.where(active | (sold_ms == 0), at_ms, sold_ms)
        return over_s

    def chance(self, rows: Index | slice) -> F32:
        """How often a well terminal goes without a customer for so long: float32 (rows,)."""
        chance: F32 = ((1 + self.idle[rows] / _BURST) ** -_BURST).astype(np.float32)
        return chance

    def hangs(self, now_ms: int) -> Bool:
        """Who has missed a customer for a while: one that sells in a rush pauses no shorter for it."""
        return np.asarray((self.idle >= _MISSED) & (now_ms - self.sold_ms >= _PAUSE_MS))

    def rest(self, rows: Index) -> None:
        """Begin anew: closed, away, or just come back."""
        self.idle[rows] = 0
        self.sold_ms[rows] = 0
        self._at_ms[rows] = 0
