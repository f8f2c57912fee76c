from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.opening import CLOSE_SPREAD_S, EarlyClose, Opening, parse_hours, wall_to_s
from simulators.world import World

PARIS = "Europe/Paris"
# No terminal strays further from the hours on its door than the normal table reaches.
FARTHEST_S = int(4.4 * CLOSE_SPREAD_S)


@pytest.mark.parametrize(
    ("text", "day", "ranges"),
    [
        pytest.param("Mo-Sa 07:00-20:00; Su 08:00-13:00", 0, ((420, 1200),), id="weekday"),
        pytest.param("Mo-Sa 07:00-20:00; Su 08:00-13:00", 6, ((480, 780),), id="sunday"),
        pytest.param("Tu-Sa 07:00-20:00", 0, (), id="closed on Mondays"),
        pytest.param("Mo-Fr 07:00-12:30,14:00-19:30", 4, ((420, 750), (840, 1170)), id="lunch break"),
        pytest.param("24/7", 6, ((0, 1440),), id="always"),
        pytest.param("Mo 10:00-24:00", 0, ((600, 1440),), id="until midnight"),
    ],
)
def test_hours_are_read(text: str, day: int, ranges: tuple[tuple[int, int], ...]) -> None:
    assert parse_hours(text)[day] == ranges


def test_three_ranges_a_day_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 2 ranges"):
        parse_hours("Mo 07:00-08:00,09:00-10:00,11:00-12:00")


@pytest.mark.parametrize(
    ("day", "minute", "utc"),
    [
        pytest.param(date(2026, 11, 24), 420, "2026-11-24T06:00:00+00:00", id="winter"),
        pytest.param(date(2026, 7, 14), 420, "2026-07-14T05:00:00+00:00", id="summer"),
        pytest.param(date(2026, 3, 29), 60, "2026-03-29T00:00:00+00:00", id="spring, before the change"),
        pytest.param(date(2026, 3, 29), 420, "2026-03-29T05:00:00+00:00", id="spring, after the change"),
        pytest.param(date(2026, 10, 25), 60, "2026-10-24T23:00:00+00:00", id="autumn, before the change"),
        pytest.param(date(2026, 10, 25), 420, "2026-10-25T06:00:00+00:00", id="autumn, after the change"),
        pytest.param(date(2026, 11, 24), 1440, "2026-11-24T23:00:00+00:00", id="midnight at the end"),
    ],
)
def test_wall_time_is_right_on_the_days_clocks_change(day: date, minute: int, utc: str) -> None:
    assert wall_to_s(PARIS, day, minute) == int(datetime.fromisoformat(utc).timestamp())


@settings(max_examples=60, deadline=None)
@given(moment=st.integers(1_767_225_600, 1_830_297_600))
def test_open_is_what_the_door_says_give_or_take_the_shopkeeper(world: World, moment: int) -> None:
    """Also checked an hour around each change of clocks, because Hypothesis hardly finds them."""
    _agrees_with_the_door(world, moment)


@pytest.mark.parametrize("change", ["2026-03-29T01:00:00+00:00", "2026-10-25T01:00:00+00:00"])
@pytest.mark.parametrize("hours", [-2, 0, 1, 5, 7, 12, 20])
def test_open_is_right_around_a_change_of_clocks(world: World, change: str, hours: int) -> None:
    _agrees_with_the_door(world, int(datetime.fromisoformat(change).timestamp()) + hours * 3600)


def _agrees_with_the_door(world: World, moment: int) -> None:
    opened = Opening(world, 3).is_open(moment)
    for terminal in range(0, len(world), 41):
        shop = world.shops.iloc[int(world.shop[terminal])]
        wall = datetime.fromtimestamp(moment, ZoneInfo(shop["timezone"]))
        minute = wall.hour * 60 + wall.minute + wall.second / 60
        ranges = parse_hours(shop["opening_hours"])[wall.weekday()]
        slack = FARTHEST_S / 60
        if any(a + slack < minute < b - slack for a, b in ranges):
            assert opened[terminal]
        if not any(a - slack <= minute <= b + slack for a, b in ranges):
            assert not opened[terminal]


def test_shopkeepers_are_late_by_their_own_draw_of_the_day(world: World) -> None:
    opening = Opening(world, 3)
    (rows,) = np.nonzero(world.shops["opening_hours"].to_numpy()[world.shop] == "Mo-Sa 06:30-20:00; Su 07:30-13:00")
    rows = rows[world.shops["timezone"].to_numpy()[world.shop[rows]] == PARIS]

    def share(day: date, minute: int) -> float:
        return float(opening.is_open(wall_to_s(PARIS, day, minute))[rows].mean())

    tuesday = date(2026, 11, 24)
    assert share(tuesday, 6 * 60 + 15) < 0.01
    assert 0.4 < share(tuesday, 6 * 60 + 30) < 0.6
    assert share(tuesday, 6 * 60 + 45) > 0.99
    first = opening.is_open(wall_to_s(PARIS, tuesday, 6 * 60 + 30))[rows]
    second = opening.is_open(wall_to_s(PARIS, tuesday + timedelta(days=1), 6 * 60 + 30))[rows]
    assert 0.3 < (first != second).mean() < 0.7


def test_asking_in_any_order_answers_the_same(world: World) -> None:
    moments = [wall_to_s(PARIS, date(2026, 11, 24), minute) for minute in (390, 1430, 5, 700, 391)]
    opening = Opening(world, 3)
    shuffled = {m: opening.is_open(m).copy() for m in moments}
    for moment in sorted(moments):
        assert (Opening(world, 3).is_open(moment) == shuffled[moment]).all()


def test_overseas_shops_open_on_their_own_clocks(world: World) -> None:
    opened = Opening(world, 3).is_open(wall_to_s(PARIS, date(2026, 11, 24), 11 * 60))
    assert opened[world.in_scope({"region": "11"})].mean() > 0.8
    assert opened[world.in_scope({"region": "02"})].mean() < 0.4  # seven in the morning on Martinique
    evening = Opening(world, 3).is_open(wall_to_s(PARIS, date(2026, 11, 24), 22 * 60))
    assert evening[world.in_scope({"region": "02"})].mean() > 0.7
    assert evening[world.in_scope({"region": "04"})].mean() < 0.02  # one at night on La Réunion


def test_early_closing_sends_home_those_in_its_window_and_nobody_else(world: World) -> None:
    day = date(2026, 11, 24)
    idx = world.in_scope({"region": "53"})
    from_s, until_s = (wall_to_s(PARIS, day, h * 60) for h in (17, 23))
    early = Opening(world, 3)
    early.close_early((EarlyClose(idx, from_s, until_s, np.full(len(idx), 5400, np.int64)),))
    plain = Opening(world, 3)
    at = wall_to_s(PARIS, day, 19 * 60 + 10)
    assert early.is_open(at)[idx].mean() < 0.5 * plain.is_open(at)[idx].mean()
    others = np.setdiff1d(np.arange(len(world)), idx)
    assert (early.is_open(at)[others] == plain.is_open(at)[others]).all()
    before = from_s - 60
    assert (early.is_open(before) == plain.is_open(before)).all()
    tomorrow = at + 86_400
    assert (early.is_open(tomorrow) == plain.is_open(tomorrow)).all()
