"""A simulated fleet whose messages reach the judge without broker or database, on a clock of ten-second ticks."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from diagnostics.judge import judge
from diagnostics.judgement import Judgement, unjudged
from diagnostics.limits import METRICS, Policy
from diagnostics.opening import UsualHours
from diagnostics.reasons import Reason, State
from diagnostics.snapshot import EVENT_INDEX, OFFLINE, ONLINE, Snapshot
from fleet.clock import from_ms
from fleet.contract import SAMPLE_FIELDS
from simulators.happenings import Event
from simulators.population import Population
from simulators.scenario import Scenario
from simulators.world import build_world

TICK_S = 10
# A broker notices a vanished client after one and a half keep-alives, here of 60 s.
WILL_S = 90
_COLUMNS = [SAMPLE_FIELDS.index(name) for name in METRICS]
_TICKETS, _SCANS = SAMPLE_FIELDS.index("tickets"), SAMPLE_FIELDS.index("scans")
Bool = NDArray[np.bool_]


@dataclass
class Seen:
    """What was judged at one tick."""

    second: int
    judged: Judgement
    is_open: Bool
    reachable: Bool


@dataclass
class SimulatedHealth:
    """Plays a scenario and judges every tick; terminals tell nothing of the time before the scenario, as when played live."""

    scenario: Scenario
    policy: Policy = field(default_factory=Policy)

    def __post_init__(self) -> None:
        world = build_world(self.scenario.seed, self.scenario.terminals)
        self.population = Population(world, self.scenario)
        shops = world.shops.iloc[world.shop]
        self.snapshot = Snapshot(world.terminals["terminal"].tolist(), world.terminals["model"].tolist())
        self._hours = UsualHours(shops["opening_hours"].tolist(), shops["timezone"].tolist())
        start_ms = self.scenario.start_s * 1000
        everyone = np.arange(len(world))
        self.snapshot.update_presence(everyone, online=everyone >= 0, changed_ms=np.full(len(world), start_ms))
        self._judged = unjudged(len(world), policy=self.policy, now_ms=start_ms)
        self._lost_s = np.zeros(len(world), np.int64)
        self._journal: list[Event] = []

    def play(self, look: Callable[[Seen], None]) -> None:
        """Live through the whole scenario; `look` sees every tick."""
        for second in range(self.scenario.start_s, self.scenario.end_s, TICK_S):
            look(self._tick(second, second + TICK_S))

    def _tick(self, t0_s: int, t1_s: int) -> Seen:
        events = self.population.advance(t0_s, t1_s)
        state = self.population.connectivity(t1_s - 1)
        reachable = state.powered & state.connected
        self._connect(reachable, t1_s)
        due = self.population.due(t0_s, t1_s)
        values = self.population.sample(due, t1_s - 1)
        sent = reachable[due]
        at_ms = np.full(int(sent.sum()), (t1_s - 1) * 1000, np.int64)
        self.snapshot.update_samples(
            due[sent].astype(np.intp),
            at_ms=at_ms,
            received_ms=at_ms + 300,
            values=values[sent][:, _COLUMNS],
            tickets=values[sent][:, _TICKETS],
            scans=values[sent][:, _SCANS],
        )
        # What cannot be told now is kept, and told when the link is back.
        kept = [*self._journal, *events]
        self._journal = [event for event in kept if not reachable[event.terminal]]
        self._tell([event for event in kept if reachable[event.terminal]], t1_s)
        self.snapshot.fed_ms = t1_s * 1000 - 200
        scheduled, boundary_ms = self._hours.at(from_ms(t1_s * 1000))
        self.snapshot.set_opening(scheduled=scheduled, boundary_ms=boundary_ms)
        self._judged = judge(self.snapshot, t1_s * 1000, self.policy, self._judged)
        return Seen(t1_s, self._judged, self.population.is_open(t1_s - 1), reachable & ~state.frozen)

    def _connect(self, reachable: Bool, second: int) -> None:
        self._lost_s = np.where(reachable, 0, np.where(self._lost_s > 0, self._lost_s, second))
        will = (self._lost_s > 0) & (second - self._lost_s >= WILL_S) & (self.snapshot.presence == ONLINE)
        born = reachable & (self.snapshot.presence == OFFLINE)
        rows = np.flatnonzero(will | born)
        self.snapshot.update_presence(rows, online=born[rows], changed_ms=np.full(len(rows), second * 1000))

    def _tell(self, events: list[Event], second: int) -> None:
        self.snapshot.update_events(
            np.array([event.terminal for event in events], np.intp),
            at_ms=np.array([event.second * 1000 for event in events], np.int64),
            received_ms=np.full(len(events), second * 1000, np.int64),
            codes=np.array([EVENT_INDEX[event.code] for event in events], np.intp),
        )


def blamed(judged: Judgement) -> Bool:
    """Who is called offline or silent."""
    return judged.has(Reason.OFFLINE) | judged.has(Reason.SILENT)


def well(judged: Judgement) -> Bool:
    """Who is called working, if with a complaint."""
    return judged.is_state(State.OK) | judged.is_state(State.DEGRADED)
