"""When shops are open: their hours in their own time zone, and shopkeepers who are rarely on the minute."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from simulators.geography import TIMEZONES
from simulators.randomness import bits, key_of, normals, terminal_keys
from simulators.world import I32, World

I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
RANGES_A_DAY = 2
DAY_S = 86_400
# Spread of the moment the shopkeeper unlocks and locks against the hours on the door, seconds.
OPEN_SPREAD_S, CLOSE_SPREAD_S = 240.0, 360.0
_NEVER = 2**62

Week = tuple[tuple[tuple[int, int], ...], ...]


def parse_hours(text: str) -> Week:
    """Read opening hours: seven days, Monday first, each a tuple of (from, to) in minutes of local wall time."""
    if text == "24/7":
        return (((0, 1440),),) * 7
    week: list[tuple[tuple[int, int], ...]] = [()] * 7
    for rule in text.split(";"):
        days, hours = rule.split()
        first, _, last = days.partition("-")
        ranges = tuple((_minutes(a), _minutes(b)) for a, b in (r.split("-") for r in hours.split(",")))
        if len(ranges) > RANGES_A_DAY:
            raise ValueError(f"opening hours {text!r}: more than {RANGES_A_DAY} ranges a day")
        for day in range(DAYS.index(first), DAYS.index(last or first) + 1):
            week[day] = ranges
    return tuple(week)


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


def local_date(timezone: str, t_s: int) -> date:
    """Return the date on the wall of a time zone."""
    return datetime.fromtimestamp(t_s, ZoneInfo(timezone)).date()


def wall_to_s(timezone: str, day: date, wall_minute: int) -> int:
    """Turn wall time into seconds since the epoch; a minute that the spring skips is taken an hour later."""
    wall = datetime.combine(day, time()) + timedelta(minutes=wall_minute)
    return int(wall.replace(tzinfo=ZoneInfo(timezone)).astimezone(UTC).timestamp())


@dataclass(frozen=True)
class EarlyClose:
    """Shopkeepers who go home early: closings in [from_s, until_s) come `lead_s` sooner, yet not before `from_s`."""

    terminals: I32
    from_s: int
    until_s: int
    lead_s: I64  # one for each of `terminals`


class Opening:
    """Opening and closing of every terminal, kept as the edges of each zone's current day."""

    def __init__(self, world: World, seed: int) -> None:
        self._keys = terminal_keys(key_of(seed, "opening"), len(world))
        self._early: tuple[EarlyClose, ...] = ()
        hours = world.shops["opening_hours"].to_numpy()
        texts = sorted(set(hours))
        self._weeks = [parse_hours(text) for text in texts]
        self._week_of = np.searchsorted(np.array(texts), hours.astype(str))[world.shop]
        zone = np.array([TIMEZONES.index(z) for z in world.shops["timezone"]], np.int8)[world.shop]
        self.zone = zone
        self._rows = [np.nonzero(zone == z)[0] for z in range(len(TIMEZONES))]
        # edges[2 * r] and edges[2 * r + 1] open and close range r of the day, seconds since the epoch.
        self._edges: I64 = np.full((2 * RANGES_A_DAY, len(world)), _NEVER, np.int64)
        self._day_from: I64 = np.full(len(TIMEZONES), _NEVER, np.int64)
        self._day_until: I64 = np.full(len(TIMEZONES), -_NEVER, np.int64)
        self._state: tuple[int, Bool] = (-1, np.zeros(len(world), bool))

    def close_early(self, early: tuple[EarlyClose, ...]) -> None:
        """Take note of who will go home early, before the first of those days is asked for."""
        self._early = early
        self._day_until[:] = -_NEVER
        self._state = (-1, self._state[1])

    def is_open(self, t_s: int, idx: I32 | None = None) -> Bool:
        """Who is open at `t_s`: bool (len(idx),), or of the whole fleet."""
        if self._state[0] != t_s:
            self._turn_to(t_s)
            edges = self._edges
            inside = (edges[0] <= t_s) & (t_s < edges[1])
            inside |= (edges[2] <= t_s) & (t_s < edges[3])
            self._state = (t_s, inside)
        return self._state[1] if idx is None else self._state[1][idx]

    def wall_s(self, t_s: int) -> NDArray[np.float64]:
        """Seconds since local midnight in each of `TIMEZONES`."""
        self._turn_to(t_s)
        return (t_s - self._day_from).astype(np.float64)

    def _turn_to(self, t_s: int) -> None:
        for z in np.nonzero((t_s < self._day_from) | (t_s >= self._day_until))[0]:
            self._load_day(int(z), t_s)

    def _load_day(self, z: int, t_s: int) -> None:
        timezone, rows = TIMEZONES[z], self._rows[z]
        day = local_date(timezone, t_s)
        self._day_from[z] = wall_to_s(timezone, day, 0)
        self._day_until[z] = wall_to_s(timezone, day + timedelta(days=1), 0)
        ranges = self._ranges(timezone, day)
        edges = ranges[:, self._week_of[rows]]
        shut = edges == _NEVER
        # The same terminal is early or late by its own draw of that day, whoever asks and however often.
        late = normals(bits(self._keys[rows], day.toordinal(), 1))
        late[0::2] *= OPEN_SPREAD_S
        late[1::2] *= CLOSE_SPREAD_S
        edges = edges + np.rint(late).astype(np.int64)
        # Midnight bounds the day, so that a late closing does not run into tomorrow's edges.
        np.clip(edges, self._day_from[z], self._day_until[z], out=edges)
        edges[1] = np.where(shut[2], edges[1], np.minimum(edges[1], edges[2] - 60))
        edges[shut] = _NEVER
        self._edges[:, rows] = edges
        for early in self._early:
            self._send_home(early, z)

    def _ranges(self, timezone: str, day: date) -> I64:
        """Edges on the door for each kind of week: int64 (2 * RANGES_A_DAY, weeks)."""
        known: dict[int, int] = {}
        ranges = np.full((2 * RANGES_A_DAY, len(self._weeks)), _NEVER, np.int64)
        for w, week in enumerate(self._weeks):
            for column, minute in enumerate(m for pair in week[day.weekday()] for m in pair):
                if minute not in known:
                    known[minute] = wall_to_s(timezone, day, minute)
                ranges[column, w] = known[minute]
        return ranges

    def _send_home(self, early: EarlyClose, z: int) -> None:
        mine = self.zone[early.terminals] == z
        rows, lead = early.terminals[mine], early.lead_s[mine]
        for column in (1, 3):
            close = self._edges[column, rows]
            moved = (close > early.from_s) & (close <= early.until_s + lead) & (close < _NEVER)
            sooner = np.maximum(close - lead, early.from_s)
            self._edges[column, rows] = np.where(moved, sooner, close)
