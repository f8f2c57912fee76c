"""Shares and means with how far chance may have moved them: a figure of twenty calls must not look like one of two thousand."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

# Two-sided 95 %.
_UPPER_TAIL: Final = 0.975
_Z: Final = 1.959963984540054


class Verdict(StrEnum):
    """How a share stands to its target."""

    MET = "met"
    MISSED = "missed"
    # The target lies within the interval: another day of the same quality could fall on the other side of it.
    CLOSE = "close"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many."""

    hits: int
    of: int

    @property
    def value(self) -> float | None:
        """The share of one; None of nothing."""
        return self.hits / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson's 95 % interval (JASA 22, 1927), which stays within 0 and 1 and holds for small numbers too."""
        if not self.of:
            return None
        share, n, z2 = self.hits / self.of, self.of, _Z * _Z
        middle = (share + z2 / (2 * n)) / (1 + z2 / n)
        half = _Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
        # Rounding must not leave a share of none, or of all, outside its own interval.
        return min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half))

    def against(self, target: float) -> Verdict:
        """Whether the target is met, missed, or too close for so few."""
        if self.interval is None:
            return Verdict.UNKNOWN
        low, high = self.interval
        if low >= target:
            return Verdict.MET
        return Verdict.MISSED if high < target else Verdict.CLOSE


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean of `n` values, in their unit; `value` is None of none, `interval` None of fewer than two."""

    n: int
    value: float | None
    interval: tuple[float, float] | None


def mean_of(values: Sequence[float] | NDArray[np.float64]) -> Mean:
    """The mean with Student's 95 % interval; durations are skewed, so of few calls it is a rough one."""
    numbers = np.asarray(values, dtype=np.float64)
    n = len(numbers)
    if not n:
        return Mean(0, None, None)
    value = math.fsum(numbers.tolist()) / n
    if n < 2:
        return Mean(n, value, None)
    deviations = numbers - value
    spread = math.sqrt(math.fsum((deviations * deviations).tolist()) / (n - 1))
    half = float(stdtrit(n - 1, _UPPER_TAIL)) * spread / math.sqrt(n)
    return Mean(n, value, (max(0.0, value - half), value + half))
