"""The terminals of a world living through a scenario: the one composition of opening, signals, mishaps and faults.

The live swarm and the evaluator both drive this class, so that a scenario is the same fleet in both.
Drive it forward in time: for each step [t0, t1) first `advance`, then `connectivity`, then `due` and `sample`.
"""

import numpy as np
from numpy.typing import NDArray

from fleet.contract import CLOSED_CADENCE_S, OPEN_CADENCE_S, EventCode
from simulators.faults import FaultEngine
from simulators.faults.counter import PAPER_CHANGED
from simulators.happenings import Agenda, Connectivity, Event, FaultTruth
from simulators.mishaps import Mishaps
from simulators.opening import Bool, Opening
from simulators.randomness import F32, key_of, uniform_table
from simulators.scenario import Scenario
from simulators.signals import SignalModel
from simulators.world import I32, World

__all__ = ["Connectivity", "Event", "FaultTruth", "Population"]

_LONGEST_SAMPLE_S = 3600


class Population:
    """A fleet in motion. `starts_s` may lie before the scenario's start, to live through its warm-up days."""

    def __init__(self, world: World, scenario: Scenario, *, starts_s: int | None = None) -> None:
        start_s = scenario.start_s if starts_s is None else starts_s
        seed, n = scenario.seed, len(world)
        self.world, self.scenario = world, scenario
        self._agenda = Agenda(n)
        self._opening = Opening(world, seed)
        self._faults = FaultEngine(world, scenario, opening=self._opening, agenda=self._agenda)
        self._mishaps = Mishaps(world, seed, self._opening, self._agenda)
        self._signals = SignalModel(world, seed, start_s, self._opening, booted_s=self._mishaps.restarted_s(start_s))
        draws = uniform_table(key_of(seed, "population"), n, 2)
        self._phase: NDArray[np.int64] = (draws[:, 0] * CLOSED_CADENCE_S).astype(np.int64)
        self.boot: NDArray[np.uint32] = (1 + draws[:, 1] * 200).astype(np.uint32)
        self._told_open: Bool = self._opening.is_open(start_s).copy()
        self._sampled_s: NDArray[np.int64] = np.full(n, start_s - OPEN_CADENCE_S, np.int64)
        self._connectivity: tuple[int, Connectivity] = (-1, Connectivity.all_well(n))

    @property
    def booted_s(self) -> NDArray[np.int64]:
        """When each terminal last booted, seconds since the epoch, int64 (terminals,)."""
        return self._signals.booted_s

    def advance(self, t0_s: int, t1_s: int) -> list[Event]:
        """Live through [t0_s, t1_s): reboots happen, events are returned in order of time.

        Bumps `boot` for every REBOOT event (count them to know a terminal's boot at an event of a long step).
        Events of an unpowered or frozen terminal are not told.
        """
        self._mishaps.advance(t0_s, t1_s)
        self._faults.advance(t0_s, t1_s)
        for second, terminals in self._signals.take_refills():
            for terminal in terminals.tolist():
                self._agenda.tell(max(second, t0_s), terminal, EventCode.COVER_OPEN, PAPER_CHANGED)
        self._tell_openings(t1_s - 1)
        self._connectivity = (-1, self._connectivity[1])
        told = self._agenda.due(t1_s)
        for event in told:
            self._live_through(event)
        frozen = self._state(t1_s - 1).frozen
        return [event for event in told if not frozen[event.terminal] or event.code == EventCode.REBOOT]

    def connectivity(self, t_s: int) -> Connectivity:
        """Who is powered, connected, frozen at `t_s`, which lies in the step just lived through.

        The arrays are shared with `due` until the next step: read, do not write.
        """
        return self._state(t_s)

    def is_open(self, t_s: int) -> Bool:
        """Open shops' terminals at `t_s`, bool (terminals,)."""
        return self._opening.is_open(t_s)

    def due(self, t0_s: int, t1_s: int) -> I32:
        """Terminals (int32, ascending) that take a sample in [t0_s, t1_s).

        Each has its own phase: every 30 s while open, every 300 s while closed, none unpowered or frozen.
        """
        length = t1_s - t0_s
        closed_wait = (np.arange(CLOSED_CADENCE_S) - t0_s) % CLOSED_CADENCE_S
        often = (closed_wait % OPEN_CADENCE_S < length)[self._phase]
        seldom = (closed_wait < length)[self._phase]
        state = self._state(t1_s - 1)
        now = np.where(self._opening.is_open(t1_s - 1), often, seldom) & state.powered & ~state.frozen
        return np.nonzero(now)[0].astype(np.int32)

    def sample(self, idx: I32, t_s: int) -> F32:
        """Take a sample of each of `idx` at `t_s`: float32 (len(idx), 18) in `SAMPLE_FIELDS` order, NaN = not measured.

        Counters cover the time since that terminal's previous sample or boot.
        """
        since = np.clip(t_s - self._sampled_s[idx], 1, _LONGEST_SAMPLE_S)
        self._sampled_s[idx] = t_s
        even = len(since) > 0 and since.min() == since.max()
        dt_s = float(since[0]) if even else since.astype(np.float32)
        values = self._signals.sample(idx, t_s, dt_s, demand=self._faults.demand(idx, t_s))
        self._faults.apply(idx, t_s, values)
        return values

    def reboot(self, idx: I32, t_s: int, *, detail: str) -> list[Event]:
        """Restart terminals on command, as if it took no time; the REBOOT events are returned (boot bumped)."""
        events = [Event(t_s, terminal, EventCode.REBOOT, detail) for terminal in idx.tolist()]
        for event in events:
            self._live_through(event)
        return events

    def restart(self, terminal: int, *, from_s: int, back_s: int, detail: str) -> None:
        """Have a terminal switched off in [from_s, back_s), then tell REBOOT with this detail; the longer of two absences wins."""
        self._agenda.restart(terminal, from_s=from_s, back_s=back_s, detail=detail)

    def crash(self, terminal: int, *, at_s: int, why: str) -> None:
        """Have a terminal tell a crash at `at_s`, if it is on by then."""
        self._agenda.tell(at_s, terminal, EventCode.APP_CRASH, why)

    def updated(self, terminal: int, version: str, t_s: int) -> list[int]:
        """Let a terminal run a version from now on; returns the orders of the `[[release]]`s that it suffers from."""
        return self._faults.updated(terminal, version, t_s)

    def truth(self) -> list[FaultTruth]:
        """What each fault has done so far."""
        return self._faults.truth()

    def _tell_openings(self, second: int) -> None:
        """Have OPEN and CLOSE told where the shop's door and what was last told differ."""
        open_now = self._opening.is_open(second)
        for terminal in np.nonzero((open_now != self._told_open) & self._agenda.powered(second))[0].tolist():
            code = EventCode.OPEN if open_now[terminal] else EventCode.CLOSE
            self._agenda.tell(second, terminal, code)
            self._told_open[terminal] = open_now[terminal]

    def _live_through(self, event: Event) -> None:
        """Let an event change the terminal it happens to."""
        terminal = event.terminal
        if event.code == EventCode.REBOOT:
            self.boot[terminal] += 1
            self._signals.reboot(np.array([terminal], np.int32), event.second)
            self._faults.rebooted(terminal, event.second)
            self._sampled_s[terminal] = max(int(self._sampled_s[terminal]), event.second)
        elif event.code == EventCode.COVER_OPEN and event.detail == PAPER_CHANGED:
            self._signals.refill(np.array([terminal], np.int32))

    def _state(self, t_s: int) -> Connectivity:
        if self._connectivity[0] != t_s:
            n = len(self.world)
            state = Connectivity(
                powered=self._agenda.powered(t_s),
                connected=self._mishaps.connected(t_s),
                frozen=np.zeros(n, bool),
                delay_s=np.zeros(n, np.float32),
            )
            self._faults.connectivity(t_s, state)
            self._connectivity = (t_s, state)
        return self._connectivity[1]
