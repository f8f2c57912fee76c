"""Opening hours: what is read, what is refused, and both nights in which the clocks change."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.opening_hours import DAYS, MINUTES_A_WEEK, FleetHours, OpeningHoursError, parse

PARIS = ZoneInfo("Europe/Paris")


def local(text: str, zone: ZoneInfo = PARIS) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("hours", "at", "is_open"),
    [
        pytest.param("Mo-Sa 07:00-20:00; Su 08:00-13:00", "2026-11-23 07:00", True, id="opens on the minute"),
        pytest.param("Mo-Sa 07:00-20:00; Su 08:00-13:00", "2026-11-23 06:59", False, id="not a minute before"),
        pytest.param("Mo-Sa 07:00-20:00; Su 08:00-13:00", "2026-11-23 20:00", False, id="the end is excluded"),
        pytest.param("Mo-Sa 07:00-20:00; Su 08:00-13:00", "2026-11-22 13:30", False, id="Sunday has its own hours"),
        pytest.param("Mo-Fr 07:00-12:30,14:00-19:30", "2026-11-23 13:00", False, id="closed at lunch"),
        pytest.param("Mo-Fr 07:00-12:30, 14:00-19:30", "2026-11-23 14:00", True, id="a space after the comma"),
        pytest.param("Mo-Su 07:00-20:00; We off", "2026-11-25 10:00", False, id="a later rule replaces"),
        pytest.param("Mo,We-Fr 07:00-20:00", "2026-11-24 10:00", False, id="a day between the listed ones"),
        pytest.param("Mo,We-Fr 07:00-20:00", "2026-11-26 10:00", True, id="a day of a listed range"),
        pytest.param("Sa-Mo 07:00-20:00", "2026-11-23 10:00", True, id="days over the weekend"),
        pytest.param("07:00-20:00", "2026-11-22 10:00", True, id="no days means every day"),
        pytest.param("Fr-Sa 18:00-02:00", "2026-11-22 01:59", True, id="past midnight belongs to the evening before"),
        pytest.param("Fr-Sa 18:00-02:00", "2026-11-22 02:00", False, id="until its end"),
        pytest.param("Su 20:00-03:00", "2026-11-23 02:00", True, id="Sunday night reaches into Monday"),
        pytest.param("Fr 18:00-02:00; Sa 10:00-12:00", "2026-11-21 01:00", True, id="the next day's rule does not cut the night"),
        pytest.param("Mo-Su 00:00-24:00", "2026-11-22 23:59", True, id="until 24:00"),
        pytest.param("24/7", "2026-11-22 03:00", True, id="always"),
        pytest.param("Mo-Su off", "2026-11-22 12:00", False, id="never"),
    ],
)
def test_a_shop_is_open_when_its_hours_say_so(hours: str, at: str, is_open: bool) -> None:
    moment = local(at)
    assert parse(hours).is_open(moment, PARIS) is is_open
    assert FleetHours([hours], ["Europe/Paris"]).open_at(moment).tolist() == [is_open]


@pytest.mark.parametrize(
    ("at", "is_open"),
    [
        pytest.param("2026-10-25T00:15+00:00", False, id="back: 02:15 summer time"),
        pytest.param("2026-10-25T00:45+00:00", True, id="back: 02:45 summer time"),
        pytest.param("2026-10-25T01:15+00:00", False, id="back: 02:15 again, winter time"),
        pytest.param("2026-10-25T01:45+00:00", True, id="back: 02:45 again, winter time"),
        pytest.param("2026-10-25T02:00+00:00", False, id="back: 03:00"),
        pytest.param("2026-03-29T00:59+00:00", False, id="forward: 01:59, the last minute of winter time"),
        pytest.param("2026-03-29T01:00+00:00", False, id="forward: 03:00, the open half-hour never was"),
    ],
)
def test_the_nights_of_the_clock_change_follow_the_wall_clock(at: str, is_open: bool) -> None:
    moment = datetime.fromisoformat(at)
    assert parse("Mo-Su 02:30-03:00").is_open(moment, PARIS) is is_open
    assert FleetHours(["Mo-Su 02:30-03:00"], ["Europe/Paris"]).open_at(moment).tolist() == [is_open]


def test_a_fleet_is_asked_in_each_shops_own_time_zone() -> None:
    zones = ["Europe/Paris", "Indian/Reunion", "America/Martinique", "America/Cayenne"]
    fleet = FleetHours(["Mo-Su 07:00-20:00"] * 4, zones)
    at = datetime(2026, 11, 23, 6, 30, tzinfo=UTC)  # 07:30, 10:30, 02:30, 03:30
    assert fleet.open_at(at).tolist() == [True, True, False, False]


def test_an_empty_fleet_has_no_answers() -> None:
    assert FleetHours([], []).open_at(local("2026-11-23 12:00")).tolist() == []


@pytest.mark.parametrize(
    "text",
    ["", "always", "Mo-Sa", "Mo-Sa 7:00-20:00", "Lu-Sa 07:00-20:00", "Mo 25:00-26:00", "Mo 07:00-07:00", "Mo 24:00-05:00",
     "Mo 07:00-24:30", "Mo-Sa 07:00-20:00;", "PH off", "Mo-Sa 07:00+", "Mo-Sa 07:00-20:00 Su 08:00-13:00"],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(OpeningHoursError, match=r"write|24:00"):
        parse(text)


_TIMES = st.integers(0, 287).map(lambda i: 5 * i)


@given(
    st.lists(
        st.tuples(st.integers(0, 6), _TIMES, _TIMES.filter(bool)).filter(lambda t: t[1] < t[2]),
        max_size=5,
        unique_by=lambda t: t[0],
    ),
    st.integers(0, MINUTES_A_WEEK - 1),
)
def test_the_table_and_the_ranges_agree(rules: list[tuple[int, int, int]], minute: int) -> None:
    def clock(m: int) -> str:
        return f"{m // 60:02d}:{m % 60:02d}"

    text = "; ".join(f"{DAYS[day]} {clock(start)}-{clock(end)}" for day, start, end in rules) or "Mo-Su off"
    hours = parse(text)
    expected = any(day == minute // 1440 and start <= minute % 1440 < end for day, start, end in rules)
    assert bool(hours.bitmap()[minute]) is expected
    assert any(start <= minute < end for start, end in hours.ranges) is expected
    assert int(np.sum(hours.bitmap())) == sum(end - start for start, end in hours.ranges)
