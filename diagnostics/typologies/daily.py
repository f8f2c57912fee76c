"""Days of Paris, counts per day, and what an answer or an action changed: the rate after it over the rate before."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

ZONE: Final = ZoneInfo("Europe/Paris")
# Days on either side of an action that are compared, at most.
COMPARED_DAYS: Final = 28
CONFIDENCE: Final = 0.95


def day_of(moment: datetime) -> date:
    """The day of Paris in which a moment lies."""
    return moment.astimezone(ZONE).date()


def bounds_of(day: date) -> tuple[datetime, datetime]:
    """The first moment of a day of Paris and that of the next: 23 or 25 hours apart where the clocks change."""
    utc = ZoneInfo("UTC")
    return (
        datetime.combine(day, time(), ZONE).astimezone(utc),
        datetime.combine(day + timedelta(days=1), time(), ZONE).astimezone(utc),
    )


def days_until(last: date, count: int) -> list[date]:
    """So many days that end with `last`."""
    return [last - timedelta(days=back) for back in range(count - 1, -1, -1)]


def per_day(counted: Iterable[tuple[date, int]], days: Sequence[date]) -> NDArray[np.float64]:
    """Counts by day laid out over these days; a day without any has 0, what lies outside is left out."""
    found = np.zeros(len(days))
    place = {day: index for index, day in enumerate(days)}
    for day, count in counted:
        if day in place:
            found[place[day]] += count
    return found


@dataclass(frozen=True, slots=True)
class Effect:
    """Counts in the days before and after; `ratio` is rate after over rate before, with the bounds of its interval.

    None: cannot be told (no days, or nothing happened).
    """

    before: int
    after: int
    days_before: int
    days_after: int
    ratio: float | None
    low: float | None
    high: float | None

    @property
    def certain(self) -> bool:
        """Whether the interval leaves out *no change*."""
        return (self.low is not None and self.low > 1) or (self.high is not None and self.high < 1)


def effect(counts: Mapping[date, int], *, acted: date, first: date, last: date) -> Effect:
    """Compare the whole days before an action with those after it; its own day, half of each, is left out.

    `first` is the first day of which counts are kept, `last` the last whole day. The interval is exact for rare events
    (conditional on the sum, Clopper and Pearson 1934) and is widened by the overdispersion of the daily counts.
    """
    before = [day for day in days_until(acted - timedelta(days=1), COMPARED_DAYS) if day >= first]
    after = [day for day in (acted + timedelta(days=ahead) for ahead in range(1, COMPARED_DAYS + 1)) if day <= last]
    then, now = (np.array([counts.get(day, 0) for day in days], np.float64) for days in (before, after))
    ratio = low = high = None
    if len(then) and len(now) and then.sum() + now.sum() > 0:
        ratio, low, high = rate_ratio(then, now)
    return Effect(int(then.sum()), int(now.sum()), len(then), len(now), ratio, low, high)


def rate_ratio(before: NDArray[np.float64], after: NDArray[np.float64]) -> tuple[float | None, float, float | None]:
    """Rate after over rate before of two series of daily counts, with its interval (None: without end)."""
    spread = overdispersion(before, after)
    once, later = before.sum() / spread, after.sum() / spread
    days = len(before) / len(after)
    tail = (1 - CONFIDENCE) / 2
    low = float(beta.ppf(tail, later, once + 1)) if later > 0 else 0.0
    high = float(beta.ppf(1 - tail, later + 1, once)) if once > 0 else 1.0
    ratio = later / once * days if once > 0 else None
    return ratio, low / (1 - low) * days, high / (1 - high) * days if high < 1 else None


def overdispersion(*series: NDArray[np.float64]) -> float:
    """How much more daily counts vary than rare independent events would; at least 1 (Pearson's statistic by its freedom)."""
    excess = freedom = 0.0
    for counts in series:
        mean = counts.mean()
        if len(counts) > 1 and mean > 0:
            excess += float(((counts - mean) ** 2).sum() / mean)
            freedom += len(counts) - 1
    return max(1.0, excess / freedom) if freedom else 1.0
