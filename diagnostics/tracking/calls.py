"""Calls as a signal: which shops rang lately, and how many would have on such a day at such an hour.

A call of a shop is shared out evenly among its terminals. A shop that rings again within two hours still has the same matter, and
counts once. How many calls an hour brings is learnt by hour and kind of day, the level of the day is followed slowly; a shop's
share of them is as everybody's, bent by what it rang before.
"""

from datetime import UTC, datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from diagnostics.detector.observed import I32, Calls, Layer
from diagnostics.snapshot import F32, I64, Bool, Index
from diagnostics.troubles import Trouble

F64 = NDArray[np.float64]

# The hotline's own clock.
_ZONE: Final = ZoneInfo("Europe/Paris")
# A surge of an administrative matter takes an hour to show, a broken network ten minutes.
WINDOWS_S: Final = (900, 1800, 3600, 7200)
SAME_MATTER_MS: Final = 2 * 3600 * 1000
_BIN_S: Final = 300
_BINS: Final = WINDOWS_S[-1] // _BIN_S
# Before anything is learnt: some 850 calls a day, most of them while shops are open from morning to evening.
_PRIOR_BY_DAY: Final = tuple(55.0 if 8 <= hour < 20 else 25.0 if 7 <= hour < 23 else 0.05 for hour in range(24))
# The prior counts as so many hours of each hour; what was learnt fades with this half-life.
_PRIOR_HOURS: Final = 1.0
_HALF_LIFE_S: Final = 28 * 86_400.0
# A shop's history counts for little: it rings every twelve days. The prior is worth so many expected calls.
_SHOP_PRIOR: Final = 4.0
# A day's level is judged by what it brought until now, against a prior worth so many calls, and never believed beyond this.
_LEVEL_PRIOR: Final = 150.0
_LEVEL_BOUNDS: Final = (0.75, 1.35)
_DAY_S: Final = 86_400


class CallHabits(NamedTuple):
    """What was learnt: calls and hours watched (both fading), by kind of day (weekday, Saturday, Sunday) and hour (3, 24);
    `rang` (terminals,) are the calls of each terminal's shop, `rang_due` what was expected of an ordinary one.
    """

    calls: F64
    hours: F64
    rang: F32
    rang_due: float

    @classmethod
    def untaught(cls, terminals: int) -> "CallHabits":
        """Nothing learnt yet."""
        return cls(np.zeros((3, 24)), np.zeros((3, 24)), np.zeros(terminals, np.float32), 0.0)


class CallDesk:
    """The calls of the last two hours, and what was due meanwhile."""

    def __init__(self, shop: I32, habits: CallHabits | None = None) -> None:
        """`shop` (terminals,) numbers the points of sale from 0."""
        n, shops = len(shop), int(shop.max(initial=-1)) + 1
        self._shop = shop
        self._order: Index = np.argsort(shop, kind="stable")
        self._first: Index = np.searchsorted(shop[self._order], np.arange(shops + 1))
        self._share: F32 = (1 / np.maximum(np.diff(self._first), 1))[shop].astype(np.float32) if n else np.zeros(0, np.float32)
        habits = habits or CallHabits.untaught(n)
        self._calls, self._hours = habits.calls.copy(), habits.hours.copy()
        self._rang, self._rang_due = habits.rang.copy(), habits.rang_due
        self._counted_ms: I64 = np.zeros(shops, np.int64)  # when the shop's present matter was first rung about
        self._due: F32 = np.zeros((_BINS + 1, n), np.float32)
        self._sums: dict[int, F32] = {}
        self._bin = 0
        self._at_s = 0
        self._day = (0, 0.0, 0.0)  # which, calls counted, calls due

    def habits(self) -> CallHabits:
        """What is worth keeping."""
        return CallHabits(self._calls.copy(), self._hours.copy(), self._rang.copy(), self._rang_due)

    def observe(self, calls: Calls, *, at_s: int, is_open: Bool, explained: Bool | None = None, lasting_s: float = 0.0) -> None:
        """Take in what rang since the last time, `lasting_s` ago where that is not known.

        `explained` (terminals,): what rings at these shops has a known cause, and teaches nothing.
        """
        lasting_s = lasting_s or (min(max(at_s - self._at_s, 0.0), float(_BIN_S)) if self._at_s else 0.0)
        self._turn(int(at_s // _BIN_S))
        fresh = self._fresh(calls)
        if explained is not None:
            fresh = fresh[~self._shops(explained)[fresh]]
        weight = np.where(is_open, self._weight(), np.float32(0))
        total = float(weight.sum())
        if total > 0:
            due = weight * np.float32(self._rate(at_s) * self._level() * lasting_s / total)
            self._due[self._bin % len(self._due)] += due
            for window in self._sums.values():
                np.add(window, due, out=window)
        self._teach(fresh, at_s=at_s, lasting_s=lasting_s)
        self._at_s = at_s

    def layers(self, *, now_ms: int) -> list[Layer]:
        """What rang against what was due, for each window."""
        found = []
        for window_s in WINDOWS_S:
            rang = self._counted_ms > now_ms - window_s * 1000
            hit = np.where(rang[self._shop], self._share, np.float32(0))
            found.append(Layer(Trouble.CALLS, window_s, hit, self._window(window_s)))
        return found

    def carried_to(self, shop: I32, old_rows: Index) -> "CallDesk":
        """The same on a changed registry: row i was `old_rows[i]`, -1 is new. Windows begin anew."""
        rang = np.where(old_rows >= 0, self._rang[np.maximum(old_rows, 0)], 0).astype(np.float32)
        desk = CallDesk(shop, CallHabits(self._calls, self._hours, rang, self._rang_due))
        kept = np.flatnonzero(old_rows >= 0)
        desk._counted_ms[shop[kept]] = self._counted_ms[self._shop[old_rows[kept]]]
        desk._due[:, kept] = self._due[:, old_rows[kept]]
        desk._bin, desk._at_s, desk._day = self._bin, self._at_s, self._day
        return desk

    def _fresh(self, calls: Calls) -> I32:
        """The shops that ring about something new, each once."""
        known = (calls.shop >= 0) & (calls.shop < len(self._counted_ms))
        fresh = []
        for shop, at_ms in zip(calls.shop[known].tolist(), calls.at_ms[known].tolist(), strict=True):
            if at_ms - self._counted_ms[shop] >= SAME_MATTER_MS:
                self._counted_ms[shop] = at_ms
                fresh.append(shop)
        return np.array(fresh, np.int32)

    def _shops(self, terminals: Bool) -> Bool:
        """The shops, bool (shops,), of which one of these terminals is."""
        found = np.zeros(len(self._counted_ms), bool)
        found[self._shop[terminals]] = True
        return found

    def _teach(self, fresh: I32, *, at_s: int, lasting_s: float) -> None:
        kind, hour, day = _calendar(at_s)
        rate = self._rate(at_s)
        if day != self._day[0]:
            self._day = (day, 0.0, 0.0)
            fade = 0.5 ** (_DAY_S / _HALF_LIFE_S)
            self._calls *= fade
            self._hours *= fade
            self._rang *= np.float32(fade)
            self._rang_due *= fade
        self._day = (day, self._day[1] + len(fresh), self._day[2] + rate * lasting_s)
        self._calls[kind, hour] += len(fresh)
        self._hours[kind, hour] += lasting_s / 3600
        self._rang += np.bincount(fresh, minlength=len(self._counted_ms)).astype(np.float32)[self._shop]
        self._rang_due += rate * lasting_s / max(len(self._counted_ms), 1)

    def _rate(self, at_s: int) -> float:
        """Calls a second, as such an hour has them."""
        kind, hour, _ = _calendar(at_s)
        calls, hours = self._calls[kind, hour], self._hours[kind, hour]
        return float((calls + _PRIOR_HOURS * _PRIOR_BY_DAY[hour]) / (hours + _PRIOR_HOURS) / 3600)

    def _level(self) -> float:
        """How this day compares with its kind so far."""
        _, counted, due = self._day
        return float(np.clip((counted + _LEVEL_PRIOR) / (due + _LEVEL_PRIOR), *_LEVEL_BOUNDS))

    def _weight(self) -> F32:
        """Each terminal's part in what its fleet rings: its shop's habit, shared among the shop's terminals."""
        bent = (self._rang + np.float32(_SHOP_PRIOR)) / np.float32(self._rang_due + _SHOP_PRIOR)
        weight: F32 = self._share * bent
        return weight

    def _turn(self, number: int) -> None:
        """Begin a new bin where its time has come."""
        if number == self._bin and self._sums:
            return
        for step in range(max(self._bin + 1, number - len(self._due) + 1), number + 1):
            self._due[step % len(self._due)] = 0
        self._bin = number
        for window_s in WINDOWS_S:
            bins = [(number - back) % len(self._due) for back in range(window_s // _BIN_S)]
            self._sums[window_s] = self._due[bins].sum(axis=0)

    def _window(self, window_s: int) -> F32:
        """What was due in a window: whole bins, with the part of the oldest that the newest does not reach yet."""
        total = self._sums.get(window_s)
        if total is None:
            return np.zeros(len(self._shop), np.float32)
        part = 1 - (self._at_s % _BIN_S) / _BIN_S
        oldest = self._due[(self._bin - window_s // _BIN_S) % len(self._due)]
        whole: F32 = total + np.float32(part) * oldest
        return whole


def _calendar(at_s: int) -> tuple[int, int, int]:
    """Kind of day (0 weekday, 1 Saturday, 2 Sunday), hour, and number of the day, on the hotline's clock."""
    local = datetime.fromtimestamp(at_s, UTC).astimezone(_ZONE)
    return max(local.weekday() - 4, 0), local.hour, local.toordinal()
