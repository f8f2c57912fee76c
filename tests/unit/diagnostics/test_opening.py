"""When the usual hours last turned."""

from datetime import UTC, datetime, timedelta

import pytest

from diagnostics.opening import UsualHours
from fleet.clock import from_ms

PARIS = "Europe/Paris"
WEEK = "Mo-Sa 07:00-12:30,14:00-19:30; Su off"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "is_open", "turned"),
    [
        pytest.param("2026-11-23T11:00:30+01:00", True, "2026-11-23T07:00+01:00", id="open since this morning"),
        pytest.param("2026-11-23T13:00+01:00", False, "2026-11-23T12:30+01:00", id="closed for lunch"),
        pytest.param("2026-11-23T06:59:59+01:00", False, "2026-11-21T19:30+01:00", id="closed since Saturday evening"),
        pytest.param("2026-11-23T07:00+01:00", True, "2026-11-23T07:00+01:00", id="opens on the minute"),
        pytest.param("2026-03-30T06:00+02:00", False, "2026-03-28T19:30+01:00", id="over the night the clocks went forward"),
        pytest.param("2026-10-26T06:00+01:00", False, "2026-10-24T19:30+02:00", id="over the night the clocks went back"),
    ],
)
def test_the_last_turn_of_the_hours(now: str, is_open: bool, turned: str) -> None:
    scheduled, boundary_ms = UsualHours([WEEK], [PARIS]).at(utc(now))
    assert scheduled.tolist() == [is_open]
    assert from_ms(int(boundary_ms[0])) == utc(turned)


def test_a_shop_that_never_turns_has_no_boundary() -> None:
    scheduled, boundary_ms = UsualHours(["24/7", "Mo-Su off"], [PARIS, PARIS]).at(utc("2026-11-23T11:00+01:00"))
    assert scheduled.tolist() == [True, False]
    assert boundary_ms.tolist() == [0, 0]


def test_each_terminal_has_its_own_hours_and_time_zone() -> None:
    hours = UsualHours([WEEK, "24/7", WEEK, WEEK], [PARIS, PARIS, "Indian/Reunion", PARIS])
    scheduled, boundary_ms = hours.at(utc("2026-11-23T08:00+01:00"))
    assert scheduled.tolist() == [True, True, True, True]
    assert [from_ms(int(ms)) if ms else None for ms in boundary_ms] == [
        utc("2026-11-23T07:00+01:00"),
        None,
        utc("2026-11-23T07:00+04:00"),
        utc("2026-11-23T07:00+01:00"),
    ]


def test_stepping_through_time_says_the_same_as_starting_there() -> None:
    stepped = UsualHours([WEEK], [PARIS])
    at = utc("2026-11-21T18:00+01:00")
    while at < utc("2026-11-24T08:00+01:00"):
        at += timedelta(minutes=47, seconds=13)
        fresh = UsualHours([WEEK], [PARIS]).at(at)
        again = stepped.at(at)
        assert [part.tolist() for part in again] == [part.tolist() for part in fresh]


def test_a_clock_set_back_is_followed() -> None:
    hours = UsualHours([WEEK], [PARIS])
    hours.at(utc("2026-11-23T20:00+01:00"))
    scheduled, boundary_ms = hours.at(utc("2026-11-23T08:00+01:00"))
    assert scheduled.tolist() == [True]
    assert from_ms(int(boundary_ms[0])) == utc("2026-11-23T07:00+01:00")
