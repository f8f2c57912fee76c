"""Maintenance windows: when a terminal may be updated, in its shop's own time.

A window is a range of local wall time, and a shop must be closed in it, with enough time left to update before it opens. While
races are run (their hours are Paris's, wherever the shop is) nothing is updated. All is asked of moments: a moment is turned
into wall time first, so in the night the clocks go back an hour of the window comes twice, and in the night they go forward one
does not come.
"""

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from numpy.typing import NDArray

from fleet.errors import FieldError, VigieError
from fleet.opening_hours import MINUTES_A_DAY, MINUTES_A_WEEK, minute_of_week, parse

Bool = NDArray[np.bool_]

# Races are run, and told the end of, on French time.
RACES_ZONE: Final = ZoneInfo("Europe/Paris")
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
# Offsets from UTC, and the moments at which they change, are whole quarters of an hour everywhere.
_STEP: Final = 15
# Beyond a week and the night of a clock change there is no further kind of day.
_SEARCH_MINUTES: Final = 9 * MINUTES_A_DAY


class WindowError(FieldError):
    """A window that cannot be; `field` names what is wrong."""


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a terminal may be updated; ends are excluded.

    `local`: from and until, wall time of the shop, past midnight where the end is earlier. `races_paris`: likewise, when races
    may be run, in Paris; None: never minded. `needed_minutes`: so long the shop stays closed, no race is run and the window
    lasts when an update begins.
    """

    local: tuple[str, str] = ("02:00", "06:30")
    races_paris: tuple[str, str] | None = ("10:00", "00:30")
    needed_minutes: int = 30


class Why(StrEnum):
    """Why a terminal may, or may not, be updated now."""

    IN_WINDOW = "in_window"
    ANY_TIME = "any_time"
    OUT_OF_WINDOW = "out_of_window"
    SHOP_OPENS = "shop_opens"
    RACES = "races"
    # Opening hours or a time zone that nobody can read: unknown means wait.
    UNREADABLE = "unreadable"


class Answer(NamedTuple):
    """Whether it may be updated now, and why."""

    open: bool
    why: Why


def ask(window: Window | None, *, hours: str, timezone: str, now: datetime) -> Answer:
    """Whether a terminal of a shop with these opening hours and time zone may begin an update now."""
    if window is None:
        return Answer(True, Why.ANY_TIME)
    try:
        coming = _coming(window, hours, ZoneInfo(timezone), now, max(window.needed_minutes, 1))
    except (VigieError, KeyError, ValueError, OSError):
        return Answer(False, Why.UNREADABLE)
    for good, why in zip(coming, (Why.OUT_OF_WINDOW, Why.SHOP_OPENS, Why.RACES), strict=True):
        if not good.all():
            return Answer(False, why)
    return Answer(True, Why.IN_WINDOW)


def next_open(window: Window | None, *, hours: str, timezone: str, now: datetime) -> datetime | None:
    """The first moment from now on, by the minute, at which an update may begin; None: not in the week to come."""
    if (answer := ask(window, hours=hours, timezone=timezone, now=now)).open:
        return now
    if window is None or answer.why is Why.UNREADABLE:
        return None
    begin = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    good = np.logical_and.reduce(_coming(window, hours, ZoneInfo(timezone), begin, _SEARCH_MINUTES))
    # How many good minutes there are up to each: between a first and a last one they are all good, or their number is smaller.
    until = np.concatenate(([0], np.cumsum(good)))
    needed = max(window.needed_minutes, 1)
    found = np.flatnonzero(until[needed:] - until[:-needed] == needed)
    return begin + timedelta(minutes=int(found[0])) if len(found) else None


def check_window(window: Window) -> None:
    """Raise `WindowError` unless an update can begin at some minute of a day, in a shop in France that is closed all day."""
    for name, pair in (("local", window.local), ("races_paris", window.races_paris)):
        if pair is not None and not all(_CLOCK.fullmatch(clock) for clock in pair):
            raise WindowError(name, "'%(begin)s' to '%(end)s' is not of the form 02:00 to 06:30", begin=pair[0], end=pair[1])
        if pair is not None and pair[0] == pair[1]:
            raise WindowError(name, "begins and ends at the same time")
    if not 0 <= window.needed_minutes <= MINUTES_A_DAY:
        raise WindowError("needed_minutes", "from 0 to a day")
    if _day(window.local).sum() < window.needed_minutes:
        raise WindowError("needed_minutes", "is longer than the window")
    if window.races_paris is not None:
        good = _day(window.local) & ~_day(window.races_paris)
        if _longest_run(good) < max(window.needed_minutes, 1):
            raise WindowError(
                "races_paris",
                "leave a shop in France no %(minutes)s minutes of its window, %(begin)s to %(end)s",
                minutes=window.needed_minutes,
                begin=window.local[0],
                end=window.local[1],
            )


class _Minutes(NamedTuple):
    """Which minutes are good: of the local day, of the local week, of the day in Paris; or of the time to come."""

    window: Bool
    closed: Bool
    no_race: Bool


def _coming(window: Window, hours: str, zone: ZoneInfo, at: datetime, length: int) -> _Minutes:
    """Which of the `length` minutes from `at` on are good, and by what; real minutes, whatever the clocks show."""
    good = _minutes(window, hours)
    begin = at.astimezone(UTC)
    before = begin.minute % _STEP
    quarters = [begin - timedelta(minutes=before) + timedelta(minutes=m) for m in range(0, before + length, _STEP)]
    here, paris = (
        (np.array([minute_of_week(quarter, where) for quarter in quarters])[:, None] + np.arange(_STEP)).ravel()[before:][:length]
        for where in (zone, RACES_ZONE)
    )
    return _Minutes(good.window[here % MINUTES_A_DAY], good.closed[here % MINUTES_A_WEEK], good.no_race[paris % MINUTES_A_DAY])


@lru_cache(maxsize=1024)
def _minutes(window: Window, hours: str) -> _Minutes:
    races = np.zeros(MINUTES_A_DAY, bool) if window.races_paris is None else _day(window.races_paris)
    return _Minutes(_day(window.local), ~parse(hours).bitmap(), ~races)


def _longest_run(good: Bool) -> int:
    """How many good minutes follow one another at most, over midnight too; a whole day where all are."""
    if good.all():
        return len(good)
    # Begun behind a bad minute, no run is cut in two by the day's end.
    bad = np.flatnonzero(~good)
    return int(np.diff(bad, append=bad[0] + len(good)).max()) - 1


def _day(pair: tuple[str, str]) -> Bool:
    """The minutes of a day from the first clock to the second, past midnight where that is earlier."""
    start, end = (int(clock[:2]) * 60 + int(clock[3:]) for clock in pair)
    minutes = np.zeros(MINUTES_A_DAY, bool)
    minutes[np.arange(start, end + (MINUTES_A_DAY if end <= start else 0)) % MINUTES_A_DAY] = True
    return minutes
