"""What baselines learn, how robustly, and how they come back from bytes."""

from dataclasses import replace

import numpy as np
import pytest

from diagnostics.detector.baseline import BUCKETS, LAYOUT, Baseline, BaselineError
from diagnostics.detector.metrics import BOARD, GAUGES, RTT, SPREAD
from tests.unit.diagnostics.detector_world import START_S, fleet_of

DAY_S = 86_400


def learn_days(baseline: Baseline, days: int, *, wild_share: float = 0.0, hour_effect: float = 0.0) -> None:
    """Teach `days` of open shops, 8:00 to 20:00; the board follows the hour, some readings are wild."""
    rng = np.random.default_rng(1)
    n = len(baseline)
    begin = START_S - 10 * 3600
    for step in range(days * 144):
        day, place = divmod(step, 144)
        at_s = begin + day * DAY_S + 8 * 3600 + place * 300
        x = (np.arange(n)[:, None] * 0.01 + np.arange(len(GAUGES)) + SPREAD * rng.standard_normal((n, len(GAUGES)))).astype(
            np.float32
        )
        x[:, BOARD] += hour_effect * (place // 12)
        x[rng.random(n) < wild_share] += 50 * SPREAD
        baseline.learn(np.arange(n), x, buckets=baseline.buckets(at_s))


def test_a_baseline_finds_level_and_spread_and_wild_readings_do_not_move_it() -> None:
    baseline = Baseline(fleet_of(40))
    learn_days(baseline, 5, wild_share=0.01)
    usual = baseline.usual(baseline.buckets(START_S))
    true = np.arange(40)[:, None] * 0.01 + np.arange(len(GAUGES))
    assert np.abs((usual.level - true) / SPREAD).max() < 1.2
    assert np.median(usual.spread / SPREAD) == pytest.approx(1, abs=0.2)


def test_a_wild_first_reading_is_forgotten_within_hours() -> None:
    baseline = Baseline(fleet_of(10))
    buckets = baseline.buckets(START_S)
    wild = np.tile(20 * SPREAD, (10, 1))
    baseline.learn(np.arange(10), wild, buckets=buckets)
    rng = np.random.default_rng(2)
    for _ in range(60):
        baseline.learn(np.arange(10), (SPREAD * rng.standard_normal((10, len(GAUGES)))).astype(np.float32), buckets=buckets)
    assert np.abs(baseline.usual(buckets).level / SPREAD).max() < 1.5


def test_each_hour_has_its_own_level() -> None:
    baseline = Baseline(fleet_of(40))
    learn_days(baseline, 10, hour_effect=1.0)
    midnight = START_S - 10 * 3600
    morning = baseline.usual(baseline.buckets(midnight + 9 * 3600)).level[:, BOARD]
    evening = baseline.usual(baseline.buckets(midnight + 19 * 3600)).level[:, BOARD]
    assert np.median(evening - morning) == pytest.approx(10, abs=1.5)


def test_saturdays_and_sundays_are_days_of_their_own() -> None:
    baseline = Baseline(fleet_of(2))
    of_days = [int(baseline.buckets(START_S + day * DAY_S)[0]) for day in range(7)]
    assert len(set(of_days[:5])) == 1
    assert len(set(of_days[4:])) == 3
    assert max(of_days) < BUCKETS


def test_a_terminal_is_held_against_nothing_before_it_showed_its_own_usual() -> None:
    baseline = Baseline(fleet_of(40))
    buckets = baseline.buckets(START_S)
    assert np.isnan(baseline.usual(buckets).level).all()
    learnt = np.arange(39)
    for _ in range(10):
        baseline.learn(learnt, np.ones((39, len(GAUGES)), np.float32), buckets=buckets)
    assert np.isnan(baseline.usual(buckets).level[39]).all()
    assert baseline.usual(buckets).level[:39] == pytest.approx(1, abs=0.01)


def test_what_is_measured_by_some_only_is_learnt_of_those() -> None:
    baseline = Baseline(fleet_of(40))
    buckets = baseline.buckets(START_S)
    x = np.ones((40, len(GAUGES)), np.float32)
    x[:, RTT] = np.nan
    baseline.learn(np.arange(40), x, buckets=buckets)
    assert not baseline.count[:, RTT].any()
    assert np.isnan(baseline.usual(buckets).level[:, RTT]).all()


def test_rates_lean_on_the_peers_until_the_terminal_has_its_own() -> None:
    baseline = Baseline(fleet_of(40))
    rows = np.arange(40)
    worn = 4
    for _ in range(200):
        wrong = np.zeros((40, 4), np.float32)
        wrong[worn] = 1
        baseline.learn_counts(rows, wrong, np.full((40, 4), 10, np.float32), over_s=300)
    rate = baseline.usual(baseline.buckets(START_S)).rate[:, 1]
    assert 0.06 < rate[worn] < 0.1
    assert np.delete(rate, worn).max() < 0.01
    assert (rate > 0).all()


def test_a_baseline_comes_back_from_bytes_as_it_was() -> None:
    fleet = fleet_of(40)
    baseline = Baseline(fleet)
    learn_days(baseline, 3, hour_effect=0.5)
    baseline.sign_hits[2, 10] = 7
    again = Baseline.from_bytes(baseline.to_bytes(), layout=LAYOUT, fleet=fleet)
    for at_s in (START_S, START_S + 8 * 3600, START_S + 5 * DAY_S):
        before, after = baseline.usual(baseline.buckets(at_s)), again.usual(again.buckets(at_s))
        assert np.allclose(before.level / SPREAD, after.level / SPREAD, atol=0.05)
        assert np.allclose(before.spread, after.spread)
        assert np.allclose(before.rate, after.rate)
    assert again.sign_hits[2, 10] == 7


def test_a_stored_baseline_serves_a_changed_registry_by_terminal() -> None:
    fleet = fleet_of(40)
    baseline = Baseline(fleet)
    learn_days(baseline, 2)
    keep = np.array([30, 2, 5])
    smaller = replace(fleet, terminals=fleet.terminals[keep], codes=fleet.codes[keep], shop=fleet.shop[keep], zone=fleet.zone[keep])
    again = Baseline.from_bytes(baseline.to_bytes(), layout=LAYOUT, fleet=smaller)
    assert np.allclose(again.center, baseline.center[keep])
    assert np.array_equal(again.season_count, baseline.season_count[:, keep])


@pytest.mark.parametrize(
    ("data", "layout", "says"),
    [
        pytest.param(None, "another form", "another form", id="layout"),
        pytest.param(b"rubbish", LAYOUT, "cannot be read", id="bytes"),
    ],
)
def test_what_is_no_baseline_of_this_form_is_refused(data: bytes | None, layout: str, says: str) -> None:
    fleet = fleet_of(2)
    with pytest.raises(BaselineError, match=says):
        Baseline.from_bytes(data if data is not None else Baseline(fleet).to_bytes(), layout=layout, fleet=fleet)


def test_the_baseline_of_the_whole_fleet_is_at_most_25_mb() -> None:
    fleet = fleet_of(16_000)
    baseline = Baseline(fleet)
    rng = np.random.default_rng(3)
    baseline.center[:] = rng.standard_normal(baseline.center.shape)
    baseline.season[:] = rng.standard_normal(baseline.season.shape)
    baseline.season_count[:] = 200
    assert len(baseline.to_bytes()) < 25e6
