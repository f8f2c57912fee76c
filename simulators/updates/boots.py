"""What a terminal lives through when an update restarts it: two slots, of which one runs, and all that can go wrong on the way."""

import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from simulators.device import Device
from simulators.faults.base import NEVER
from simulators.happenings import EXPECTED, UNEXPECTED
from simulators.population import Population
from simulators.scenario import Effect
from simulators.updates.client import Restart

# Writing the other slot, with the old version at work; then the machine is down so long: back before a broker misses it.
INSTALL_S: Final = (5, 15)
DOWN_S: Final = (8, 20)
# So long a terminal is off whose shop switches it off in the middle.
OFF_S: Final = (240, 480)
# A version that falls back runs so long before its only crash.
RUNS_S: Final = 20
_OTHER: Final = {"A": "B", "B": "A"}


class Boot(NamedTuple):
    """What comes up the next time: a version, from a slot; `fallen`: because the other one did not stay up."""

    version: str
    slot: str
    fallen: bool = False


class Lived(NamedTuple):
    """What an update made of a terminal at a second."""

    terminal: int
    second: int
    version: str
    slot: str
    effect: Effect | None


class End(NamedTuple):
    """How an update's restart came out."""

    failed: bool
    words: str


class Boots:
    """The restarts on their way, by terminal."""

    def __init__(
        self,
        population: Population,
        devices: Sequence[Device],
        *,
        seed: int,
        suffers: Callable[[int, list[int], int], None] = lambda *_: None,
    ) -> None:
        """`suffers`: told of a terminal that runs a new version, the `[[release]]`s that it suffers from, and the second."""
        self._population, self._devices, self._suffers = population, devices, suffers
        self._chance = random.Random(seed)
        self._coming: dict[int, deque[Boot]] = {}
        self.dead: set[int] = set()
        self.lived: list[Lived] = []

    def begin(self, terminal: int, restart: Restart, second: int) -> None:
        """Have a terminal restart, as its update client wants."""
        device, chance = self._devices[terminal], self._chance
        down_from = second + chance.randint(*INSTALL_S)
        back_s, detail = down_from + chance.randint(*DOWN_S), f"{EXPECTED}: update"
        if restart.effect is Effect.OFF:
            down_from, detail = second, f"{UNEXPECTED}: switched off"
            back_s = second + chance.randint(*OFF_S)
        self._coming[terminal] = deque()
        if restart.version is not None:
            self._coming[terminal].append(Boot(restart.version, _OTHER[device.slot]))
            if restart.effect is Effect.FALLS_BACK:
                self._coming[terminal].append(Boot(device.firmware, device.slot, fallen=True))
            if restart.effect is Effect.BRICKS:
                self.dead.add(terminal)
                back_s = NEVER
        if restart.effect in {Effect.BRICKS, Effect.LIES, Effect.OFF}:
            self.lived.append(Lived(terminal, down_from, device.firmware, device.slot, restart.effect))
        self._population.restart(terminal, from_s=down_from, back_s=back_s, detail=detail)

    def rebooted(self, terminal: int, second: int) -> End | None:
        """A terminal comes up; None: no update waits for it, or it is not yet over."""
        coming = self._coming.get(terminal)
        if coming is None:
            return None
        device, end = self._devices[terminal], End(failed=False, words=f"runs {self._devices[terminal].firmware}")
        if coming:
            boot, before = coming.popleft(), device.firmware
            device.firmware, device.slot = boot.version, boot.slot
            self.lived.append(Lived(terminal, second, boot.version, boot.slot, Effect.FALLS_BACK if boot.fallen else None))
            self._suffers(terminal, self._population.updated(terminal, boot.version, second), second)
            words = (
                f"{before} did not stay up; fell back to slot {boot.slot}"
                if boot.fallen
                else f"runs {boot.version}, slot {boot.slot}"
            )
            end = End(boot.fallen, words)
        if coming:
            self._population.crash(terminal, at_s=second + RUNS_S, why="boot check failed")
            down_from = second + RUNS_S + 1
            detail = f"{UNEXPECTED}: fell back to slot {coming[0].slot}"
            self._population.restart(terminal, from_s=down_from, back_s=down_from + self._chance.randint(*DOWN_S), detail=detail)
            return None
        del self._coming[terminal]
        return end
