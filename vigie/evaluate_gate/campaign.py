"""One campaign over the simulated fleet: waves, days, and the gate's verdict at each day's end."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from firmware_rollout.drawing import draw_in_strata
from firmware_rollout.gate.gate import Gate
from firmware_rollout.gate.judging import Situation, Verdict, Why
from firmware_rollout.gate.past import PAST_DAYS, own_limits, strata_of
from firmware_rollout.gate.policy import DEFAULT_POLICY, GatePolicy, Metric
from vigie.evaluate_gate.cases import Case, Target
from vigie.evaluate_gate.days import Day, Days
from vigie.evaluate_gate.fleet import aimed_at, draw_strata, kind_of, make_fleet
from vigie.evaluate_gate.updating import Updating

Bool = NDArray[np.bool_]
I64 = NDArray[np.int64]

WAVES_PCT: Final = (0.5, 2.0, 5.0, 15.0, 40.0, 95.0)
# A campaign that has not come to an end by then is held up.
LONGEST_DAYS: Final = 150


@dataclass(frozen=True)
class Ended:
    """How a campaign ended: halted (by which metrics), finished, or held up; the percent of the shops it reached, and its days.

    `wave_days`: how long each wave lasted that was ended by the next.
    """

    halted: bool
    finished: bool
    reached_pct: float
    days: int
    metrics: tuple[str, ...] = ()
    wave_days: tuple[int, ...] = ()


class Season:
    """A seed's fleet with its past and the days to come, lived once and shared by the cases that are tried on it.

    The whole fleet lives; `fleet`, and all that is told of it, are the shops that are aimed at, `of_fleet` their part of all.
    """

    def __init__(self, seed: int, target: Target = Target.FLEET) -> None:
        self.seed = seed
        everybody = make_fleet(seed)
        self._days = Days(everybody, seed)
        self._shops = aimed_at(everybody, target, seed)
        self.fleet = everybody.of(self._shops)
        self.of_fleet = len(self.fleet) / len(everybody)
        past = [self._live() for _ in range(PAST_DAYS)]
        self.past: dict[Metric, I64] = {metric: np.stack([day.counts[metric] for day in past]) for metric in Metric}
        self._lived: list[Day] = []

    def day(self, number: int) -> Day:
        """A day of the campaigns, from 0."""
        while len(self._lived) <= number:
            self._lived.append(self._live())
        return self._lived[number]

    def _live(self) -> Day:
        day = self._days.live()
        counts = {metric: one[self._shops] for metric, one in day.counts.items()}
        return Day(counts, {metric: one[self._shops] for metric, one in day.means.items()})

    def waves(self, *, biased: bool) -> I64:
        """Each shop's wave, (shops,).

        Biased: busy shops, and those that rang most, misprinted most and crashed most in their past, come first by and large.
        """
        if not biased:
            return draw_in_strata(draw_strata(self.fleet), WAVES_PCT, seed=self.seed)
        fleet, rng = self.fleet, np.random.default_rng([self.seed, 4])
        wanted = [
            fleet.custom,
            *(self.past[metric].sum(axis=0) for metric in (Metric.CALLS, Metric.PRINTER_ERRORS, Metric.CRASHES)),
        ]
        score = sum(_standard(np.log(one + 0.5)) for one in wanted) / len(wanted) + 0.5 * rng.standard_normal(len(fleet))
        place = np.argsort(np.argsort(-score))
        waves: I64 = np.searchsorted(np.array(WAVES_PCT) / 100 * len(fleet), place, side="right").astype(np.int64) + 1
        return waves

    @cached_property
    def limits(self) -> dict[Metric, I64]:
        """What only one day of each shop's past exceeded, (shops,) of each metric."""
        return {metric: own_limits(past) for metric, past in self.past.items()}

    @cached_property
    def strata(self) -> dict[Metric, I64]:
        """The gate's strata, (shops,) of each metric."""
        had = {metric: past.sum(axis=0) for metric, past in self.past.items()}
        strata = {metric: strata_of(kind_of(self.fleet), past) for metric, past in had.items()}
        strata[Metric.REBOOTS] = strata_of(kind_of(self.fleet), had[Metric.CRASHES], had[Metric.REBOOTS])
        return strata


class Decider(Protocol):
    """Decides at each day's end, from the day's counts of all shops, whether a campaign goes on."""

    def begin_wave(self, shops: Bool) -> None:
        """A wave reaches these shops, (shops,)."""

    def decide(self, counts: dict[Metric, I64], situation: Situation) -> tuple[Verdict, tuple[str, ...]]:
        """Judge the day: a verdict, and what is blamed for it."""


class ByGate:
    """The gate of live campaigns."""

    def __init__(self, season: Season, policy: GatePolicy = DEFAULT_POLICY) -> None:
        self._policy, self._limits = policy, season.limits
        self._gate = Gate(policy, season.strata)

    def begin_wave(self, shops: Bool) -> None:
        """A wave reaches these shops."""
        self._gate.begin_wave(shops)

    def decide(self, counts: dict[Metric, I64], situation: Situation) -> tuple[Verdict, tuple[str, ...]]:
        """Judge the day."""
        marks = {one.metric: counts[one.metric] > (self._limits[one.metric] if one.surge else 0) for one in self._policy.metrics}
        reading = self._gate.close(marks, situation)
        blamed = tuple(
            str(one.metric if one.why is Why.WORSE else one.why) for one in reading.reasons if one.why in (Why.WORSE, Why.UNDECIDED)
        )
        return reading.verdict, blamed


def run(season: Season, case: Case, decider: Decider) -> Ended:
    """Play a campaign to its end."""
    wave_of = season.waves(biased=case.biased)
    updating = Updating(season.fleet, case, season.seed)
    wave, began, lasted = 0, 0, list[int]()
    for number in range(LONGEST_DAYS):
        if number == began:
            wave += 1
            decider.begin_wave(wave_of == wave)
            updating.begin_wave(wave_of == wave)
        updated_pct = 100.0 * float(updating.updated[wave_of == wave].mean())
        counts = updating.live(season.day(number))
        reached = WAVES_PCT[wave - 1]
        # After the last wave come those held back.
        beyond = WAVES_PCT[wave] if wave < len(WAVES_PCT) else 100.0
        situation = Situation(wave, reached, beyond, float(number + 1 - began), updated_pct, season.of_fleet)
        verdict, blamed = decider.decide(counts, situation)
        if verdict is Verdict.HALT:
            return Ended(True, False, reached, number + 1, blamed, tuple(lasted))
        if verdict is Verdict.PROMOTE:
            lasted.append(number + 1 - began)
            if wave == len(WAVES_PCT):
                return Ended(False, True, 100.0, number + 1, (), tuple(lasted))
            began = number + 1
    return Ended(False, False, WAVES_PCT[wave - 1], LONGEST_DAYS, (), tuple(lasted))


def _standard(values: NDArray[np.float64]) -> NDArray[np.float64]:
    standard: NDArray[np.float64] = (values - values.mean()) / values.std()
    return standard
