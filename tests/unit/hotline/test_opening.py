from datetime import UTC, date, datetime, time

import pytest

from hotline.opening import ZONE, Opening, day_bounds, end_of

MONDAY, TUESDAY = date(2026, 11, 23), date(2026, 11, 24)
OPENING = Opening(time(22, 30), {TUESDAY: datetime(2026, 11, 25, 0, 20, tzinfo=ZONE)})


def paris(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=ZONE)


@pytest.mark.parametrize(
    ("at", "is_open"),
    [
        pytest.param(paris(23, 6, 59), False, id="a minute too early"),
        pytest.param(paris(23, 7), True, id="from seven on"),
        pytest.param(paris(23, 22, 29), True, id="until the usual end"),
        pytest.param(paris(23, 22, 30), False, id="not at the end itself"),
        pytest.param(paris(24, 23, 50), True, id="the calendar knows a later end"),
        pytest.param(paris(25, 0, 19), True, id="past midnight the evening before goes on"),
        pytest.param(paris(25, 0, 20), False, id="and ends"),
        pytest.param(paris(25, 6), False, id="before the next day's opening"),
        pytest.param(datetime(2026, 11, 23, 6, 0, tzinfo=UTC), True, id="moments may come in any zone"),
    ],
)
def test_the_hotline_is_open_from_seven_to_the_end_of_the_races(at: datetime, is_open: bool) -> None:
    assert OPENING.is_open(at) is is_open


def test_an_end_before_the_opening_is_meant_of_the_next_morning() -> None:
    assert end_of(MONDAY, time(0, 20)) == paris(24, 0, 20)
    assert end_of(MONDAY, time(22, 15)) == paris(23, 22, 15)


@pytest.mark.parametrize(
    ("day", "hours"),
    [
        pytest.param(MONDAY, 24, id="an ordinary day"),
        pytest.param(date(2026, 3, 29), 23, id="clocks go forward"),
        pytest.param(date(2026, 10, 25), 25, id="clocks go back"),
    ],
)
def test_a_day_is_as_long_as_the_clocks_make_it(day: date, hours: int) -> None:
    start, end = day_bounds(day)
    assert (end - start).total_seconds() == hours * 3600
