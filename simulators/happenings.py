"""What terminals tell and how they stand on the network: the words shared by faults, mishaps and the population."""

import heapq
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fleet.contract import EventCode
from simulators.opening import Bool
from simulators.randomness import F32

UNEXPECTED, EXPECTED = "unexpected", "expected"


class Event(NamedTuple):
    """One event as the terminal tells it; `REBOOT`'s detail begins with `expected` or `unexpected`."""

    second: int
    terminal: int
    code: EventCode
    detail: str


class Connectivity(NamedTuple):
    """Each terminal's state now; boolean arrays of shape (terminals,), and seconds as float32."""

    powered: Bool  # False: off (power cut, restarting, not installed yet): no samples, the connection drops at once
    connected: Bool  # False: no network; the app lives on and journals. Implies nothing about `powered`
    frozen: Bool  # True: keepalive is answered, the app sends no sample and no event
    delay_s: F32  # extra time a message takes on its way up

    @classmethod
    def all_well(cls, terminals: int) -> "Connectivity":
        """Everybody on, connected and lively."""
        return cls(np.ones(terminals, bool), np.ones(terminals, bool), np.zeros(terminals, bool), np.zeros(terminals, np.float32))


class FaultTruth(NamedTuple):
    """What a fault really did."""

    order: int  # position in the scenario's file, from 0
    kind: str
    expect: str
    scope: Mapping[str, str] | None  # None: the scenario lists terminals
    terminals: NDArray[np.int32]  # affected terminals, ascending
    onset_s: NDArray[np.int64]  # per affected terminal: when its own effect begins
    first_effect_s: int | None  # the first second at which anything anyone could notice differed; None: not yet
    end_s: int  # when the cause ends (recovery may follow)
    until_s: NDArray[np.int64]  # per affected terminal: when its own cause ends
    over_s: int  # when the last of them has recovered


class Agenda:
    """Events that will be told later, and the absence (switched off) of each terminal, if any."""

    def __init__(self, terminals: int) -> None:
        self._heap: list[Event] = []
        self.off_from_s: NDArray[np.int64] = np.zeros(terminals, np.int64)
        self.off_until_s: NDArray[np.int64] = np.zeros(terminals, np.int64)

    def tell(self, second: int, terminal: int, code: EventCode, detail: str = "") -> None:
        """Have one event told at its second."""
        heapq.heappush(self._heap, Event(second, terminal, code, detail))

    def restart(self, terminal: int, *, from_s: int, back_s: int, detail: str) -> None:
        """Switch a terminal off in [from_s, back_s); then it tells REBOOT. The longer of two absences wins."""
        if self.off_until_s[terminal] < back_s:
            if self.off_until_s[terminal] <= from_s:
                self.off_from_s[terminal] = from_s
            self.off_until_s[terminal] = back_s
            self.tell(back_s, terminal, EventCode.REBOOT, detail)

    def is_off(self, terminal: int, t_s: int) -> bool:
        """Whether a terminal is switched off at `t_s`."""
        return bool(self.off_from_s[terminal] <= t_s < self.off_until_s[terminal])

    def due(self, until_s: int) -> list[Event]:
        """Return and forget what is to be told before `until_s`, in order of time; who is off then tells nothing."""
        told: list[Event] = []
        while self._heap and self._heap[0].second < until_s:
            event = heapq.heappop(self._heap)
            if not self.is_off(event.terminal, event.second):
                told.append(event)
        return told

    def powered(self, t_s: int) -> Bool:
        """Who is not off at `t_s`, bool (terminals,)."""
        on: Bool = (t_s < self.off_from_s) | (t_s >= self.off_until_s)
        return on
