"""Days of the fleet: what happens in each shop without any update, and how likely it was.

Counts are Poisson about a mean that varies in every way a campaign must live with: by terminal, weekday, day (shared by all),
region and day, a slow drift, and spells in which one terminal is ill for days. Shops go on holiday, lines fail, whole
neighbourhoods lose their network, and who has rung may ring again.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firmware_rollout.gate.policy import Metric
from vigie.evaluate_gate.fleet import Fleet

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

# Spread (of the logarithm) of what a day has in common: the whole fleet, a region; and how far the level drifts from day to day.
DAY_SPREAD: Final = 0.12
REGION_SPREAD: Final = 0.12
DRIFT_SPREAD: Final = 0.01
# A terminal falls ill every ten months or so, for four days in the mean, and then errs twelve times as often.
ILL_PER_DAY: Final = 0.003
ILL_DAYS: Final = 4.0
ILL_FACTOR: Final = 12.0
# A line fails about once in two years; every third shopkeeper on holiday (two to three a year, 5 to 14 days) pulls the plugs.
LINE_FAILS_PER_DAY: Final = 0.0015
HOLIDAYS_PER_DAY: Final = 0.0065
HOLIDAY_DAYS: Final = (5, 15)
UNPLUG_SHARE: Final = 0.33
# One outage of a region's network in five days: it takes a part of the shops away, some of which ring.
OUTAGES_PER_DAY: Final = 0.2
OUTAGE_PART: Final = (0.02, 0.3)
OUTAGE_RINGS: Final = 0.2
# Who has rung rings again the next day.
AGAIN_SHARE: Final = 0.15

ERRORS: Final = (Metric.PRINTER_ERRORS, Metric.SCANNER_ERRORS, Metric.TRANSACTION_ERRORS)
ILLS: Final = (*ERRORS, Metric.CRASHES)


@dataclass(frozen=True, eq=False)
class Day:
    """One day: `counts` (shops,) of each metric, and the `means` they were drawn with (silence has none)."""

    counts: dict[Metric, I64]
    means: dict[Metric, F64]


class Days:
    """A fleet living from day to day; the same seed lives the same days."""

    def __init__(self, fleet: Fleet, seed: int) -> None:
        n = len(fleet)
        self.fleet = fleet
        self._rng = np.random.default_rng([seed, 2])
        self._date = int(self._rng.integers(7))
        self._ill = {metric: np.zeros(n, np.int64) for metric in ILLS}
        self._drift = dict.fromkeys((*ILLS, Metric.CALLS), 0.0)
        self._away: I64 = np.where(self._rng.random(n) < HOLIDAYS_PER_DAY * 9.5, self._rng.integers(1, 14, n), 0)
        self._rang: Bool = np.zeros(n, bool)
        self._ill_edges = np.cumsum(ILL_PER_DAY * fleet.terminals)
        for _ in range(round(3 * ILL_DAYS)):
            for metric in ILLS:
                self._fall_ill(metric)

    def live(self) -> Day:
        """Live through the next day."""
        fleet, rng, weekday = self.fleet, self._rng, self._date % 7
        self._date += 1
        silent = self._leave()
        here = self._away == 0
        out, rings = self._outage()
        counts: dict[Metric, I64] = {}
        means: dict[Metric, F64] = {}
        for metric in ERRORS:
            means[metric] = np.where(here, fleet.daily[metric][weekday], 0.0) * self._common(metric) * self._illness(metric)
            counts[metric] = rng.poisson(means[metric])
        means[Metric.CRASHES] = np.where(here, fleet.crash, 0.0) * self._common(Metric.CRASHES) * self._illness(Metric.CRASHES)
        counts[Metric.CRASHES] = self._rare(means[Metric.CRASHES])
        means[Metric.REBOOTS] = means[Metric.CRASHES]
        counts[Metric.REBOOTS] = counts[Metric.CRASHES] + self._rare(np.where(here, fleet.power, 0.0))
        lines = self._rare(np.where(here, LINE_FAILS_PER_DAY * fleet.terminals, 0.0))
        counts[Metric.SILENCE] = lines + silent + (out & here)
        means[Metric.CALLS] = np.where(here, fleet.calls[weekday], 0.0) * self._common(Metric.CALLS)
        again = self._rang & (rng.random(len(fleet)) < AGAIN_SHARE)
        counts[Metric.CALLS] = self._rare(means[Metric.CALLS]) + again + (rings & here)
        means[Metric.CALLS] = means[Metric.CALLS] + AGAIN_SHARE * self._rang
        self._rang = counts[Metric.CALLS] > 0
        return Day(counts, means)

    def _common(self, metric: Metric) -> F64:
        """What the shops of the fleet, and of a region, share that day."""
        rng, region = self._rng, self.fleet.region
        self._drift[metric] += DRIFT_SPREAD * rng.standard_normal()
        local = REGION_SPREAD * rng.standard_normal(int(region.max()) + 1)
        shared: F64 = np.exp(self._drift[metric] + DAY_SPREAD * rng.standard_normal() + local)[region]
        return shared

    def _illness(self, metric: Metric) -> F64:
        """How many times as often a shop errs while one of its terminals is ill."""
        self._fall_ill(metric)
        return np.where(self._ill[metric] > 0, 1 + (ILL_FACTOR - 1) / self.fleet.terminals, 1.0)

    def _fall_ill(self, metric: Metric) -> None:
        left = np.maximum(self._ill[metric] - 1, 0)
        shops = np.unique(self._whose(self._ill_edges))
        left[shops] = self._rng.geometric(1 / ILL_DAYS, len(shops))
        self._ill[metric] = left

    def _leave(self) -> I64:
        """Shops come back and others leave; those that pull the plugs fall silent."""
        rng = self._rng
        self._away = np.maximum(self._away - 1, 0)
        (leaving,) = np.nonzero(rng.random(len(self._away)) < HOLIDAYS_PER_DAY)
        self._away[leaving] = rng.integers(*HOLIDAY_DAYS, len(leaving))
        silent = np.zeros(len(self._away), np.int64)
        silent[leaving] = rng.random(len(leaving)) < UNPLUG_SHARE
        return silent

    def _outage(self) -> tuple[Bool, Bool]:
        """Who loses the network for hours, and who of them rings."""
        rng, region = self._rng, self.fleet.region
        n = len(region)
        out = np.zeros(n, bool)
        for _ in range(rng.poisson(OUTAGES_PER_DAY)):
            out |= (region == rng.integers(int(region.max()) + 1)) & (rng.random(n) < rng.uniform(*OUTAGE_PART))
        return out, out & (rng.random(n) < OUTAGE_RINGS)

    def _rare(self, mean: F64) -> I64:
        """Poisson counts of small means."""
        return np.bincount(self._whose(np.cumsum(mean)), minlength=len(mean))

    def _whose(self, edges: F64) -> I64:
        """The shops that a Poisson number of events fall on, given the running sum of their means: how many, then whose."""
        total = self._rng.poisson(edges[-1])
        whose = np.searchsorted(edges, self._rng.random(total) * edges[-1], side="right")
        shops: I64 = np.minimum(whose, len(edges) - 1)
        return shops
