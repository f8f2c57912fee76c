"""The race calendar, which drives sales: meetings, races, the Quinté, and when the day's betting ends."""

from collections.abc import Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from simulators.geography import MAINLAND_TIMEZONE
from simulators.opening import local_date, wall_to_s
from simulators.randomness import F64, key_of

COURSES = ("Vincennes", "Longchamp", "Auteuil", "Deauville", "Chantilly", "Enghien", "Cagnes-sur-Mer", "Pau", "Lyon-Parilly")
QUINTE_MINUTE = 15 * 60 + 15
# Nobody bets a minute after the start; from half an hour before it, more and more do.
RUN_UP_MIN = 30.0
# Weight of each weekday's custom, Monday first: Sunday's is the largest crowd.
WEEKDAY_CUSTOM = (0.92, 0.95, 0.98, 1.0, 1.02, 1.08, 1.14)
_SPARE_MINUTES = 3 * 60


class Race(NamedTuple):
    """One race: when it starts (minutes of Paris wall time) and how much it draws (an ordinary race draws 1)."""

    meeting: str
    number: int
    minute: int
    draw: float
    quinte: bool


@lru_cache(maxsize=64)
def races_of(seed: int, day: date) -> tuple[Race, ...]:
    """Return the races of a day in order of their start."""
    rng = np.random.Generator(np.random.PCG64(key_of(seed, "races", day.toordinal())))
    courses = [COURSES[i] for i in rng.permutation(len(COURSES))]
    races = list(_meeting(rng, courses[0], first=QUINTE_MINUTE - 90, races=9, draw=1.2, quinte=True))
    for course in courses[1 : 2 + int(rng.integers(0, 2))]:
        races += _meeting(rng, course, first=int(rng.integers(11 * 60, 14 * 60)), races=8, draw=0.8)
    # Tuesdays, Fridays and Saturdays always have an evening meeting, other days now and then.
    if day.weekday() in {1, 4, 5} or rng.random() < 0.35:
        races += _meeting(rng, courses[4], first=int(rng.integers(18 * 60 + 30, 19 * 60)), races=8, draw=0.7)
    else:
        races += _meeting(rng, courses[4], first=int(rng.integers(16 * 60 + 30, 17 * 60)), races=7, draw=0.5)
    return tuple(sorted(races, key=lambda race: (race.minute, race.meeting)))


def _meeting(rng: np.random.Generator, course: str, *, first: int, races: int, draw: float, quinte: bool = False) -> Sequence[Race]:
    starts = first + np.cumsum(np.concatenate([[0], rng.integers(27, 36, races - 1)]))
    # The Quinté's meeting is built around its hour: the race next to it takes it.
    chosen = int(np.argmin(np.abs(starts - QUINTE_MINUTE))) if quinte else -1
    return [
        Race(course, i + 1, QUINTE_MINUTE, 7.0, quinte=True)
        if i == chosen
        else Race(course, i + 1, int(minute), draw * float(rng.uniform(0.7, 1.3)), quinte=False)
        for i, minute in enumerate(starts)
    ]


def betting_ends_s(seed: int, day: date) -> int:
    """Return the last race's start, with which the hotline closes too; seconds since the epoch."""
    return wall_to_s(MAINLAND_TIMEZONE, day, races_of(seed, day)[-1].minute)


@lru_cache(maxsize=64)
def race_shape(seed: int, day: date) -> F64:
    """How much the races draw in each minute of the day: float64 (1440 + 180,), mean 1 between 08:00 and 20:00.

    The extra minutes serve the day when clocks go back.
    """
    minutes = np.arange(1440 + _SPARE_MINUTES, dtype=np.float64)
    shape = np.zeros_like(minutes)
    for race in races_of(seed, day):
        before = race.minute - minutes
        run_up = np.where((before >= 0) & (before < 4 * RUN_UP_MIN), np.exp(-before / RUN_UP_MIN), 0.0)
        shape += race.draw * run_up
        if race.quinte:
            # Its bets are laid from breakfast on.
            shape += race.draw * 0.12 * ((before > 0) & (minutes > 7 * 60))
    return _custom(shape, day)


@lru_cache(maxsize=64)
def counter_shape(day: date) -> F64:
    """Custom that follows the clock, not the races (sports bets, settlements), in each minute; mean 1 as above."""
    minutes = np.arange(1440 + _SPARE_MINUTES, dtype=np.float64)
    bumps = ((8.5, 1.3, 1.0), (12.3, 1.2, 1.2), (18.3, 1.6, 1.5), (14.5, 5.0, 0.6))
    shape = sum((size * np.exp(-0.5 * ((minutes / 60 - hour) / width) ** 2) for hour, width, size in bumps), np.zeros_like(minutes))
    return _custom(shape, day)


def _custom(shape: F64, day: date) -> F64:
    shape = shape / shape[8 * 60 : 20 * 60].mean() * WEEKDAY_CUSTOM[day.weekday()]
    shape.flags.writeable = False
    return shape


class Demand:
    """How much custom there is now: the two shapes averaged over the seconds just past."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._from_s, self._until_s = 0, 0
        self._sums: F64 = np.zeros((2, 1))

    def mean(self, t_s: int, dt_s: float) -> tuple[float, float]:
        """Return (race-driven, clock-driven) custom over (t - dt, t], each 1 on an average day's average minute."""
        if not self._from_s <= t_s < self._until_s:
            self._load(t_s)
        end = min((t_s - self._from_s) / 60, self._sums.shape[1] - 1)
        begin = max(0.0, end - dt_s / 60)
        if end - begin < 1e-6:
            return 0.0, 0.0
        race, counter = (self._at(row, end) - self._at(row, begin) for row in (0, 1))
        return race / (end - begin), counter / (end - begin)

    def _at(self, row: int, minute: float) -> float:
        whole = int(minute)
        sums = self._sums[row]
        below = float(sums[whole])
        above = float(sums[min(whole + 1, len(sums) - 1)])
        return below + (minute - whole) * (above - below)

    def _load(self, t_s: int) -> None:
        day = local_date(MAINLAND_TIMEZONE, t_s)
        self._from_s = wall_to_s(MAINLAND_TIMEZONE, day, 0)
        self._until_s = wall_to_s(MAINLAND_TIMEZONE, day + timedelta(days=1), 0)
        # On the days clocks change, minutes since midnight and the wall part company: look the wall up.
        minutes = (self._until_s - self._from_s) // 60
        shift = minutes - 1440
        wall = np.arange(minutes)
        if shift:
            wall = np.where(wall >= 180, wall - shift, wall)
        shapes = np.stack([race_shape(self._seed, day)[wall], counter_shape(day)[wall]])
        self._sums = np.concatenate([np.zeros((2, 1)), np.cumsum(shapes, axis=1)], axis=1)
