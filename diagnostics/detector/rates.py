"""What goes wrong now and then, counted over windows of several lengths beside what a well terminal would count.

Counts and their means are kept by the minute; a window is a sum of minutes, so that a tick costs only what it brought.
"""

from collections.abc import Mapping
from typing import ClassVar, Final

import numpy as np

from diagnostics.detector.baseline import Baseline
from diagnostics.detector.metrics import COUNTS
from diagnostics.snapshot import F32, Bool, Index

# What the fleet scan looks at, and beside that what single terminals are judged by.
LAYER_WINDOWS_MIN: Final = (2, 5, 15, 60)
WINDOWS_MIN: Final = (*LAYER_WINDOWS_MIN, 30)
_MINUTE_S: Final = 60
# One terminal counts at most so often in each window: alone, it makes no incident.
_CAPS: Final = np.array([1, 1, 2, 3], np.float32)[:, None, None]
_RARE: Final = 0.03
# What is learnt of rates is off by a little everywhere at once: a tenth more is no incident, however many share it. And of
# nobody is it believed that nothing ever goes wrong.
_MARGIN, _LEAST_A_MINUTE = np.float32(1.1), np.float32(5e-6)
_LAYERS: Final = len(LAYER_WINDOWS_MIN)
# In ticks; and for how long after a start means still grow as fast as counts do.
_MEANS_EVERY: Final = 3
_GROWING_MIN: Final = 15
# Base rates of weak signs: what the replay found is worth so many terminals judged for an hour (half a day of the fleet) ...
_RATE_PRIOR: Final = 200_000.0
# ... and a month of learning is as much as is kept.
_RATE_MEMORY: Final = 16_000.0 * 30
# An incident must not teach its own signs: at most so many times the usual share is learnt in one step, plus a little.
_RATE_CLIP, _RATE_SPARE = 3.0, 2e-4


class CountWindows:
    """Counts of `COUNTS` per terminal over the last WINDOWS_MIN minutes, and their means; both change in place.

    `hits` and `means` hold (minutes, counts, n); minute `self._minute % 60` is the current one.
    """

    TERMINAL_AXIS: ClassVar[Mapping[str, int]] = {"_hits": 2, "_means": 2, "_closed_hits": 2, "_closed_means": 2, "_capped": 2}

    def __init__(self, n: int) -> None:
        self._slots = max(WINDOWS_MIN)
        self._hits: F32 = np.zeros((self._slots, len(COUNTS), n), np.float32)
        self._means: F32 = np.zeros((self._slots, len(COUNTS), n), np.float32)
        # Sums over the closed minutes of each window, and the minute that runs.
        self._closed_hits: F32 = np.zeros((len(WINDOWS_MIN), len(COUNTS), n), np.float32)
        self._closed_means: F32 = np.zeros((len(WINDOWS_MIN), len(COUNTS), n), np.float32)
        self._minute = self._began = -1
        # What is handed out is not allocated anew each tick: two turns of it.
        self._turn = 0
        self._bounded: F32 = np.zeros((2, 2, _LAYERS, len(COUNTS), n), np.float32)
        self._capped: F32 = np.zeros((_LAYERS, len(COUNTS), n), np.float32)
        self._age = 0

    def turn(self, now_ms: int) -> bool:
        """Close the minutes that have passed; returns whether one has."""
        minute = now_ms // 1000 // _MINUTE_S
        if self._minute < 0 or minute < self._minute or minute - self._minute > self._slots:
            self._restart(minute)
            return True
        turned = minute > self._minute
        if turned:
            self._age = 0
        while self._minute < minute:
            self._close_minute()
        return turned

    def _restart(self, minute: int) -> None:
        self._minute = self._began = minute
        for array in (self._hits, self._means, self._closed_hits, self._closed_means):
            array[:] = 0

    def _close_minute(self) -> None:
        """Move each window on by a minute: the one that ran joins it, the one that is too old leaves."""
        now = self._minute % self._slots
        for stored, closed in ((self._hits, self._closed_hits), (self._means, self._closed_means)):
            for place, length in enumerate(WINDOWS_MIN):
                closed[place] += stored[now]
                leaving = (self._minute - length + 1) % self._slots
                closed[place] -= stored[leaving]
        self._minute += 1
        following = self._minute % self._slots
        self._hits[following] = 0
        self._means[following] = 0
        np.maximum(self._closed_means, 0, out=self._closed_means)

    def add(self, rows: Index, wrong: F32, means: F32, *, first: int = 0) -> None:
        """Count what `rows` (each once) showed: (rows, counts from `first` on)."""
        now = self._minute % self._slots
        for column in range(wrong.shape[1]):
            self._means[now, first + column, rows] += means[:, column]
            some = np.flatnonzero(wrong[:, column])
            self._hits[now, first + column, rows[some]] += wrong[some, column]

    def add_mean(self, count: int, mean: F32) -> None:
        """Add to the mean of everybody, (n,): what is counted over time."""
        self._means[self._minute % self._slots, count] += mean

    def window(self, count: int, minutes: int) -> tuple[F32, F32]:
        """Count and mean of each terminal over the last `minutes` (one of WINDOWS_MIN), float32 (n,) each."""
        now, place = self._minute % self._slots, WINDOWS_MIN.index(minutes)
        hits = self._closed_hits[place, count] + self._hits[now, count]
        return hits, self._closed_means[place, count] + self._means[now, count]

    def bounded(self, counted: Bool) -> tuple[F32, F32]:
        """The layers' windows: counts, each terminal's up to the cap, and the means of that, of who is `counted` (n,).

        Both (windows, counts, n); they hold until the call after the next.
        """
        self._turn = 1 - self._turn
        hits, means = self._bounded[0, self._turn], self._bounded[1, self._turn]
        np.add(self._closed_hits[:_LAYERS], self._hits[self._minute % self._slots], out=hits)
        np.minimum(hits, _CAPS, out=hits)
        hits *= counted
        # Means move slowly, and are taken anew once in each round of reports; not just after a start, when they grow from nothing.
        if self._age % _MEANS_EVERY == 0 or self._minute - self._began < _GROWING_MIN:
            self._take_means()
        self._age += 1
        np.multiply(self._capped, counted, out=means)
        return hits, means

    def _take_means(self) -> None:
        """The mean of min(Poisson, cap); where hardly anything is expected, it is the mean itself."""
        means = np.add(self._closed_means[:_LAYERS], self._means[self._minute % self._slots], out=self._capped)
        for place, cap in enumerate(_CAPS[:, 0, 0].tolist()):
            m = means[place]
            e = np.exp(-m)
            capped = 1 - e if cap == 1 else 2 - e * (2 + m) if cap == 2 else 3 - e * (3 + m * (2 + m / 2))
            np.copyto(m, capped, where=m > _RARE)
            m *= _MARGIN
            m += _LEAST_A_MINUTE * LAYER_WINDOWS_MIN[place]

    def last_minute(self) -> tuple[F32, F32]:
        """Counts and means of the minute that closed last: (counts, n) each."""
        last = (self._minute - 1) % self._slots
        return self._hits[last], self._means[last]

    def forget(self, rows: Index) -> None:
        """Empty the windows of some terminals."""
        for array in (self._hits, self._means, self._closed_hits, self._closed_means):
            array[:, :, rows] = 0


class SignRates:
    """How many well terminals show each weak sign: the learnt share by the hour, and at least what is believed of anyone."""

    def __init__(self, baseline: Baseline, prior: F32, least: float) -> None:
        """`prior` (troubles,) is the share that the calibration found."""
        self._baseline, self._prior, self._least = baseline, prior, least

    def at(self, hour: int) -> F32:
        """The expected share of terminals with each sign: float32 (troubles,)."""
        hits, judged = self._baseline.sign_hits, self._baseline.sign_judged
        # Hours differ little where little was seen: each leans on the whole day, the day on the calibration.
        day = (hits.sum(axis=1) + _RATE_PRIOR * self._prior) / (judged.sum(axis=1) + _RATE_PRIOR)
        share = (hits[:, hour] + _RATE_PRIOR * day) / (judged[:, hour] + _RATE_PRIOR)
        return np.asarray(np.maximum(share, self._least), np.float32)

    def learn(self, hour: int, hits: F32, judged: F32, *, over_h: float) -> None:
        """Take in how many showed each sign of how many judged, (troubles,) each, for a part of an hour."""
        state = self._baseline
        usual = self.at(hour)
        believed = np.minimum(hits, judged * (_RATE_CLIP * usual + _RATE_SPARE))
        fading = np.clip(1 - judged * over_h / _RATE_MEMORY, 0, 1)
        state.sign_hits[:, hour] = state.sign_hits[:, hour] * fading + believed * over_h
        state.sign_judged[:, hour] = state.sign_judged[:, hour] * fading + judged * over_h


def shares(signs: Bool, judged: Bool) -> tuple[F32, F32]:
    """How many of how many show each sign: (troubles,) each, from (troubles, n) tables."""
    return np.count_nonzero(signs, axis=1).astype(np.float32), np.count_nonzero(judged, axis=1).astype(np.float32)
