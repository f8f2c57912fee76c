"""The evidence: exact figures, an order that does not matter, and a mean that chance alone cannot raise above 1."""

import math
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from firmware_rollout.gate import watching
from firmware_rollout.gate.evidence import Evidence, add, log_e_value, log_odds_unchanged, none_yet, rate_ratio
from firmware_rollout.gate.policy import Metric, MetricPolicy
from firmware_rollout.gate.watching import Cell

POLICY = MetricPolicy(Metric.CRASHES, surge=False, ratios=(1.3, 2.0, 4.0), tolerated=1.6, needed=())


def ratio(theta: float, cell: Cell) -> float:
    treated, control, hit, spared = cell
    p = theta * treated / (theta * treated + control)
    chance = p**hit * (1 - p) ** spared
    q = treated / (treated + control)
    return float(chance / (q**hit * (1 - q) ** spared))


def of(cells: list[Cell]) -> Evidence:
    return add(none_yet(POLICY), cells, POLICY)


def test_ratio_is_the_binomial_likelihoods_ratio() -> None:
    cells = [(50, 950, 3, 4), (10, 20, 1, 0)]
    found = of(cells)
    for theta, log_ratio in zip(POLICY.ratios, found.log_ratios, strict=True):
        assert math.exp(log_ratio) == pytest.approx(ratio(theta, cells[0]) * ratio(theta, cells[1]))
    assert math.exp(log_odds_unchanged(found)) == pytest.approx(1 / (ratio(1.6, cells[0]) * ratio(1.6, cells[1])))
    assert math.exp(log_e_value(found)) == pytest.approx(sum(math.exp(one) for one in found.log_ratios) / 3)


def test_no_marks_say_nothing() -> None:
    assert of([]) == none_yet(POLICY)
    assert log_e_value(none_yet(POLICY)) == 0.0
    assert rate_ratio(none_yet(POLICY)) is None


def test_huge_evidence_does_not_overflow() -> None:
    assert log_e_value(of([(1, 9999, 1, 0)] * 5000)) > 5000


def test_counts_and_rate_ratio_are_those_of_the_cells() -> None:
    found = of([(100, 900, 4, 18), (100, 100, 8, 4)])
    assert found.observed == 12
    assert found.expected == pytest.approx(2.2 + 6)
    assert rate_ratio(found) == pytest.approx(2.0, abs=0.05)


cells_of = st.lists(
    st.tuples(st.integers(1, 400), st.integers(1, 9000), st.integers(0, 9), st.integers(0, 40)), min_size=1, max_size=30
)


@given(cells_of, st.randoms())
def test_order_of_cells_does_not_change_a_bit(cells: list[Cell], chance: "np.random.Generator") -> None:
    shuffled = list(cells)
    chance.shuffle(shuffled)
    assert of(cells) == of(shuffled)


@pytest.mark.parametrize(("treated", "control", "marks"), [(1, 9, 3), (5, 5, 6), (40, 10, 30), (50, 9950, 400), (3, 4, 7)])
def test_mean_of_a_cell_is_at_most_one_when_the_lot_alone_decides(treated: int, control: int, marks: int) -> None:
    drawn = stats.hypergeom(treated + control, treated, marks)
    for theta in (1.3, 2.0, 4.0, 48.0):
        hits = range(min(marks, treated) + 1)
        mean = sum(drawn.pmf(hit) * ratio(theta, (treated, control, hit, marks - hit)) for hit in hits)
        assert mean <= 1 + 1e-9


def test_first_marks_keep_their_promise_where_shops_differ_wildly_and_all_marks_break_it() -> None:
    """Few shops have most of the marks, day after day: the evidence may exceed 1/α in α of the campaigns, not more."""
    alpha, campaigns, days, shops = 0.1, 400, 30, 200
    once, always = 0, 0
    for seed in range(campaigns):
        rng = np.random.default_rng(seed)
        chance = 0.6 * rng.beta(0.1, 1.5, shops)
        updated = rng.permutation(shops) < 40
        watch = watching.begin_wave(watching.begin(np.zeros(shops, np.int64)), updated)
        firsts: list[list[Cell]] = []
        alls: list[list[Cell]] = []
        for _ in range(days):
            marked = rng.random(shops) < chance
            watch, cells = watching.count(watch, marked)
            firsts.append(list(cells))
            alls.append([(40, 160, int(marked[updated].sum()), int(marked[~updated].sum()))])
        once += ever_above(firsts, alpha)
        always += ever_above(alls, alpha)
    assert once <= stats.binom.ppf(0.999, campaigns, alpha)
    assert always > 2 * alpha * campaigns


def ever_above(days: list[list[Cell]], alpha: float) -> bool:
    so_far = accumulate(days, lambda evidence, cells: add(evidence, cells, POLICY), initial=none_yet(POLICY))
    return any(log_e_value(one) >= math.log(1 / alpha) for one in so_far)
