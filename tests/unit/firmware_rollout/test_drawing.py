"""Waves drawn by lot within strata."""

import numpy as np
import pytest

from firmware_rollout.drawing import draw_in_strata

SHARES = (0.5, 2.0, 5.0, 15.0, 40.0, 95.0)


def test_waves_have_their_shares_and_the_rest_is_held_back() -> None:
    waves = draw_in_strata(np.zeros(10_000, np.int64), SHARES, seed=3)
    assert np.bincount(waves).tolist() == [0, 50, 150, 300, 1000, 2500, 5500, 500]


def test_every_stratum_has_its_share_of_every_wave() -> None:
    rng = np.random.default_rng(1)
    strata = rng.choice(120, 10_000, p=rng.dirichlet(np.full(120, 2.0)))
    waves = draw_in_strata(strata, SHARES, seed=3)
    for stratum in range(120):
        inside = waves[strata == stratum]
        for wave, share in enumerate(SHARES, start=1):
            # As even as a sequence of low discrepancy is: a few shops off, where a lot without strata is off by its square root.
            assert abs((inside <= wave).sum() - share / 100 * len(inside)) < 4


def test_the_same_seed_draws_the_same_and_another_another() -> None:
    strata = np.arange(1000) % 7
    assert (draw_in_strata(strata, SHARES, seed=1) == draw_in_strata(strata, SHARES, seed=1)).all()
    assert (draw_in_strata(strata, SHARES, seed=1) != draw_in_strata(strata, SHARES, seed=2)).any()


def test_within_a_stratum_every_shop_is_as_likely_to_come_early() -> None:
    strata = np.repeat([0, 1, 2], [5, 30, 65])
    early = np.mean([draw_in_strata(strata, (20.0, 100.0), seed=seed) == 1 for seed in range(2000)], axis=0)
    assert np.abs(early - 0.2).max() < 0.04


def test_which_shops_of_a_stratum_come_together_is_drawn_too() -> None:
    strata = np.repeat([0, 1], [20, 30])
    early = np.array([draw_in_strata(strata, (20.0, 100.0), seed=seed) == 1 for seed in range(3000)])
    beside_the_first = (early[:, 20:21] & early[:, 21:]).mean(axis=0)
    assert beside_the_first.max() - beside_the_first.min() < 0.03


@pytest.mark.parametrize("shops", [1, 2, 7])
def test_a_small_campaign_begins_with_a_shop(shops: int) -> None:
    waves = draw_in_strata(np.zeros(shops, np.int64), SHARES, seed=4)
    assert (waves == 1).sum() == 1
