"""What others do, beside the gate: the same campaigns, judged in three simpler ways.

They promote after a fixed time: none of them knows how much it knows. Each gets the gate's grace for calls, and halts at a
one-sided 1 % over all metrics and one look; that they look every day is left to them, as it is in practice.
"""

import math
from statistics import NormalDist
from typing import Final

import numpy as np

from firmware_rollout.gate.evidence import add, log_e_value, none_yet
from firmware_rollout.gate.judging import Situation, Verdict
from firmware_rollout.gate.past import PAST_DAYS
from firmware_rollout.gate.policy import DEFAULT_POLICY, Metric
from firmware_rollout.gate.watching import Cell
from vigie.evaluate_gate.campaign import I64, Bool, Season
from vigie.evaluate_gate.fleet import kind_of

ALPHA: Final = 0.01
DAYS_A_WAVE: Final = 3.0
_Z: Final = NormalDist().inv_cdf(1 - ALPHA / len(Metric))
_GRACE: Final = {one.metric: one.grace_days for one in DEFAULT_POLICY.metrics}


class _Rival:
    """What the rivals share: whom waves have reached, and promotion by the calendar."""

    def __init__(self, season: Season) -> None:
        self._season = season
        self._reached: Bool = np.zeros(len(season.fleet), bool)

    def begin_wave(self, shops: Bool) -> None:
        """A wave reaches these shops."""
        self._reached = self._reached | shops

    def decide(self, counts: dict[Metric, I64], situation: Situation) -> tuple[Verdict, tuple[str, ...]]:
        """Judge the day."""
        blamed = tuple(
            str(metric) for metric in Metric if situation.days > _GRACE[metric] and self._is_worse(metric, counts[metric])
        )
        if blamed:
            return Verdict.HALT, blamed
        return (Verdict.PROMOTE if situation.days >= DAYS_A_WAVE else Verdict.WAIT), ()

    def _is_worse(self, metric: Metric, count: I64) -> bool:
        raise NotImplementedError


class DailyTest(_Rival):
    """Each day, events a shop of the updated against the others: a z-test as if events were independent (Poisson)."""

    def _is_worse(self, metric: Metric, count: I64) -> bool:  # noqa: ARG002 - every metric is tested alike
        updated, others = count[self._reached], count[~self._reached]
        spread = math.sqrt(updated.sum() / len(updated) ** 2 + others.sum() / len(others) ** 2)
        return spread > 0 and float(updated.mean() - others.mean()) / spread > _Z


class BeforeAfter(_Rival):
    """Each day, the updated shops' events against what the same shops had in a day of the four weeks before."""

    def _is_worse(self, metric: Metric, count: I64) -> bool:
        usual = float(self._season.past[metric][:, self._reached].sum()) / PAST_DAYS
        spread = math.sqrt(max(usual, 1 / PAST_DAYS) * (1 + 1 / PAST_DAYS))
        return (float(count[self._reached].sum()) - usual) / spread > _Z


class RawEvidence(_Rival):
    """The gate's own e-value, but over raw events instead of shops' first marks: what comes of taking events for independent."""

    def __init__(self, season: Season) -> None:
        super().__init__(season)
        self._policies = {one.metric: one for one in DEFAULT_POLICY.metrics}
        self._evidence = {metric: none_yet(policy) for metric, policy in self._policies.items()}
        self._kind = kind_of(season.fleet)

    def _is_worse(self, metric: Metric, count: I64) -> bool:
        policy = self._policies[metric]
        arms = [np.bincount(self._kind[arm], minlength=self._kind.max() + 1) for arm in (self._reached, ~self._reached)]
        events = [
            np.bincount(self._kind[arm], count[arm], minlength=self._kind.max() + 1).astype(np.int64)
            for arm in (self._reached, ~self._reached)
        ]
        cells: list[Cell] = [(t, c, x, y) for t, c, x, y in np.stack([*arms, *events], axis=1).tolist() if t and c and x + y]
        self._evidence[metric] = add(self._evidence[metric], cells, policy)
        return log_e_value(self._evidence[metric]) >= math.log(len(Metric) / ALPHA)
