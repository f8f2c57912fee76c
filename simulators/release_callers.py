"""Shops that ring because of what a release did to their terminals: nobody can plan them, for nobody knows when it comes."""

import heapq
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from simulators.callers import MOST_CALLS, Desk, again_s, first_s, share_of
from simulators.faults.engine import KIND_OF_EFFECT
from simulators.randomness import key_of
from simulators.ring import Planned
from simulators.scenario import Scenario
from simulators.words import HABITS
from simulators.world import World


class _Turn(NamedTuple):
    """A call that will be made if the terminal still suffers then."""

    second: int
    terminal: int
    release: int
    turn: int


class ReleaseCallers:
    """Follows which terminals suffer from which `[[release]]`, and says when their shops ring."""

    def __init__(self, world: World, scenario: Scenario, *, first_number: int) -> None:
        self._world, self._scenario = world, scenario
        self._desk = Desk(world, scenario)
        self._rng = np.random.Generator(np.random.PCG64(key_of(scenario.seed, "release rings")))
        self._numbers = itertools.count(first_number)
        self._suffers: dict[int, Sequence[int]] = {}
        self._asked: set[tuple[int, int]] = set()
        self._turns: list[_Turn] = []

    def updated(self, terminal: int, releases: Sequence[int], second: int) -> None:
        """A terminal runs another version, and suffers from these `[[release]]`s by their order, from no others."""
        self._suffers[terminal] = releases
        for release in releases:
            # One shop rings once about one trouble, however many of its terminals have it.
            key = int(self._world.shop[terminal]), release
            if key not in self._asked:
                self._asked.add(key)
                habit = HABITS[KIND_OF_EFFECT[self._scenario.release[release].effect]]
                if self._rng.random() < share_of(habit, self._scenario.release[release].strength):
                    wait_s = first_s(habit, self._rng, self._scenario.callers_hurry)
                    heapq.heappush(self._turns, _Turn(second + wait_s, terminal, release, 0))

    def due(self, second: int) -> Iterator[Planned]:
        """The calls of this second, and of those before that were not asked for."""
        while self._turns and self._turns[0].second <= second:
            turn = heapq.heappop(self._turns)
            shop = int(self._world.shop[turn.terminal])
            if turn.release not in self._suffers[turn.terminal] or not self._desk.can_ring(shop, second):
                continue
            habit = HABITS[KIND_OF_EFFECT[self._scenario.release[turn.release].effect]]
            _, _, caller, subject, words, patience_s, talk_s, _ = self._desk.call(
                self._rng, second=second, shop=shop, subject=habit.subject, sentences=habit.words, cause=-1
            )
            code = str(self._world.shops["code"].iloc[shop])
            yield Planned(next(self._numbers), float(second), code, caller, subject, words, float(patience_s), float(talk_s), -1)
            if turn.turn + 1 < MOST_CALLS and self._rng.random() < habit.again:
                following = turn._replace(second=second + again_s(habit, self._rng), turn=turn.turn + 1)
                heapq.heappush(self._turns, following)
