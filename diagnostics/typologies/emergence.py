"""What grows: EARS C2 on daily counts (Hutwagner et al. 2003, *The bioterrorism preparedness and response EARS*).

A day is held against the mean and the standard deviation of seven days that ended two days before it, so that the first
days of a rise do not hide it.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

BASELINE_DAYS: Final = 7
LAG_DAYS: Final = 2
THRESHOLD: Final = 3.0
# The first day that can be judged.
FIRST_DAY: Final = BASELINE_DAYS + LAG_DAYS
# A week without any still varies: half an occurrence a day.
LEAST_DEVIATION: Final = 0.5
# One or two occurrences are no growth, whatever the week before.
FEWEST: Final = 3


def c2(counts: F64) -> F64:
    """EARS C2 of each day, in standard deviations; `counts` (…, days), NaN for the first nine days."""
    days = counts.shape[-1]
    found = np.full(counts.shape, np.nan)
    for day in range(FIRST_DAY, days):
        week = counts[..., day - FIRST_DAY : day - LAG_DAYS]
        deviation = np.maximum(week.std(axis=-1, ddof=1), LEAST_DEVIATION)
        found[..., day] = (counts[..., day] - week.mean(axis=-1)) / deviation
    return found


def grows(counts: F64) -> Bool:
    """On which days a count grew beyond what its weeks explain; `counts` (…, days)."""
    statistic = c2(counts)
    found: Bool = (np.nan_to_num(statistic) > THRESHOLD) & (counts >= FEWEST)
    return found
