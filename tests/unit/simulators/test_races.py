from datetime import date, datetime, timedelta

import numpy as np
import pytest

from simulators.races import QUINTE_MINUTE, Demand, betting_ends_s, counter_shape, race_shape, races_of

DAYS = [date(2026, 1, 1) + timedelta(days=d) for d in range(0, 365, 13)]


@pytest.mark.parametrize("day", DAYS, ids=str)
def test_a_day_has_meetings_races_and_one_quinte_at_its_hour(day: date) -> None:
    races = races_of(3, day)
    assert [race.minute for race in races if race.quinte] == [QUINTE_MINUTE]
    assert len({race.meeting for race in races}) >= 3
    assert 24 <= len(races) <= 40
    assert [race.minute for race in races] == sorted(race.minute for race in races)
    assert 18 * 60 < races[-1].minute < 23 * 60 + 30


def test_some_days_end_in_an_evening_meeting_and_some_before() -> None:
    last = [races_of(3, day)[-1].minute for day in DAYS]
    assert max(last) > 22 * 60
    assert min(last) < 20 * 60 + 30


def test_custom_swells_before_the_quinte_and_falls_at_its_start() -> None:
    shape = race_shape(3, date(2026, 11, 24))
    assert shape[QUINTE_MINUTE - 5] > 2 * shape[12 * 60]
    assert shape[QUINTE_MINUTE + 1] < 0.5 * shape[QUINTE_MINUTE]
    assert shape[4 * 60] == 0


def test_shapes_average_one_over_the_day_and_follow_the_weekday() -> None:
    sunday, monday = date(2026, 11, 22), date(2026, 11, 23)
    for shape_of in (lambda d: race_shape(3, d), counter_shape):
        assert shape_of(monday)[480:1200].mean() == pytest.approx(0.92)
        assert shape_of(sunday)[480:1200].mean() == pytest.approx(1.14)


def test_demand_over_a_long_step_is_the_mean_over_short_ones() -> None:
    demand = Demand(3)
    end = int(datetime.fromisoformat("2026-11-24T15:14:00+01:00").timestamp())
    short = np.mean([demand.mean(end - 30 * k, 30) for k in range(20)], axis=0)
    assert demand.mean(end, 600) == pytest.approx(tuple(short))


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25", "2026-11-24"])
def test_the_quinte_keeps_its_wall_hour_when_clocks_change(day: str) -> None:
    demand = Demand(3)
    noon = datetime.fromisoformat(f"{day}T12:00:00+00:00")
    wall = date.fromisoformat(day)
    start = betting_ends_s(3, wall) - (races_of(3, wall)[-1].minute - QUINTE_MINUTE) * 60
    assert abs(start - noon.timestamp()) < 4 * 3600
    assert demand.mean(start - 60, 30)[0] > 2 * demand.mean(start + 120, 30)[0]


def test_same_seed_same_races() -> None:
    assert races_of(3, DAYS[4]) == races_of(3, DAYS[4])
    assert races_of(3, DAYS[4]) != races_of(4, DAYS[4])
