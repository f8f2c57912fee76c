"""Calibration replays quiet time only, and gathers the scan's scores that would have made an incident."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from diagnostics.detector.calibration import Calibration
from diagnostics.detector.observed import Layer, Signs
from diagnostics.tracking.diagnosis import Diagnosis
from diagnostics.tracking.looks import Looks
from diagnostics.tracking.policy import TrackingPolicy
from diagnostics.troubles import Trouble
from simulators.scenario import HARMLESS, FaultSpec, Scenario, load, shipped
from simulators.world import World, build_world
from vigie.evaluate.calibrating import CalibratingError, Replay, ScanScores, calibrate, generated, other_days, wanting
from vigie.evaluate.player import fleet_of


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(5, 1_000)


def scores_of(world: World) -> ScanScores:
    fleet = fleet_of(world)
    return ScanScores(fleet, Looks(fleet, Calibration(), ()), TrackingPolicy())


def layer(world: World, rows: np.ndarray[tuple[int], np.dtype[np.int32]], *, window_s: int = 60) -> Layer:
    hit = np.zeros(len(world), np.float32)
    hit[rows] = 1
    return Layer(Trouble.HEAT, window_s, hit, np.full(len(world), 2e-3, np.float32))


def test_a_score_counts_when_the_next_look_confirms_it(world: World) -> None:
    scores = scores_of(world)
    lot = world.in_scope({"lot": "L05"})
    scores.look(layer(world, lot[:8]), None)
    assert scores.take() == {}
    scores.look(layer(world, lot[:12]), None)
    few = scores.take()[Trouble.HEAT]
    scores.look(layer(world, lot[:12]), None)
    assert scores.take()[Trouble.HEAT] > few > 4
    assert scores.take() == {}, "what was taken is not taken again"


def test_a_long_window_is_scanned_too_seldom_to_be_confirmed_by_a_scan(world: World) -> None:
    scores = scores_of(world)
    scores.look(layer(world, world.in_scope({"lot": "L05"})[:10], window_s=3600), None)
    assert Trouble.HEAT in scores.take()


def test_one_shop_and_its_neighbour_make_no_incident_and_count_for_nothing(world: World) -> None:
    scores = scores_of(world)
    (busy,) = np.nonzero(np.bincount(world.shop) >= 3)
    rows = np.flatnonzero(np.isin(world.shop, busy[:2])).astype(np.int32)
    for _ in range(2):
        scores.look(layer(world, rows), None)
    assert scores.take() == {}


def test_days_to_calibrate_on_are_quiet_and_shown_by_no_shipped_scenario() -> None:
    public = {load(path).seed for path in shipped().values()}
    days = other_days(99)
    assert len({day.seed for day in days}) == len(days) == 6
    assert not public & {day.seed for day in days}
    assert all(fault.kind in HARMLESS for day in days for fault in day.fault)
    assert len({day.start.weekday() for day in days}) > 2


def test_a_scenario_that_does_harm_is_refused() -> None:
    fault = FaultSpec.model_validate({"kind": "power_cut", "at_min": 1, "minutes": 1, "scope": {}, "expect": "incident"})
    start = datetime.fromisoformat("2026-11-24T15:00:00+01:00")
    with pytest.raises(CalibratingError, match="power_cut"):
        generated(Scenario(name="bad", seed=1, terminals=20, start=start, minutes=2, fault=(fault,)))


def test_without_history_there_is_nothing_to_find() -> None:
    with pytest.raises(CalibratingError, match="no quiet history"):
        calibrate([], Calibration())


def test_wanted_rates_go_into_the_calibration_and_nothing_else() -> None:
    before = Calibration()
    after = wanting(before, false_incidents_per_day=0.3, false_symptoms_per_day=7.0)
    assert after == replace(before, false_incidents_per_day=0.3, false_symptoms_per_day=7.0)


def test_a_short_quiet_play_is_calibrated_on_and_its_progress_told() -> None:
    start = datetime.fromisoformat("2026-11-24T15:00:00+01:00")
    quiet = generated(Scenario(name="short", seed=3, terminals=300, start=start, minutes=6, warmup_days=0.1))
    ticks: list[int] = []

    def live(calibration: Calibration, progress: Callable[[float], None]) -> Iterator[tuple[Diagnosis, Signs, int]]:
        for one in quiet.live(calibration, progress):
            ticks.append(one[2])
            yield one

    told: list[tuple[int, float]] = []
    found = calibrate([Replay("short", quiet.days, live)], Calibration(), progress=lambda number, part: told.append((number, part)))
    assert len(ticks) == 72, "once for the tails of well terminals, and once with them"
    assert np.diff(ticks[:36]).tolist() == np.diff(ticks[36:]).tolist() == [10_000] * 35
    assert told[-1] == (0, 1.0)
    assert sorted(told) == told
    assert found.cusum_rate != Calibration().cusum_rate
    assert found.floor_sign == Calibration().floor_sign, "practical floors are no matter of replay"
    assert found.sign_rate != Calibration().sign_rate
