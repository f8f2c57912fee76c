"""A fair incident rule for detectors that only say which terminals are odd: many of them in one cell of one dimension.

Of every value of every dimension, and of the whole fleet, alarming terminals are counted against what a quiet fleet has. The most
surprising cell is taken, its alarms are taken out, and the next is looked for. A cell must be found twice running, stays one
incident while the same terminals alarm, and what comes back within the hour is the same incident.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from diagnostics.detector.observed import Fleet
from diagnostics.snapshot import Bool, Index
from diagnostics.tracking.tracked import Phase, Scope, Tracked
from diagnostics.troubles import Trouble
from fleet.registry import DIMENSIONS
from vigie.evaluate.record import Life

LEAST_ALARMS: Final = 5
_MOST_CELLS: Final = 5
_SAME_SHARE: Final = 0.5
_RETURNS_S: Final = 3600


class Cells:
    """Every value of every dimension, and the whole fleet (cell 0)."""

    def __init__(self, fleet: Fleet) -> None:
        sizes = [len(levels) for levels in fleet.levels]
        offsets = 1 + np.concatenate([[0], np.cumsum(sizes)[:-1]])
        self._ids: NDArray[np.intp] = (fleet.codes + offsets).astype(np.intp)
        self._count = 1 + sum(sizes)
        self.scopes: list[Scope] = [()]
        for dimension, levels in zip(DIMENSIONS, fleet.levels, strict=True):
            self.scopes += [((dimension, level),) for level in levels]

    def count(self, which: Bool) -> NDArray[np.float64]:
        """How many of these terminals each cell has."""
        rows = np.flatnonzero(which)
        counts = np.bincount(self._ids[rows].ravel(), minlength=self._count).astype(np.float64)
        counts[0] = len(rows)
        return counts

    def members(self, cell: int, rows: Index) -> Bool:
        """Which of these rows the cell has, bool (len(rows),)."""
        return np.ones(len(rows), bool) if cell == 0 else (self._ids[rows] == cell).any(axis=1)

    def surprising(self, alarms: Bool, could: Bool, rate: float, *, least: float) -> list[tuple[int, float, Index]]:
        """Cells with far more alarms than `rate` of those who could, the most surprising first, each with its alarming rows."""
        expected = self.count(could) * rate
        left = alarms & could
        found: list[tuple[int, float, Index]] = []
        while len(found) < _MOST_CELLS:
            counts = self.count(left)
            z = np.where(counts >= LEAST_ALARMS, (counts - expected) / np.sqrt(expected + 1), 0.0)
            cell = int(np.argmax(z))
            if z[cell] < least:
                break
            rows = np.flatnonzero(left)
            mine = rows[self.members(cell, rows)]
            found.append((cell, float(z[cell]), mine))
            left = left.copy()
            left[mine] = False
        return found


@dataclass
class _Incident:
    cell: int
    rows: set[int]
    seen_s: int
    life: Life | None = None


@dataclass
class Rule:
    """The incidents of one rival at one threshold; `lives` is what the matching takes."""

    threshold: float
    cells: Cells
    lives: dict[int, Life] = field(default_factory=dict)
    _known: list[_Incident] = field(default_factory=list)

    def look(self, found: Sequence[tuple[int, float, Index]], *, second: int, every_s: int) -> None:
        """Take in what was surprising at this look."""
        self._known = [one for one in self._known if second - one.seen_s <= (_RETURNS_S if one.life else every_s)]
        for cell, z, rows in found:
            if z < self.threshold:
                continue
            here = set(rows.tolist())
            same = self._same(cell, here)
            if same is None:
                self._known.append(_Incident(cell, here, second))
                continue
            same.rows |= here
            same.seen_s = second
            self._tell(same, second, len(here), z)

    def _same(self, cell: int, rows: set[int]) -> _Incident | None:
        for one in self._known:
            if one.cell == cell or len(one.rows & rows) >= _SAME_SHARE * len(rows):
                return one
        return None

    def _tell(self, one: _Incident, second: int, hits: int, z: float) -> None:
        rows = np.array(sorted(one.rows), np.intp)
        if one.life is None:
            key = len(self.lives)
            tracked = Tracked(
                key=key,
                trouble=Trouble.OFFLINE,
                scope=self.cells.scopes[one.cell],
                phase=Phase.OPEN,
                began_ms=second * 1000,
                rows=rows,
                hit_ms=np.zeros(len(rows), np.int64),
                hits=hits,
                worst_hits=hits,
                score=z,
            )
            one.life = Life(key, tracked.trouble, second, rows, tracked, told_s=second)
            self.lives[key] = one.life
        else:
            one.life.last = replace(one.life.last, rows=rows, hit_ms=np.zeros(len(rows), np.int64))
