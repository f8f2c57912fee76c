"""How much cells say: likelihood ratios of *worse by θ* against *unchanged*, added up; and what they amount to.

The same cells give the same floats on any machine with IEEE doubles and the same C library's `log`, `log1p` and `exp`: sums over
cells are `math.fsum`, which rounds once and does not depend on the order; sums over time add one figure a step, in the order of the
steps. No vectorised logarithm is used, because those differ from processor to processor in the last bit.
"""

import math
from collections.abc import Sequence

import msgspec

from firmware_rollout.gate.policy import MetricPolicy
from firmware_rollout.gate.watching import Cell


class Evidence(msgspec.Struct, frozen=True):
    """What one metric's cells have said so far.

    `log_ratios`: for each θ of the policy, the logarithm of its likelihood ratio against 1; `log_tolerated`: of the tolerated θ.
    `observed`: first marks of updated shops; `expected`: as many as there would be if unchanged. `rate_ratio_of`: the two sums of
    Mantel and Haenszel's estimate (1959).
    """

    log_ratios: tuple[float, ...]
    log_tolerated: float = 0.0
    observed: int = 0
    expected: float = 0.0
    rate_ratio_of: tuple[float, float] = (0.0, 0.0)


def none_yet(policy: MetricPolicy) -> Evidence:
    """No evidence: every ratio is 1."""
    return Evidence((0.0,) * len(policy.ratios))


def add(evidence: Evidence, cells: Sequence[Cell], policy: MetricPolicy) -> Evidence:
    """The evidence after these cells, which happened at one time: their order does not matter."""
    if not cells:
        return evidence
    observed = sum(cell[2] for cell in cells)
    parts = [(cell[2] + cell[3], cell[0] / (cell[0] + cell[1])) for cell in cells]
    top = math.fsum(x * c / (t + c) for t, c, x, _ in cells)
    bottom = math.fsum(y * t / (t + c) for t, c, _, y in cells)
    before_top, before_bottom = evidence.rate_ratio_of
    return Evidence(
        tuple(
            before + _log_ratio(ratio, observed, parts) for before, ratio in zip(evidence.log_ratios, policy.ratios, strict=True)
        ),
        evidence.log_tolerated + _log_ratio(policy.tolerated, observed, parts),
        evidence.observed + observed,
        evidence.expected + math.fsum(n * p for n, p in parts),
        (before_top + top, before_bottom + bottom),
    )


def log_e_value(evidence: Evidence) -> float:
    """The logarithm of the ratios' average: the e-value of *unchanged*."""
    largest = max(evidence.log_ratios)
    mean = math.fsum(math.exp(one - largest) for one in evidence.log_ratios) / len(evidence.log_ratios)
    return largest + math.log(mean)


def log_odds_unchanged(evidence: Evidence) -> float:
    """The logarithm of the odds of *unchanged* against *worse by the tolerated ratio*."""
    return -evidence.log_tolerated


def rate_ratio(evidence: Evidence) -> float | None:
    """How many times as often updated shops have marks (Mantel and Haenszel 1959); None as long as the others have none."""
    top, bottom = evidence.rate_ratio_of
    return top / bottom if bottom > 0 else None


def _log_ratio(ratio: float, observed: int, parts: Sequence[tuple[int, float]]) -> float:
    """Of θ^x / (1 + (θ-1) p)^n over cells with n marks and p = T/(T+C), as logarithm."""
    return observed * math.log(ratio) - math.fsum(n * math.log1p((ratio - 1) * p) for n, p in parts)
