"""Maintenance windows, in every kind of time zone and in the nights the clocks change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_rollout.windows import RACES_ZONE, Why, Window, WindowError, ask, check_window, next_open
from fleet.opening_hours import parse

MINUTE = timedelta(minutes=1)
SHOP = "Mo-Sa 06:00-20:00; Su 08:00-13:00"
# France's, and those whose clocks change by half an hour, at midnight, or from offsets of three quarters.
ZONES = [
    "Europe/Paris",
    "America/Guadeloupe",
    "America/Cayenne",
    "America/Miquelon",
    "Indian/Reunion",
    "Indian/Mayotte",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Pacific/Chatham",
    "Africa/Casablanca",
]
NO_RACES = Window(races_paris=None)


# The nights of both clock changes in Europe, and any other moment of some years.
def minutes_of(first: str, hours: int) -> st.SearchStrategy[datetime]:
    start = datetime.fromisoformat(first)
    return st.integers(0, hours * 60 * 60).map(lambda second: start + timedelta(seconds=second))


MOMENTS = st.one_of(
    minutes_of("2026-10-24T18:00Z", 18), minutes_of("2027-03-27T18:00Z", 18), minutes_of("2026-01-01T00:00Z", 3 * 365 * 24)
)


def clock(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).strftime("%H:%M")


def is_good(window: Window, hours: str, zone: ZoneInfo, at: datetime) -> bool:
    """The rule, by the words, of one minute."""
    (start, end), here, paris = window.local, clock(at, zone), clock(at, RACES_ZONE)
    in_window = start <= here < end if start < end else here >= start or here < end
    racing = False
    if window.races_paris is not None:
        first, last = window.races_paris
        racing = first <= paris < last if first < last else paris >= first or paris < last
    return in_window and not racing and not parse(hours).is_open(at, zone)


@given(
    st.sampled_from(ZONES),
    MOMENTS,
    st.integers(0, 90),
    st.sampled_from([("02:00", "06:30"), ("23:30", "04:00"), ("01:00", "03:00")]),
)
def test_an_update_begins_only_where_all_the_minutes_it_needs_are_good(
    name: str, now: datetime, needed: int, local: tuple[str, str]
) -> None:
    window, zone = Window(local=local, needed_minutes=needed), ZoneInfo(name)
    expected = all(is_good(window, SHOP, zone, now + minute * MINUTE) for minute in range(max(needed, 1)))
    assert ask(window, hours=SHOP, timezone=name, now=now).open is expected


@given(st.sampled_from(ZONES), MOMENTS)
def test_the_next_opening_is_open_and_nothing_before_it_is(name: str, now: datetime) -> None:
    found = next_open(NO_RACES, hours=SHOP, timezone=name, now=now)
    assert found is not None
    assert ask(NO_RACES, hours=SHOP, timezone=name, now=found).open
    assert found >= now
    if found > now:
        between = (timedelta(0), (found - now) / 3, (found - now) / 2, found - now - MINUTE)
        assert not any(ask(NO_RACES, hours=SHOP, timezone=name, now=now + step).open for step in between if step >= timedelta(0))


@pytest.mark.parametrize(
    ("night", "minutes"),
    [
        pytest.param(datetime(2026, 10, 23, 18, tzinfo=UTC), 270, id="an ordinary night"),
        pytest.param(datetime(2026, 10, 24, 18, tzinfo=UTC), 330, id="the hour from two to three comes twice"),
        pytest.param(datetime(2027, 3, 27, 18, tzinfo=UTC), 210, id="the hour from two to three does not come"),
    ],
)
def test_the_window_of_a_clock_change_is_an_hour_longer_or_shorter(night: datetime, minutes: int) -> None:
    window = Window(races_paris=None, needed_minutes=0)
    every = [night + minute * MINUTE for minute in range(15 * 60)]
    assert sum(ask(window, hours="Mo-Su 08:00-20:00", timezone="Europe/Paris", now=at).open for at in every) == minutes


@pytest.mark.parametrize(
    ("local", "paris", "why"),
    [
        pytest.param("2026-11-24T03:00+01:00", "Europe/Paris", Why.IN_WINDOW, id="at night"),
        pytest.param("2026-11-24T15:00+01:00", "Europe/Paris", Why.OUT_OF_WINDOW, id="in the afternoon"),
        pytest.param("2026-11-24T06:05+01:00", "Europe/Paris", Why.OUT_OF_WINDOW, id="too late to get done"),
        pytest.param("2026-11-24T05:35+01:00", "Europe/Paris", Why.SHOP_OPENS, id="the shop opens at six"),
        pytest.param("2026-11-24T05:00-04:00", "America/Guadeloupe", Why.RACES, id="Paris has its first race"),
        pytest.param("2026-11-24T03:00+04:00", "Indian/Reunion", Why.RACES, id="Paris has its last race"),
        pytest.param("2026-11-24T03:35+04:00", "Indian/Reunion", Why.IN_WINDOW, id="after the last race"),
        pytest.param("2026-11-24T03:00+01:00", "Europe/Atlantis", Why.UNREADABLE, id="a zone that is none"),
    ],
)
def test_a_refusal_says_why(local: str, paris: str, why: Why) -> None:
    assert ask(Window(), hours="Mo-Su 06:00-20:00", timezone=paris, now=datetime.fromisoformat(local)).why is why


def test_a_shop_that_never_closes_is_never_updated_but_without_a_window_it_is() -> None:
    now = datetime(2026, 11, 24, 2, tzinfo=UTC)
    assert next_open(Window(), hours="24/7", timezone="Europe/Paris", now=now) is None
    assert next_open(Window(), hours="by chance", timezone="Europe/Paris", now=now) is None
    assert next_open(None, hours="24/7", timezone="Europe/Paris", now=now) == now


@pytest.mark.parametrize(
    ("window", "field"),
    [
        (Window(local=("2:00", "06:30")), "local"),
        (Window(local=("02:00", "02:00")), "local"),
        (Window(races_paris=("10:00", "24:30")), "races_paris"),
        (Window(needed_minutes=271), "needed_minutes"),
        (Window(needed_minutes=-1), "needed_minutes"),
        pytest.param(Window(races_paris=("00:00", "23:59")), "races_paris", id="races all day"),
        pytest.param(Window(races_paris=("06:20", "06:10")), "races_paris", id="ten minutes between races, of thirty"),
        pytest.param(
            Window(("23:50", "00:20"), ("00:10", "23:00"), 30), "races_paris", id="twenty minutes over midnight, of thirty"
        ),
    ],
)
def test_a_window_that_cannot_be_is_refused_by_field(window: Window, field: str) -> None:
    with pytest.raises(WindowError) as refused:
        check_window(window)
    assert refused.value.field == field


@pytest.mark.parametrize(
    "window",
    [
        pytest.param(Window(), id="as it comes"),
        pytest.param(Window(("23:50", "00:20"), ("00:10", "23:00"), 20), id="twenty minutes over midnight"),
        pytest.param(Window(("00:00", "23:59"), None, 30), id="nearly always"),
        pytest.param(Window(("02:00", "06:30"), ("02:30", "02:00"), 30), id="just enough"),
    ],
)
def test_a_window_that_opens_is_taken(window: Window) -> None:
    check_window(window)
    assert next_open(window, hours="Mo 12:00-12:05", timezone="Europe/Paris", now=datetime(2026, 6, 1, 12, tzinfo=UTC)) is not None
