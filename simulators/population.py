"""The terminals of a world living through a scenario: the one composition of opening, signals and faults.

The live swarm and the evaluator both drive this class, so that a scenario is the same fleet in both.
Drive it forward in time: for each step [t0, t1) first `advance`, then `connectivity`, then `due` and `sample`.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from fleet.contract import EventCode
from simulators.scenario import Scenario
from simulators.world import World


class Event(NamedTuple):
    """One event as the terminal tells it; `REBOOT`'s detail begins with `expected` or `unexpected`."""

    second: int
    terminal: int
    code: EventCode
    detail: str


class Connectivity(NamedTuple):
    """Each terminal's state now; boolean arrays of shape (terminals,), and seconds as float32."""

    powered: np.ndarray  # False: off (power cut, restarting, not installed yet): no samples, the connection drops at once
    connected: np.ndarray  # False: no network; the app lives on and journals. Implies nothing about `powered`
    frozen: np.ndarray  # True: keepalive is answered, the app sends no sample and no event
    delay_s: np.ndarray  # extra time a message takes on its way up


class FaultTruth(NamedTuple):
    """What a fault really did."""

    order: int  # position in the scenario's file, from 0
    kind: str
    expect: str
    scope: Mapping[str, str]
    terminals: np.ndarray  # affected terminals, int32, ascending
    onset_s: np.ndarray  # per affected terminal: when its own effect begins, int64
    first_effect_s: int | None  # the first second at which anything anyone could notice differed; None: not yet
    end_s: int  # when the cause ends (recovery may follow)


class Population:
    """A fleet in motion. `starts_s` may lie before the scenario's start, to live through its warm-up days."""

    boot: np.ndarray  # uint32 (terminals,): current boot number of each terminal
    booted_s: np.ndarray  # int64 (terminals,): when it last booted

    def __init__(self, world: World, scenario: Scenario, *, starts_s: int | None = None) -> None:
        raise NotImplementedError

    def advance(self, t0_s: int, t1_s: int) -> list[Event]:
        """Live through [t0_s, t1_s): reboots happen, events are returned in order of time.

        Bumps `boot` for every REBOOT event. Events of an unpowered or frozen terminal are not told.
        """
        raise NotImplementedError

    def connectivity(self, t_s: int) -> Connectivity:
        """Who is powered, connected, frozen at `t_s`. The arrays are the caller's to keep."""
        raise NotImplementedError

    def is_open(self, t_s: int) -> np.ndarray:
        """Open shops' terminals at `t_s`, bool (terminals,)."""
        raise NotImplementedError

    def due(self, t0_s: int, t1_s: int) -> np.ndarray:
        """Terminals (int32, ascending) that take a sample in [t0_s, t1_s).

        Each has its own phase: every 30 s while open, every 300 s while closed, none unpowered or frozen.
        """
        raise NotImplementedError

    def sample(self, idx: np.ndarray, t_s: int) -> np.ndarray:
        """Take a sample of each of `idx` at `t_s`: float32 (len(idx), 18) in `SAMPLE_FIELDS` order, NaN = not measured.

        Counters cover the time since that terminal's previous sample.
        """
        raise NotImplementedError

    def reboot(self, idx: np.ndarray, t_s: int, *, detail: str) -> list[Event]:
        """Restart terminals on command; the REBOOT events are returned at once (boot bumped)."""
        raise NotImplementedError

    def truth(self) -> list[FaultTruth]:
        """What each fault has done so far."""
        raise NotImplementedError
