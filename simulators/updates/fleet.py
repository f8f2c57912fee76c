"""Update clients of a whole fleet: a few threads, each with one connection, visit for whoever is due.

Threads own a client during a visit, and hand it over when its terminal restarts; the play's thread hands it back when it is up.
What an update does to a terminal (restarts, what a bad release makes of it) is done in the play's thread alone.
"""

import csv
import heapq
import logging
import random
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from fleet.errors import VigieError
from simulators.device import Device
from simulators.happenings import Connectivity
from simulators.opening import Bool
from simulators.population import Population
from simulators.randomness import key_of, uniform_table
from simulators.release_callers import ReleaseCallers
from simulators.scenario import Effect
from simulators.updates.boots import Boots
from simulators.updates.client import AGAIN_S, Again, Means, Restart, UpdateClient
from simulators.updates.http import Line

logger = logging.getLogger(__name__)

# A visit takes some milliseconds, nearly all of them the server's: two would do for a poll every five minutes.
THREADS: Final = 4
# The first visits of a fleet that is switched on are spread over so long.
FIRST_WITHIN_S: Final = 120.0
# After a restart: the system is up, then the client starts.
UP_WITHIN_S: Final = (3.0, 12.0)
# Who is off or without network is looked at again after this.
AWAY_S: Final = (10.0, 20.0)
_INSTALLING: Final = frozenset({Effect.BRICKS, Effect.FALLS_BACK, Effect.LIES, Effect.SLOW, Effect.OFF})


class Place(NamedTuple):
    """Where updates come from, and what shows who is who: the device API's address, tokens by terminal, the maker's first root."""

    url: str
    tokens: Mapping[str, str]
    root: bytes
    ca_file: str = ""


def read_place(url: str, tokens: Path, root: Path, *, ca_file: str = "") -> Place:
    """Read the CSV `terminal,token` and the maker's root; raises `VigieError` where one cannot be read."""
    try:
        with tokens.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        first = root.read_bytes()
    except OSError as error:
        raise VigieError(f"updates: {error.filename} cannot be read: {error.strerror}") from None
    if not rows or not {"terminal", "token"} <= set(rows[0]):
        raise VigieError(f"{tokens} must have the columns terminal and token, and a line for each terminal")
    return Place(url, {row["terminal"]: row["token"] for row in rows}, first, ca_file)


class Updates:
    """The fleet's update clients."""

    def __init__(
        self,
        place: Place,
        population: Population,
        devices: Sequence[Device],
        *,
        seed: int,
        clock_s: Callable[[], float],
        callers: ReleaseCallers | None = None,
    ) -> None:
        """`callers`: those of shops whose terminals suffer from a release; None: nobody rings."""
        ids = population.world.ids
        if missing := [terminal for terminal in ids if terminal not in place.tokens]:
            raise VigieError(f"{len(missing)} terminals have no token for the device API, the first is {missing[0]}")
        self.callers = callers
        self.boots = Boots(population, devices, seed=seed, suffers=callers.updated if callers else lambda *_: None)
        self.done: Counter[str] = Counter()
        self._place, self._devices, self._clock_s, self._seed = place, devices, clock_s, seed
        self._wrong = _wrong_at(population, seed)
        self._clients = [
            UpdateClient(
                place.url,
                device.identity.id,
                token=place.tokens[device.identity.id],
                model=device.identity.model,
                hw=device.identity.hw,
                wrong=partial(self._goes_wrong, index),
            )
            for index, device in enumerate(devices)
        ]
        self._reachable: Bool = np.zeros(len(devices), bool)
        self._asked: deque[tuple[int, Restart]] = deque()
        now, chance = time.monotonic(), random.Random(seed)
        self._due = [(now + chance.uniform(0, FIRST_WITHIN_S), index) for index in range(len(devices))]
        heapq.heapify(self._due)
        self._turn = threading.Condition()
        self._stopping = False
        self._chance = chance
        # Gone with the object, whether or not anybody stops it.
        self._home = tempfile.TemporaryDirectory(prefix="vigie-updates-")
        self._threads = [threading.Thread(target=self._run, args=(n,), name=f"updates {n}", daemon=True) for n in range(THREADS)]

    def start(self) -> None:
        """Begin to visit."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after the visits under way."""
        with self._turn:
            self._stopping = True
            self._turn.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        self._home.cleanup()

    def live(self, second: int, state: Connectivity) -> None:
        """Take note of who can reach the server, and restart who asked for it; in the play's thread."""
        self._reachable = state.powered & state.connected & ~state.frozen
        while self._asked:
            index, restart = self._asked.popleft()
            self.boots.begin(index, restart, second)

    def rebooted(self, index: int, second: int) -> None:
        """A terminal has restarted, for whatever reason; in the play's thread."""
        end = self.boots.rebooted(index, second)
        if end is not None:
            self.done["fell back" if end.failed else "restarted"] += 1
            self._clients[index].up(failed=end.failed, words=end.words)
            self._put(index, self._chance.uniform(*UP_WITHIN_S))

    def _goes_wrong(self, index: int, version: str) -> tuple[Effect, float] | None:
        return next(((effect, strength) for effect, strength, hit in self._wrong.get(version, ()) if hit[index]), None)

    def _put(self, index: int, after_s: float) -> None:
        with self._turn:
            heapq.heappush(self._due, (time.monotonic() + after_s, index))

    def _next(self) -> int | None:
        """Wait for the next who is due; None: the end."""
        with self._turn:
            while not self._stopping:
                wait_s = self._due[0][0] - time.monotonic() if self._due else 1.0
                if wait_s <= 0:
                    return heapq.heappop(self._due)[1]
                self._turn.wait(min(wait_s, 1.0))
        return None

    def _run(self, number: int) -> None:
        chance = random.Random(self._seed + number)
        means = Means(
            # Each thread's terminals share what they have seen of the metadata: one folder for 4,000, instead of one for each.
            Line(self._place.url, ca_file=self._place.ca_file),
            Path(self._home.name) / str(number),
            self._place.root,
            lambda: datetime.fromtimestamp(self._clock_s(), UTC),
            chance,
        )
        while (index := self._next()) is not None:
            if not self._reachable[index]:
                self._put(index, chance.uniform(*AWAY_S))
                continue
            device = self._devices[index]
            try:
                following = self._clients[index].visit(means, firmware=device.firmware, slot=device.slot)
            except Exception:
                # One terminal's trouble is not the others'.
                logger.exception("a visit failed", extra={"action": "update", "terminal": device.identity.id})
                following = Again(chance.uniform(*AGAIN_S))
            self.done["visits"] += 1
            if isinstance(following, Again):
                self._put(index, following.after_s)
            else:
                self._asked.append((index, following))
        means.line.close()


def _wrong_at(population: Population, seed: int) -> dict[str, list[tuple[Effect, float, Bool]]]:
    """By version: what goes wrong while it is installed, how strongly, and at which terminals, bool (terminals,)."""
    found: dict[str, list[tuple[Effect, float, Bool]]] = {}
    for order, release in enumerate(population.scenario.release):
        if release.effect in _INSTALLING:
            drawn = uniform_table(key_of(seed, "release", order), len(population.world), 1)[:, 0]
            found.setdefault(release.version, []).append((release.effect, release.strength, drawn < release.fraction))
    return found
