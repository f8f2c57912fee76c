"""Who rings the hotline, when, and with which words: every day's matters, and what each fault makes shops ring about."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from simulators.faults import FaultEngine
from simulators.faults.base import Fault
from simulators.geography import MAINLAND_TIMEZONE
from simulators.happenings import Agenda
from simulators.opening import Bool, Opening, local_date, wall_to_s
from simulators.races import betting_ends_s
from simulators.randomness import choose, key_of
from simulators.scenario import Scenario
from simulators.shops import unlisted_phones
from simulators.words import CLOSINGS, EVERYDAY, HABITS, OPENINGS, Habit
from simulators.world import World

ANONYMOUS = "anonymous"
HOTLINE_OPENS_MINUTE = 7 * 60
CALLS_A_DAY = (820, 890)
# How calls spread over the hours from 07:00 on, as a hotline of shops that open, sell and settle sees them.
_HOURLY = (3.0, 6.5, 8.5, 9.5, 9.0, 7.5, 7.0, 8.0, 8.5, 7.5, 7.0, 6.5, 5.0, 3.5, 2.0, 1.5)
_WITHHELD_SHARE, _UNLISTED_SHARE, _STRANGER_SHARE = 0.05, 0.05, 0.005
# Of the calls after the first, the median wait; shops lose patience more slowly than customers do.
_AGAIN_AFTER_MIN, MOST_CALLS = 25.0, 4
_COLUMNS = ("second", "shop", "caller", "subject", "words", "patience_s", "talk_s", "cause")

_QUESTIONS = ("comment", "où", "quand", "quel", "c'est quoi", "jusqu", "je peux", "mon voisin")

Row = tuple[int, int, str, str, str, int, int, int]


def plan_calls(world: World, scenario: Scenario, *, start_s: int | None = None, minutes: float | None = None) -> pd.DataFrame:
    """Plan every call of a scenario, in order of time; the index numbers them from 0.

    Columns: `second` (int64, since the epoch), `shop` (int32 row of `world.shops`; -1 = the caller is no known shop),
    `caller` (E.164, or `anonymous`), `subject` (`technical|administrative|commercial`), `words` (what is said, French),
    `patience_s` (hangs up when not answered by then), `talk_s`, `cause` (order of the fault in the scenario, or -1).
    `start_s` and `minutes` cut a window out of the scenario; its calls are the same as the whole plan's.
    """
    from_s = scenario.start_s if start_s is None else start_s
    until_s = from_s + round(60 * (scenario.minutes if minutes is None else minutes))
    desk = Desk(world, scenario)
    rows = desk.everyday(from_s, until_s)
    for order, fault in enumerate(desk.faults):
        rows += desk.about(order, fault)
    rows = sorted(row for row in rows if from_s <= row[0] < until_s)
    plan = pd.DataFrame(rows, columns=list(_COLUMNS))
    kinds = {"second": np.int64, "shop": np.int32, "patience_s": np.int32, "talk_s": np.int32, "cause": np.int32}
    return plan.astype(kinds)


class Desk:
    """Calls in the making."""

    def __init__(self, world: World, scenario: Scenario) -> None:
        self._world, self._seed, self._hurry = world, scenario.seed, scenario.callers_hurry
        self._specs = scenario.fault
        self._opening = Opening(world, scenario.seed)
        self.faults = FaultEngine(world, scenario, opening=self._opening, agenda=Agenda(len(world))).faults
        self._phones: list[tuple[str, ...]] = world.shops["phones"].tolist()
        self._unlisted = unlisted_phones(world.seed)
        # A shop's first terminal stands for its door.
        self._door = np.searchsorted(world.shop, np.arange(len(world.shops)))
        self._weights = np.cumsum(world.shops["weight"].to_numpy(np.float64))

    def everyday(self, from_s: int, until_s: int) -> list[Row]:
        """Every day's calls between two seconds: the same whichever window of the day is asked for."""
        rows: list[Row] = []
        day = local_date(MAINLAND_TIMEZONE, from_s)
        while wall_to_s(MAINLAND_TIMEZONE, day, 0) < until_s:
            rows += self._day(day)
            day += timedelta(days=1)
        return rows

    def _day(self, day: date) -> list[Row]:
        rng = np.random.Generator(np.random.PCG64(key_of(self._seed, "calls", day.toordinal())))
        count = int(rng.integers(CALLS_A_DAY[0], CALLS_A_DAY[1] + 1))
        opens_s, closes_s = self._hours(day)
        hours = np.array(_HOURLY)[: -(-(closes_s - opens_s) // 3600)]
        seconds = opens_s + (choose(rng.random(count), hours) + rng.random(count)) * 3600
        seconds = np.sort(np.where(seconds >= closes_s, opens_s + rng.random(count) * (closes_s - opens_s), seconds))
        rows = []
        for second in seconds.astype(np.int64).tolist():
            _, subject, sentences = EVERYDAY[int(choose(rng.random(1), [m[0] for m in EVERYDAY])[0])]
            shop = self._someone_open(rng, second)
            rows.append(self.call(rng, second=second, shop=shop, subject=subject, sentences=sentences, cause=-1))
        return rows

    def about(self, order: int, fault: Fault) -> list[Row]:
        """Return the calls that one fault causes: from shops it hits that are open, while the hotline is."""
        habit = HABITS[self._specs[order].kind]
        rng = np.random.Generator(np.random.PCG64(key_of(self._seed, "rings", order)))
        share = share_of(habit, self._specs[order].strength)
        shops, first = np.unique(self._world.shop[fault.terminals], return_index=True)
        rows: list[Row] = []
        for shop, row in zip(shops.tolist(), first.tolist(), strict=True):
            rings = float(rng.random()) < share
            second = int(fault.onset_s[row])
            for turn in range(MOST_CALLS):
                second += first_s(habit, rng, self._hurry) if turn == 0 else again_s(habit, rng)
                call = self.call(rng, second=second, shop=shop, subject=habit.subject, sentences=habit.words, cause=order)
                # A little after the end there is still the call that was on its way.
                if rings and second < fault.until_s[row] + 300 and self.can_ring(shop, second):
                    rows.append(call)
                if float(rng.random()) >= habit.again:
                    break
        return rows

    def _hours(self, day: date) -> tuple[int, int]:
        return wall_to_s(MAINLAND_TIMEZONE, day, HOTLINE_OPENS_MINUTE), betting_ends_s(self._seed, day)

    def can_ring(self, shop: int, second: int) -> bool:
        """Whether the hotline and the shop are open."""
        opens_s, closes_s = self._hours(local_date(MAINLAND_TIMEZONE, second))
        return opens_s <= second < closes_s and bool(self._open_shops(second)[shop])

    def _open_shops(self, second: int) -> Bool:
        opened: Bool = self._opening.is_open(second - second % 60)[self._door]
        return opened

    def _someone_open(self, rng: np.random.Generator, second: int) -> int:
        """Pick a shop by its custom, preferably an open one; now and then somebody who is no shop."""
        opened = self._open_shops(second)
        tries = np.searchsorted(self._weights / self._weights[-1], rng.random(12)).clip(0, len(self._weights) - 1)
        stranger = float(rng.random()) < _STRANGER_SHARE
        chosen = next((shop for shop in tries.tolist() if opened[shop]), int(tries[0]))
        return -1 if stranger else chosen

    def call(
        self, rng: np.random.Generator, *, second: int, shop: int, subject: str, sentences: tuple[str, ...], cause: int
    ) -> Row:
        """Make one call of a shop (-1: of somebody who is none): who rings, what is said, for how long."""
        words = _said(rng, sentences[int(rng.integers(len(sentences)))], technical=subject == "technical")
        patience = 20 + int(rng.exponential(150))
        median_s = 230 if subject == "technical" else 180
        talk = int(np.clip(median_s * np.exp(0.55 * rng.standard_normal()), 25, 1800))
        return second, shop, self._caller(rng, shop), subject, words, patience, talk, cause

    def _caller(self, rng: np.random.Generator, shop: int) -> str:
        draw, which = float(rng.random()), int(rng.integers(1 << 30))
        phones: Any = self._phones[shop] if shop >= 0 else ()
        if draw < _WITHHELD_SHARE:
            return ANONYMOUS
        if not phones or draw < _WITHHELD_SHARE + _UNLISTED_SHARE:
            # Somebody's own telephone, which no registry knows.
            return self._unlisted[which % len(self._unlisted)]
        return str(phones[which % len(phones)])


def share_of(habit: Habit, strength: float) -> float:
    """Of the shops that something befalls, the part that rings."""
    return min(0.95, habit.share * float(np.sqrt(strength)))


def first_s(habit: Habit, rng: np.random.Generator, hurry: float) -> int:
    """Draw the seconds until a shop first rings; `hurry` divides them."""
    return _wait_s(habit.delay_min / hurry, habit, rng)


def again_s(habit: Habit, rng: np.random.Generator) -> int:
    """Draw the seconds until it rings again: a matter of patience, which cannot be hurried."""
    return _wait_s(_AGAIN_AFTER_MIN, habit, rng)


def _wait_s(median_min: float, habit: Habit, rng: np.random.Generator) -> int:
    return 5 + int(60 * median_min * float(np.exp(habit.spread * rng.standard_normal())))


def _said(rng: np.random.Generator, matter: str, *, technical: bool) -> str:
    """Make a sentence of a matter; who has a technical trouble often adds something."""
    said = OPENINGS[int(rng.integers(len(OPENINGS)))] + matter
    closing = CLOSINGS[int(rng.integers(len(CLOSINGS)))]
    mark = " ?" if matter.startswith(_QUESTIONS) else "."
    return said[0].upper() + said[1:] + mark + (closing if technical else "")
