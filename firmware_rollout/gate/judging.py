"""What to do with a campaign, given what was counted: promote the next wave, wait, or halt, with reasons.

A `Reading` holds all that went into it. `replay` judges the same once more: the result is equal to the last bit (see `evidence`).
"""

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec

from firmware_rollout.gate.evidence import Evidence, add, log_e_value, log_odds_unchanged, rate_ratio
from firmware_rollout.gate.policy import GatePolicy, Metric, MetricPolicy
from firmware_rollout.gate.watching import Cell


class Verdict(StrEnum):
    """What a campaign may do."""

    PROMOTE = "pass"
    WAIT = "wait"
    HALT = "halt"


class Why(StrEnum):
    """Why it may, or may not yet."""

    WORSE = "worse"
    NOT_MEASURED = "not_measured"
    TOO_EARLY = "too_early"
    TOO_FEW_UPDATED = "too_few_updated"
    NOT_SURE_YET = "not_sure_yet"
    UNDECIDED = "undecided"
    UNCHANGED = "unchanged"


class Reason(msgspec.Struct, frozen=True):
    """One reason; `metric` is None where it is not about one.

    `value` did, or did not, reach `needed`: days, percent, or natural logarithms of an e-value or of odds.
    """

    why: Why
    metric: Metric | None
    value: float
    needed: float


class Situation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the campaign stands.

    Its wave (from 1), the part of its shops that it has reached and would reach next (%), the wave's age in days, and how many of
    its terminals run the release and have been well on it for long enough (%). `of_fleet`: its shops as a part of all that there
    are, up to 1, which is left out where it is written: a campaign for everybody reads as it did before there were others.
    """

    wave: int
    reached_pct: float
    next_pct: float
    days: float
    updated_pct: float
    of_fleet: float = 1.0


class MetricReading(msgspec.Struct, frozen=True):
    """One metric: evidence before, the new cells (None: it was not measured), evidence after, and what that amounts to."""

    metric: Metric
    before: Evidence
    cells: tuple[Cell, ...] | None
    after: Evidence
    log_e: float
    log_odds: float
    ratio: float | None


class Reading(msgspec.Struct, frozen=True):
    """A judgement with everything that went into it."""

    policy: GatePolicy
    situation: Situation
    metrics: tuple[MetricReading, ...]
    verdict: Verdict
    reasons: tuple[Reason, ...]


def judge(
    policy: GatePolicy,
    situation: Situation,
    before: Mapping[Metric, Evidence],
    cells: Mapping[Metric, Sequence[Cell] | None],
) -> Reading:
    """Judge the campaign after new cells.

    A metric that is missing in `cells`, or None there, was not measured, and that is never health.
    """
    metrics = tuple(_read(one, before[one.metric], cells.get(one.metric)) for one in policy.metrics)
    verdict, reasons = _decide(policy, situation, metrics)
    return Reading(policy, situation, metrics, verdict, reasons)


def replay(reading: Reading) -> Reading:
    """Judge once more what a reading was judged from; equal to it, or the reading was altered."""
    return judge(
        reading.policy,
        reading.situation,
        {one.metric: one.before for one in reading.metrics},
        {one.metric: one.cells for one in reading.metrics},
    )


def _read(policy: MetricPolicy, before: Evidence, cells: Sequence[Cell] | None) -> MetricReading:
    after = before if cells is None else add(before, cells, policy)
    kept = None if cells is None else tuple(cells)
    return MetricReading(policy.metric, before, kept, after, log_e_value(after), log_odds_unchanged(after), rate_ratio(after))


def _decide(policy: GatePolicy, situation: Situation, metrics: Sequence[MetricReading]) -> tuple[Verdict, tuple[Reason, ...]]:
    threshold = policy.log_threshold
    worse = tuple(Reason(Why.WORSE, one.metric, one.log_e, threshold) for one in metrics if one.log_e >= threshold)
    if worse:
        return Verdict.HALT, worse
    doubts = [Reason(Why.NOT_MEASURED, one.metric, 0.0, 0.0) for one in metrics if one.cells is None]
    if situation.days < policy.least_days:
        doubts.append(Reason(Why.TOO_EARLY, None, situation.days, policy.least_days))
    if situation.updated_pct < policy.least_updated_pct:
        doubts.append(Reason(Why.TOO_FEW_UPDATED, None, situation.updated_pct, policy.least_updated_pct))
    sure: list[Reason] = []
    for one, its in zip(metrics, policy.metrics, strict=True):
        # What a bad release can do hangs on how many shops it reaches, not on how many its campaign has.
        odds = its.odds_beyond(situation.next_pct * situation.of_fleet)
        needed = math.log(odds) if odds > 0 else -math.inf
        told = sure if one.log_odds >= needed else doubts
        if odds > 0:
            told.append(Reason(Why.UNCHANGED if told is sure else Why.NOT_SURE_YET, one.metric, one.log_odds, needed))
    if doubts and situation.days >= policy.longest_days:
        return Verdict.HALT, (Reason(Why.UNDECIDED, None, situation.days, policy.longest_days), *doubts)
    return (Verdict.WAIT, tuple(doubts)) if doubts else (Verdict.PROMOTE, tuple(sure))
