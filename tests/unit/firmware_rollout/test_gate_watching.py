"""Who can still be counted, and what a shop's own past makes of its days."""

import numpy as np
import pytest
from numpy.typing import NDArray

from firmware_rollout.gate.past import own_limits, strata_of
from firmware_rollout.gate.watching import Cell, Watch, begin, begin_wave, count

SHOPS = 6


def these(*shops: int) -> NDArray[np.bool_]:
    return np.isin(np.arange(SHOPS), shops)


def watching(*waves: tuple[int, ...], strata: tuple[int, ...] = (0,) * SHOPS) -> Watch:
    watch = begin(np.array(strata, np.int64))
    for shops in waves:
        watch = begin_wave(watch, these(*shops))
    return watch


def counted(watch: Watch, *days: tuple[int, ...]) -> tuple[Watch, list[tuple[Cell, ...]]]:
    found = []
    for shops in days:
        watch, cells = count(watch, these(*shops))
        found.append(cells)
    return watch, found


def test_nobody_counts_before_the_first_wave() -> None:
    assert counted(watching(), (0, 1, 2))[1] == [()]


def test_a_shop_counts_once() -> None:
    _, cells = counted(watching((0, 1)), (0, 2), (0, 2), (1, 3))
    assert cells == [((2, 4, 1, 1),), (), ((1, 3, 1, 1),)]


def test_strata_are_compared_within_themselves() -> None:
    _, cells = counted(watching((0, 3), strata=(0, 0, 0, 1, 1, 1)), (0, 4, 5))
    assert cells == [((1, 2, 1, 0), (1, 2, 0, 2))]


def test_a_stratum_of_one_arm_says_nothing() -> None:
    _, cells = counted(watching((0, 1, 2), strata=(0, 0, 0, 1, 1, 1)), (0, 4))
    assert cells == [()]


def test_waiting_shops_return_with_the_next_wave_and_updated_ones_do_not() -> None:
    watch, _ = counted(watching((0, 1)), (0, 4))
    watch = begin_wave(watch, these(2))
    assert watch.counted.tolist() == [False, True, True, True, True, True]


def test_after_a_wave_shops_are_compared_with_those_whose_last_mark_is_as_long_ago() -> None:
    watch, _ = counted(watching((0,)), (4, 5))
    watch = begin_wave(watch, these(1, 4))
    _, cells = counted(watch, (4, 1))
    # Shops 0 and 1 (updated) stand beside 2 and 3: none had a mark. Shop 4 stands beside 5: both had one in the first wave.
    assert cells == [((2, 2, 1, 0), (1, 1, 1, 0))]


def test_counting_changes_nothing_that_it_was_given() -> None:
    watch = watching((0, 1))
    before = watch.counted.copy()
    count(watch, these(0, 5))
    assert (watch.counted == before).all()


def test_limit_is_what_only_one_day_of_a_shops_past_exceeded() -> None:
    past = np.array([[0, 5, 2], [0, 9, 2], [1, 7, 2], [0, 30, 2]])
    assert own_limits(past).tolist() == [0, 9, 2]


@pytest.mark.parametrize("days", [0, 1])
def test_a_shop_without_past_has_a_mark_at_any_event(days: int) -> None:
    assert own_limits(np.full((days, 2), 7)).tolist() == [0, 0]


def test_own_limit_is_passed_equally_rarely_by_busy_and_quiet_shops() -> None:
    rng = np.random.default_rng(1)
    means = np.repeat([0.05, 0.6, 5.0, 60.0], 2000)
    passed = rng.poisson(means, (20, 8000)) > own_limits(rng.poisson(means, (28, 8000)))
    shares = passed.reshape(20, 4, 2000).mean(axis=(0, 2))
    assert shares.max() < 2 / 29 + 0.01
    assert shares.min() > 0.01


def test_strata_keep_kinds_apart_and_shops_of_one_past_together() -> None:
    kind = np.array([0, 0, 0, 1, 1, 1])
    past = np.array([0, 0, 9, 0, 0, 9])
    strata = strata_of(kind, past)
    assert strata[0] == strata[1] != strata[2]
    assert not set(strata[:3]) & set(strata[3:])
    assert len(set(strata_of(kind, past, np.array([1, 2, 3, 4, 5, 6])))) == SHOPS
