"""The minutes that an incident's plots show: of the whole fleet, who showed what and how far it deviated, for the last half hour.

An incident is known minutes after its beginning, and nobody knew before which terminals would be in it. So each minute the
fleet's signs are kept for all, as bits and bytes, and points are made from them when there is an incident to make them for.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from diagnostics.detector.observed import Layer, Signs
from diagnostics.snapshot import F32, Bool, Index
from diagnostics.tracking.case import Case
from diagnostics.tracking.case import shown as shows
from diagnostics.tracking.tracked import Point
from diagnostics.troubles import TROUBLE_INDEX, Trouble

MINUTE_MS: Final = 60_000
BEFORE_MINUTES: Final = 30
# So long after its beginning an incident may open, and still have the half hour before it.
_KEPT: Final = BEFORE_MINUTES + 20
# z is kept to a sixteenth, and not beyond 7.9.
_STEPS: Final = 16
_UNKNOWN: Final = -128

U16 = NDArray[np.uint16]
I8 = NDArray[np.int8]


class Series:
    """A ring of minutes: shown and judged troubles as bits (minutes, n), z as bytes (minutes, n, metrics)."""

    def __init__(self, n: int, metrics: Sequence[str]) -> None:
        self._metrics = list(metrics)
        self._at_ms = np.zeros(_KEPT, np.int64)
        self._shown: U16 = np.zeros((_KEPT, n), np.uint16)
        self._judged: U16 = np.zeros((_KEPT, n), np.uint16)
        self._z: NDArray[np.int8] = np.full((_KEPT, n, len(metrics)), _UNKNOWN, np.int8)
        self._next = 0
        self._given: dict[int, int] = {}  # key -> the last minute given

    def keep(self, signs: Signs, layers: Iterable[Layer], *, now_ms: int) -> bool:
        """Keep this minute if it has not been; returns whether it was kept."""
        minute = now_ms - now_ms % MINUTE_MS
        if self._at_ms[self._next - 1] >= minute:
            return False
        shown, judged = np.zeros(self._shown.shape[1], np.uint16), np.zeros(self._shown.shape[1], np.uint16)
        shortest: dict[Trouble, Layer] = {}
        for layer in layers:
            if layer.trouble not in shortest or layer.window_s < shortest[layer.trouble].window_s:
                shortest[layer.trouble] = layer
        for trouble, layer in shortest.items():
            bit = np.uint16(1 << TROUBLE_INDEX[trouble])
            judged[layer.expected > 0] |= bit
            shown[shows(layer)] |= bit
        place = self._next
        self._at_ms[place], self._shown[place], self._judged[place] = minute, shown, judged
        steps = np.clip(np.nan_to_num(signs.z * _STEPS, nan=_UNKNOWN), -127, 127)
        self._z[place] = np.where(np.isnan(signs.z), _UNKNOWN, steps).astype(np.int8)
        self._next = (place + 1) % _KEPT
        return True

    def points(self, cases: Iterable[Case], *, now_ms: int) -> list[Point]:
        """The minutes not given yet of each living incident, from half an hour before its beginning."""
        found: list[Point] = []
        alive = set()
        for case in cases:
            key = case.tracked.key
            alive.add(key)
            from_ms = self._given.get(key, case.tracked.began_ms - BEFORE_MINUTES * MINUTE_MS - 1)
            places = [place for place in np.argsort(self._at_ms).tolist() if from_ms < self._at_ms[place] <= now_ms]
            found += [self._point(case, place) for place in places if self._at_ms[place]]
            if places:
                self._given[key] = int(self._at_ms[places[-1]])
        self._given = {key: at_ms for key, at_ms in self._given.items() if key in alive}
        return found

    def resume(self, cases: Iterable[Case], *, now_ms: int) -> None:
        """After a restart the stored minutes of these incidents are not given again."""
        for case in cases:
            self._given[case.tracked.key] = now_ms

    def carry(self, old: "Series", old_rows: Index) -> None:
        """Take over the minutes of another registry: row i was `old_rows[i]`, -1 is new."""
        known = old_rows >= 0
        rows = old_rows[known]
        self._at_ms, self._next, self._given = old._at_ms, old._next, old._given
        self._shown[:, known], self._judged[:, known], self._z[:, known] = (
            old._shown[:, rows],
            old._judged[:, rows],
            old._z[:, rows],
        )

    def _point(self, case: Case, place: int) -> Point:
        bit = np.uint16(1 << TROUBLE_INDEX[case.tracked.trouble])
        judged = (self._judged[place] & bit) != 0
        shown = judged & ((self._shown[place] & bit) != 0)
        inside = case.inside
        return Point(
            key=case.tracked.key,
            at_ms=int(self._at_ms[place]),
            inside_hit=int(np.count_nonzero(shown & inside)),
            inside=int(np.count_nonzero(judged & inside)),
            outside_hit=int(np.count_nonzero(shown & ~inside)),
            outside=int(np.count_nonzero(judged & ~inside)),
            z=self._means(case, place),
        )

    def _means(self, case: Case, place: int) -> dict[str, tuple[float, float]]:
        evidence = case.tracked.evidence
        names = [leading.metric for leading in evidence.leading] if evidence else []
        found = {}
        for name in names:
            if name in self._metrics:
                z = self._z[place, :, self._metrics.index(name)]
                known = z != _UNKNOWN
                found[name] = (_mean(z, known & case.inside), _mean(z, known & ~case.inside))
        return found


def _mean(z: I8, where: Bool) -> float:
    values: F32 = z[where].astype(np.float32)
    return round(float(values.mean()) / _STEPS, 3) if len(values) else 0.0
