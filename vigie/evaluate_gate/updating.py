"""What the days look like once shops are updated: what an update adds to, or takes from, an ordinary day."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from firmware_rollout.gate.policy import Metric
from vigie.evaluate_gate.cases import HITS, Case, Kind, kind_of_seed
from vigie.evaluate_gate.days import Day
from vigie.evaluate_gate.fleet import Fleet

Bool = NDArray[np.bool_]
I64 = NDArray[np.int64]

# Of a wave's shops, so many update in its first night, and so many of the rest in each further one.
FIRST_NIGHT: Final = 0.85
LATER_NIGHT: Final = 0.5
# Who has a bricked terminal rings that day, and on later days.
BRICK_RINGS: Final = (0.6, 0.2)


class Updating:
    """One campaign's updates and their effects; the same seed gives the same."""

    def __init__(self, fleet: Fleet, case: Case, seed: int) -> None:
        self._fleet, self._case = fleet, case
        self._rng = np.random.default_rng([seed, 3])
        self.kind = kind_of_seed(seed)
        n = len(fleet)
        self.reached: Bool = np.zeros(n, bool)
        self.updated: Bool = np.zeros(n, bool)
        self._fresh: Bool = np.zeros(n, bool)
        self._bricked: I64 = np.zeros(n, np.int64)

    def begin_wave(self, shops: Bool) -> None:
        """Offer the update to `shops`, (shops,), in the night to come."""
        self.reached = self.reached | shops
        self._fresh = shops & (self._rng.random(len(shops)) < FIRST_NIGHT)
        self.updated = self.updated | self._fresh

    def live(self, day: Day) -> dict[Metric, I64]:
        """What happens on that day: int64 (shops,) of each metric; then further shops update in the night."""
        counts = dict(day.counts)
        self._multiply(counts, day)
        self._brick(counts)
        late = self.reached & ~self.updated & (self._rng.random(len(self.updated)) < LATER_NIGHT)
        self._fresh = late
        self.updated = self.updated | late
        return counts

    def _multiply(self, counts: dict[Metric, I64], day: Day) -> None:
        case = self._case
        if case.faults > 1:
            more = self._more(day.means[HITS[self.kind][0]], case.faults, self.updated)
            for metric in HITS[self.kind]:
                counts[metric] = counts[metric] + more
        if case.calls > 1:
            counts[Metric.CALLS] = counts[Metric.CALLS] + self._more(day.means[Metric.CALLS], case.calls, self.updated)
        if case.spike > 1:
            counts[Metric.CALLS] = counts[Metric.CALLS] + self._more(day.means[Metric.CALLS], case.spike, self._fresh)

    def _more(self, means: NDArray[np.float64], factor: float, whom: Bool) -> I64:
        more = np.zeros(len(whom), np.int64)
        more[whom] = self._rng.poisson((factor - 1) * means[whom])
        return more

    def _brick(self, counts: dict[Metric, I64]) -> None:
        if not self._case.brick:
            return
        fresh, terminals = self._fresh, self._fleet.terminals
        before = self._bricked > 0
        self._bricked[fresh] = self._rng.binomial(terminals[fresh], self._case.brick)
        now = self._bricked > 0
        rings = self._rng.random(len(now)) < np.where(now & ~before, BRICK_RINGS[0], np.where(before, BRICK_RINGS[1], 0.0))
        counts[Metric.CALLS] = counts[Metric.CALLS] + rings
        counts[Metric.SILENCE] = counts[Metric.SILENCE] + (now & ~before)
        # A bricked terminal prints nothing and so errs in nothing.
        for metric in (*HITS[Kind.PRINTER], *HITS[Kind.SCANNER], *HITS[Kind.TRANSACTION], *HITS[Kind.CRASH]):
            counts[metric] = np.where(now, self._rng.binomial(counts[metric], 1 - self._bricked / terminals), counts[metric])
