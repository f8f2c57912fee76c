"""When a shop is open: a subset of OpenStreetMap's opening hours, asked of one shop or of the whole fleet at once.

    Mo-Sa 07:00-20:00; Su 08:00-13:00          a later rule replaces an earlier one on its days
    Mo,We-Fr 07:00-12:30,14:00-19:30; Tu off   several ranges a day; a day without a rule is closed
    Fr-Sa 18:00-02:00                          past midnight: the range belongs to the day it begins on
    24/7

Hours are local wall time. So in the night the clocks go back an hour counts twice, and in the night they go forward one
does not exist: converting the moment to local time first makes both right.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from fleet.errors import VigieError

DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
MINUTES_A_DAY = 24 * 60
MINUTES_A_WEEK = 7 * MINUTES_A_DAY

_RANGE = re.compile(r"^([01]\d|2[0-4]):([0-5]\d)\s*-\s*([01]\d|2[0-4]):([0-5]\d)$")
_DAY_LIST = re.compile(r"^(?:(?:Mo|Tu|We|Th|Fr|Sa|Su)(?:\s*-\s*(?:Mo|Tu|We|Th|Fr|Sa|Su))?(?:\s*,\s*|\s+|$))+")
_OFF = ("off", "closed")


class OpeningHoursError(VigieError):
    """The text is not in the subset of the opening-hours syntax that is read here."""


@dataclass(frozen=True)
class OpeningHours:
    """The open minutes of a week, Monday 00:00 being 0: ascending, apart from each other, ends excluded."""

    ranges: tuple[tuple[int, int], ...]

    def is_open(self, at: datetime, zone: ZoneInfo) -> bool:
        """Whether a shop in this time zone is open at this (aware) moment."""
        minute = minute_of_week(at, zone)
        return any(start <= minute < end for start, end in self.ranges)

    def bitmap(self) -> NDArray[np.bool_]:
        """One flag for each minute of the week, Monday 00:00 first."""
        flags = np.zeros(MINUTES_A_WEEK, dtype=np.bool_)
        for start, end in self.ranges:
            flags[start:end] = True
        return flags


@lru_cache(maxsize=4096)
def parse(text: str) -> OpeningHours:
    """Read opening hours.

    Raises:
        OpeningHoursError: says which part cannot be read, and what would be right.
    """
    if text.strip() == "24/7":
        return OpeningHours(((0, MINUTES_A_WEEK),))
    week: list[list[tuple[int, int]]] = [[] for _ in DAYS]
    for rule in text.split(";"):
        days, ranges = _rule(rule.strip())
        for day in days:
            week[day] = ranges
    # A range past the end of Sunday comes back at the start of Monday.
    flags = np.zeros(2 * MINUTES_A_WEEK, dtype=np.bool_)
    for day, ranges in enumerate(week):
        for start, end in ranges:
            flags[day * MINUTES_A_DAY + start : day * MINUTES_A_DAY + end] = True
    flags = flags[:MINUTES_A_WEEK] | flags[MINUTES_A_WEEK:]
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False]))))
    return OpeningHours(tuple((int(start), int(end)) for start, end in edges.reshape(-1, 2)))


def minute_of_week(at: datetime, zone: ZoneInfo) -> int:
    """The minute of the local week, Monday 00:00 being 0, at this (aware) moment."""
    local = at.astimezone(zone)
    return local.weekday() * MINUTES_A_DAY + local.hour * 60 + local.minute


class FleetHours:
    """The opening hours of many terminals, answered as arrays.

    There are a few dozen patterns and six time zones for 16,000 terminals, so one look-up in a table of
    (patterns, minutes of the week) answers for all.
    """

    def __init__(self, hours: Sequence[str], timezones: Sequence[str]) -> None:
        """Prepare for terminals in the given order.

        Args:
            hours: each terminal's opening hours.
            timezones: each terminal's time zone.
        """
        patterns, self._pattern = np.unique(np.array(hours, dtype=np.str_), return_inverse=True)
        zones, self._zone = np.unique(np.array(timezones, dtype=np.str_), return_inverse=True)
        self._table = np.array([parse(str(pattern)).bitmap() for pattern in patterns], dtype=np.bool_)
        self._zones = [ZoneInfo(str(zone)) for zone in zones]

    def open_at(self, at: datetime) -> NDArray[np.bool_]:
        """Which terminals' shops are open at this (aware) moment: shape (terminals,)."""
        if not self._zones:
            return np.zeros(0, dtype=np.bool_)
        minutes = np.array([minute_of_week(at, zone) for zone in self._zones])
        return np.asarray(self._table[self._pattern, minutes[self._zone]])


def _rule(rule: str) -> tuple[list[int], list[tuple[int, int]]]:
    """The days of one rule and its ranges in minutes of the day (past 1440: the next morning)."""
    found = _DAY_LIST.match(rule)
    days = _days(found.group(0)) if found else list(range(len(DAYS)))
    times = rule[found.end() :].strip() if found else rule
    if times in _OFF:
        return days, []
    if not times:
        raise OpeningHoursError(f"{rule!r} says no hours: write for instance `Mo-Sa 07:00-20:00; Su off`")
    return days, [_range(part.strip()) for part in times.split(",")]


def _days(text: str) -> list[int]:
    days: list[int] = []
    for part in re.split(r"\s*,\s*|(?<!-)\s+(?!-)", text.strip()):
        first, _, last = (name.strip() for name in part.partition("-"))
        start = DAYS.index(first)
        length = (DAYS.index(last) - start) % len(DAYS) if last else 0
        days += [(start + i) % len(DAYS) for i in range(length + 1)]
    return days


def _range(text: str) -> tuple[int, int]:
    found = _RANGE.match(text)
    if found is None:
        raise OpeningHoursError(f"cannot read {text!r}: write days as Mo-Su, hours as 07:00-20:00, closed days as `Su off`")
    hour, minute, end_hour, end_minute = map(int, found.groups())
    start, end = hour * 60 + minute, end_hour * 60 + end_minute
    if start >= MINUTES_A_DAY or end > MINUTES_A_DAY or start == end:
        raise OpeningHoursError(f"{text!r} is no range of a day: it begins before 24:00 and ends, by 24:00, at another time")
    return start, end if end > start else end + MINUTES_A_DAY
